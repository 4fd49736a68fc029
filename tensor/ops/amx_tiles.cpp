#include "tensor/ops/amx_tiles.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace dlcm::cpu {
namespace {

#if defined(__x86_64__) && defined(__linux__)
// Leaf 7, EDX: bit 22 bfloat16, 24 tiles.
bool cpu_has_amx_bf16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (edx >> 22 & 1) != 0 && (edx >> 24 & 1) != 0;
}

// For all threads of the process: Linux gives a thread room for tiles in its context when it first uses them.
// Systems before 5.16 refuse, as do those whose boot options or hypervisor hide the tiles' state.
bool ask_for_tiles() {
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  constexpr long kTileData = 18;               // the state component of the tiles' contents
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}
#else
bool cpu_has_amx_bf16() {
  return false;
}

bool ask_for_tiles() {
  return false;
}
#endif

}  // namespace

bool amx_granted() {
  static const bool granted = cpu_has_amx_bf16() && ask_for_tiles();
  return granted;
}

}  // namespace dlcm::cpu
