// Atomics and the arithmetic intrinsics that have no counterpart in <cmath>.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace cuda_emulation {

// GCC's builtins rather than plain accesses: the race detector knows them for atomic ones.
template <class T, class Update>
T atomic_update(T* address, Update update) {
  if constexpr (std::is_integral_v<T>) {
    T old_value = __atomic_load_n(address, __ATOMIC_RELAXED);
    T new_value = update(old_value);
    while (!__atomic_compare_exchange_n(address, &old_value, new_value, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
      new_value = update(old_value);
    }
    return old_value;
  } else {
    using Bits =
        std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    const Bits old_bits = atomic_update(reinterpret_cast<Bits*>(address), [&](Bits bits) {
      return std::bit_cast<Bits>(static_cast<T>(update(std::bit_cast<T>(bits))));
    });
    return std::bit_cast<T>(old_bits);
  }
}

}  // namespace cuda_emulation

template <class T, class V>
T atomicAdd(T* address, V value) {
  return cuda_emulation::atomic_update(address, [=](T old_value) { return T(old_value + T(value)); });
}

template <class T, class V>
T atomicMax(T* address, V value) {
  return cuda_emulation::atomic_update(address, [=](T old_value) { return std::max(old_value, T(value)); });
}

template <class T, class V>
T atomicMin(T* address, V value) {
  return cuda_emulation::atomic_update(address, [=](T old_value) { return std::min(old_value, T(value)); });
}

template <class T, class V>
T atomicExch(T* address, V value) {
  return cuda_emulation::atomic_update(address, [=](T) { return T(value); });
}

template <class T>
T atomicCAS(T* address, T expected, T desired) {
  return cuda_emulation::atomic_update(address, [=](T value) { return value == expected ? desired : value; });
}

// nvcc offers these at global scope; with operands of different types they do not compile here: write the
// conversion.
using std::max;
using std::min;

inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}

inline int __popc(unsigned x) {
  return std::popcount(x);
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned>(x));
}

inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline unsigned __float_as_uint(float x) {
  return std::bit_cast<unsigned>(x);
}
inline float __uint_as_float(unsigned x) {
  return std::bit_cast<float>(x);
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
