// Compiled for any x86-64 (apps/CMakeLists.txt): cpu_is_supported must run where the rest of the program
// cannot.
#include "apps/common/cpu_features.h"

#include <cstdio>

#include "apps/common/cpu_feature_list.h"

namespace dlcm::apps {
namespace {

#if defined(__x86_64__)
constexpr bool kKnownCpu = true;

#define DLCM_COUNT(cpu_name, name, macro) +1
constexpr int kFeatures = 0 DLCM_CPU_FEATURES(DLCM_COUNT);

struct MachineFeatures {
  bool has[kFeatures];
};

MachineFeatures machine_features() {
#define DLCM_SUPPORTS(cpu_name, name, macro) __builtin_cpu_supports(cpu_name) != 0,
  return {{DLCM_CPU_FEATURES(DLCM_SUPPORTS)}};
}
#else
constexpr bool kKnownCpu = false;
constexpr int kFeatures = 0;

struct MachineFeatures {
  bool has[1];
};

MachineFeatures machine_features() {
  return {};
}
#endif

}  // namespace

// Plain C only: an inline function of the standard library may come from an object compiled for more.
bool cpu_is_supported(const char* program) {
  const MachineFeatures machine = machine_features();
  bool supported = true;
  for (int i = 0; i < kFeatures; ++i) {
    if (!kCompiledFeatures[i].compiled || machine.has[i]) continue;
    std::fprintf(stderr, supported ? "%s: compiled for CPU features that this machine lacks: %s" : "%s %s",
                 supported ? program : "", kCompiledFeatures[i].name);
    supported = false;
  }
  if (!supported) std::fprintf(stderr, "; build it here, or with cmake -DDLCM_NATIVE=OFF\n");
  return supported;
}

std::string cpu_text() {
  if (!kKnownCpu) return "cpu: no features are looked for on this architecture\n";
  const MachineFeatures machine = machine_features();
  std::string compiled = "compiled for:";
  std::string present = "cpu has:";
  for (int i = 0; i < kFeatures; ++i) {
    if (kCompiledFeatures[i].compiled) compiled += std::string(" ") + kCompiledFeatures[i].name;
    if (machine.has[i]) present += std::string(" ") + kCompiledFeatures[i].name;
  }
  return compiled + "\n" + present + "\n";
}

}  // namespace dlcm::apps
