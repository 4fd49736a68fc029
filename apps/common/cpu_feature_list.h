// X(name for __builtin_cpu_supports, name for people, macro that the compiler defines where it may use the
// feature) Included by the two sources that compare the compiler's view with the machine's.
#pragma once

#define DLCM_CPU_FEATURES(X)                                    \
  X("sse4.2", "SSE4.2", __SSE4_2__)                             \
  X("popcnt", "POPCNT", __POPCNT__)                             \
  X("avx", "AVX", __AVX__)                                      \
  X("avx2", "AVX2", __AVX2__)                                   \
  X("fma", "FMA", __FMA__)                                      \
  X("bmi", "BMI", __BMI__)                                      \
  X("bmi2", "BMI2", __BMI2__)                                   \
  X("avx512f", "AVX-512F", __AVX512F__)                         \
  X("avx512cd", "AVX-512CD", __AVX512CD__)                      \
  X("avx512bw", "AVX-512BW", __AVX512BW__)                      \
  X("avx512dq", "AVX-512DQ", __AVX512DQ__)                      \
  X("avx512vl", "AVX-512VL", __AVX512VL__)                      \
  X("avx512ifma", "AVX512_IFMA", __AVX512IFMA__)                \
  X("avx512vbmi", "AVX512_VBMI", __AVX512VBMI__)                \
  X("avx512vbmi2", "AVX512_VBMI2", __AVX512VBMI2__)             \
  X("avx512vnni", "AVX512_VNNI", __AVX512VNNI__)                \
  X("avx512bitalg", "AVX512_BITALG", __AVX512BITALG__)          \
  X("avx512vpopcntdq", "AVX512_VPOPCNTDQ", __AVX512VPOPCNTDQ__) \
  X("avx512bf16", "AVX512_BF16", __AVX512BF16__)

namespace dlcm::apps {

struct CompiledFeature {
  const char* name;
  bool compiled;
};

// One for each line above, in order; a constant, so that reading it runs no code (compiled_features.cpp).
extern const CompiledFeature kCompiledFeatures[];

}  // namespace dlcm::apps
