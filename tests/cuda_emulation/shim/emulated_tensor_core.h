// The tensor-core and asynchronous-copy instructions behind the wrappers of tensor/portable.cuh, with the
// register layouts documented in the PTX manual (sections on mma.m16n8k16 and ldmatrix).
#pragma once

#include <cstdint>

#include "cuda_bf16.h"
#include "cuda_emulation.h"

namespace cuda_emulation {

struct MmaRequest {
  const unsigned* a;
  const unsigned* b;
  float* d;
};

void complete_mma(void* const* requests, unsigned mask);

inline void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                         Location location = Location::current()) {
  MmaRequest request{a, b, d};
  collective(0xffffffffu, WarpOperation::kMma, &request, complete_mma, Ordering::kRegistersOnly, location);
}

struct LdmatrixRequest {
  const __nv_bfloat16* row;
  const __nv_bfloat16* rows[32];  // what every lane passed
};

void complete_ldmatrix(void* const* requests, unsigned mask);

// The lanes exchange addresses only; each then loads its own elements, so that the sanitizers see who reads
// what.
template <bool kTransposed>
void ldmatrix_x4(unsigned (&registers)[4], const __nv_bfloat16* row,
                 Location location = Location::current()) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) {
    fail("%s:%u: ldmatrix: row %p is not aligned to 16 bytes", location.file_name(), location.line(),
         static_cast<const void*>(row));
  }
  LdmatrixRequest request{row, {}};
  collective(0xffffffffu, WarpOperation::kLdmatrix, &request, complete_ldmatrix, Ordering::kRegistersOnly,
             location);
  const int group = static_cast<int>(lane()) >> 2, pair = (static_cast<int>(lane()) & 3) * 2;
  for (int matrix = 0; matrix < 4; ++matrix) {
    const __nv_bfloat16* const* rows = request.rows + matrix * 8;
    const __nv_bfloat16 low = kTransposed ? rows[pair][group] : rows[group][pair];
    const __nv_bfloat16 high = kTransposed ? rows[pair + 1][group] : rows[group][pair + 1];
    registers[matrix] = __bfloat16_as_ushort(low) | static_cast<unsigned>(__bfloat16_as_ushort(high)) << 16;
  }
}

void cp_async16(void* destination, const void* source);
void cp_async_commit();
void cp_async_wait(int pending_groups);

template <int kPendingGroups>
void cp_async_wait() {
  cp_async_wait(kPendingGroups);
}

}  // namespace cuda_emulation
