// CUDA's built-in vector types with CUDA's alignments: with them UBSan sees a misaligned vector access, which
// a GPU answers with an error and a CPU would quietly carry out.
#pragma once

#define DLCM_VECTOR2(name, type, alignment) \
  struct alignas(alignment) name {          \
    type x, y;                              \
  };                                        \
  inline name make_##name(type x, type y) { \
    return {x, y};                          \
  }

#define DLCM_VECTOR3(name, type)                    \
  struct name {                                     \
    type x, y, z;                                   \
  };                                                \
  inline name make_##name(type x, type y, type z) { \
    return {x, y, z};                               \
  }

#define DLCM_VECTOR4(name, type, alignment)                 \
  struct alignas(alignment) name {                          \
    type x, y, z, w;                                        \
  };                                                        \
  inline name make_##name(type x, type y, type z, type w) { \
    return {x, y, z, w};                                    \
  }

DLCM_VECTOR2(float2, float, 8)
DLCM_VECTOR2(int2, int, 8)
DLCM_VECTOR2(uint2, unsigned, 8)
DLCM_VECTOR2(double2, double, 16)
DLCM_VECTOR2(longlong2, long long, 16)
DLCM_VECTOR2(short2, short, 4)
DLCM_VECTOR2(ushort2, unsigned short, 4)
DLCM_VECTOR3(float3, float)
DLCM_VECTOR3(int3, int)
DLCM_VECTOR3(uint3, unsigned)
DLCM_VECTOR4(float4, float, 16)
DLCM_VECTOR4(int4, int, 16)
DLCM_VECTOR4(uint4, unsigned, 16)
DLCM_VECTOR4(ushort4, unsigned short, 8)
DLCM_VECTOR4(char4, signed char, 4)
DLCM_VECTOR4(uchar4, unsigned char, 4)

#undef DLCM_VECTOR2
#undef DLCM_VECTOR3
#undef DLCM_VECTOR4

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};
