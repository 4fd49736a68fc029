#include "tensor/ops/decode_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "tensor/dispatch.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/scratch.h"
#include "tensor/simd.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace dlcm::cpu {
namespace {

using V = detail::Simd<float>;
using Vector = V::Vector;

constexpr int64_t kPartKeys = 256;
constexpr int64_t kValueRows = 8;  // added up at once
static_assert(kPartKeys % V::kWidth == 0 && kPartKeys % kValueRows == 0);
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct DecodeSizes {
  int64_t sequences, heads, kv_heads, head_dim, parts;
  int64_t group() const { return heads / kv_heads; }
  int64_t width() const { return padded(head_dim); }
  // Numbers that a part leaves for one head: maximum, total, outputs.
  int64_t partial() const { return 2 + width(); }
};

inline Vector widened(const float* from) {
  return V::load(from);
}
inline Vector widened(const Bf16* from) {
#if defined(__AVX512F__)
  // GCC 12 makes two halves of __builtin_convertvector, and warns of its own header where no mask is given.
  const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  const __m512i words = _mm512_maskz_cvtepu16_epi32(0xffff, halves);
  return std::bit_cast<Vector>(std::bit_cast<detail::Simd<uint32_t>::Vector>(words) << 16);
#else
  typedef uint16_t Halves __attribute__((vector_size(kVectorBytes / 2)));
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  return std::bit_cast<Vector>(__builtin_convertvector(halves, detail::Simd<uint32_t>::Vector) << 16);
#endif
}

// Elements [first, d) of a row as far as they fill a vector, then 0.
template <class E>
Vector load_row(const E* row, int64_t first, int64_t d) {
  if (first + V::kWidth <= d) return widened(row + first);
  E rest[V::kWidth] = {};
  std::copy(row + first, row + d, rest);
  return widened(rest);
}

// The part of a cache that one task takes: whole rows, of all heads, so that memory is read in order, as fast
// as it can be.
template <class E>
struct Part {
  const E *keys, *values;
  const float* bias;
  int64_t count, stride, d;

  // What lies a page behind these rows, for the processor to fetch: of itself it does not leave a page.
  void fetch_ahead(const E* rows, int64_t number) const {
    constexpr int64_t kPage = 4096;
    const auto* from = reinterpret_cast<const char*>(rows) + kPage;
    const int64_t bytes = number * stride * static_cast<int64_t>(sizeof(E));
    for (int64_t byte = 0; byte < bytes; byte += 64) __builtin_prefetch(from + byte);
  }
};

// Sums of the vectors of a square along their lanes.
inline Vector sums_along(Vector (&square)[V::kWidth]) {
  transpose_square<float>(square);
  for (int step = V::kWidth / 2; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) square[i] += square[i + step];
  }
  return square[0];
}

// Products, lane by lane, of a key with the queries of kHeads heads that share it: those of the next head lie
// kWidth rows behind.
template <int kHeads, class E>
void multiply_key(const E* key, int64_t d, const float* queries, int64_t width, float* products) {
  Vector sums[kHeads] = {};
  for (int64_t j = 0; j < d; j += V::kWidth) {
    const Vector row = load_row(key, j, d);
#pragma GCC unroll 4
    for (int head = 0; head < kHeads; ++head) sums[head] += row * V::load(queries + head * width + j);
  }
#pragma GCC unroll 4
  for (int head = 0; head < kHeads; ++head) V::store(products + head * V::kWidth * V::kWidth, sums[head]);
}

// The same for all heads.
template <class E>
void multiply_keys(const DecodeSizes& sizes, const E* key, int64_t d, const float* queries, float* products) {
  const int64_t group = sizes.group(), width = sizes.width();
  constexpr int64_t kSquare = V::kWidth * V::kWidth;
  for (int64_t kv_head = 0; kv_head < sizes.kv_heads; ++kv_head, key += d) {
    int64_t head = 0;
    for (; head + 4 <= group; head += 4, queries += 4 * width, products += 4 * kSquare)
      multiply_key<4>(key, d, queries, width, products);
    for (; head + 2 <= group; head += 2, queries += 2 * width, products += 2 * kSquare)
      multiply_key<2>(key, d, queries, width, products);
    for (; head < group; ++head, queries += width, products += kSquare)
      multiply_key<1>(key, d, queries, width, products);
  }
}

// Products of the queries with a vector of keys from `first` on, scaled to the base 2, to [head][kPartKeys];
// -inf beyond the last key. `products` [head][key][lane] has room for them before they are summed.
template <class E>
void score_keys(const DecodeSizes& sizes, const Part<E>& part, const float* queries, int64_t first,
                float* products, float* scores) {
  const int64_t keys = std::min<int64_t>(V::kWidth, part.count - first);
  for (int64_t i = 0; i < keys; ++i) {
    const E* key = part.keys + (first + i) * part.stride;
    part.fetch_ahead(key, 1);
    multiply_keys(sizes, key, part.d, queries, products + i * V::kWidth);
  }
  for (int64_t i = keys; i < V::kWidth; ++i) {
    for (int64_t head = 0; head < sizes.heads; ++head)
      V::store(products + (head * V::kWidth + i) * V::kWidth, Vector{});
  }
  constexpr float kLog2E = 1.44269504088896341f;
  const float scale = kLog2E / std::sqrt(static_cast<float>(part.d));
  float bias[V::kWidth] = {};
  if (part.bias != nullptr) std::copy_n(part.bias + first, keys, bias);
  std::fill(bias + keys, bias + V::kWidth, kMinusInfinity);
  for (int64_t head = 0; head < sizes.heads; ++head) {
    Vector square[V::kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < V::kWidth; ++i) square[i] = V::load(products + (head * V::kWidth + i) * V::kWidth);
    V::store(scores + head * kPartKeys + first, sums_along(square) * scale + V::load(bias) * kLog2E);
  }
}

// Turns scores into exponentials relative to their maximum; returns that and their sum.
std::pair<float, float> exponentials(int64_t count, float* scores) {
  Vector highest = V::all(kMinusInfinity), sum = {};
  for (int64_t key = 0; key < count; key += V::kWidth) {
    const Vector s = V::load(scores + key);
    highest = s > highest ? s : highest;
  }
  float maximum = kMinusInfinity, total = 0;
  for (int lane = 0; lane < V::kWidth; ++lane) maximum = std::max(maximum, highest[lane]);
  const float reference = maximum == kMinusInfinity ? 0 : maximum;
  for (int64_t key = 0; key < count; key += V::kWidth) {
    Vector p[] = {V::load(scores + key) - reference};
    exp2_each<float>(p);
    sum += p[0];
    V::store(scores + key, p[0]);
  }
  for (int lane = 0; lane < V::kWidth; ++lane) total += sum[lane];
  return {maximum, total};
}

// Adds weights x values of kRows keys from `first` on to the outputs, the last numbers of `partial`.
template <int kRows, class E>
void add_values(const DecodeSizes& sizes, const Part<E>& part, int64_t first, const float* weights,
                float* partial) {
  const E* rows = part.values + first * part.stride;
  part.fetch_ahead(rows, kRows);
  // Held here, as the compiler cannot know that the outputs are not written over them.
  const int64_t d = part.d, stride = part.stride, group = sizes.group(), step = sizes.partial();
  const float* weight_row = weights + first;
  float* outputs = partial + 2;
  for (int64_t kv_head = 0; kv_head < sizes.kv_heads; ++kv_head, rows += d) {
    for (int64_t j = 0; j < d; j += V::kWidth) {
      Vector values[kRows];
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) values[i] = load_row(rows + i * stride, j, d);
      for (int64_t head = 0; head < group; ++head) {
        const float* weight = weight_row + head * kPartKeys;
        float* output = outputs + head * step + j;
        Vector sum = V::load(output);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) sum += values[i] * weight[i];
        V::store(output, sum);
      }
    }
    weight_row += group * kPartKeys;
    outputs += group * step;
  }
}

// Leaves in `partial` [heads][DecodeSizes::partial()] what these keys contribute; queries are [heads][width].
template <class E>
void attend_part(const DecodeSizes& sizes, const Part<E>& part, const float* queries, float* products,
                 float* scores, float* partial) {
  for (int64_t key = 0; key < part.count; key += V::kWidth) {
    score_keys(sizes, part, queries, key, products, scores);
  }
  for (int64_t head = 0; head < sizes.heads; ++head) {
    float* to = partial + head * sizes.partial();
    std::tie(to[0], to[1]) = exponentials(part.count, scores + head * kPartKeys);
    std::fill_n(to + 2, sizes.width(), 0.0f);
  }
  int64_t key = 0;
  for (; key + kValueRows <= part.count; key += kValueRows) {
    add_values<kValueRows>(sizes, part, key, scores, partial);
  }
  for (; key < part.count; ++key) add_values<1>(sizes, part, key, scores, partial);
}

// Puts the parts of one head together; they are `stride` apart.
void combine(const DecodeSizes& sizes, int64_t parts, const float* partial, int64_t stride, float* o) {
  float maximum = kMinusInfinity, total = 0, sums = 0;
  for (int64_t i = 0; i < parts; ++i) {
    maximum = std::max(maximum, partial[i * stride]);
    sums += partial[i * stride + 1];
  }
  const bool empty = maximum == kMinusInfinity;
  std::fill_n(o, sizes.head_dim, empty ? sums : 0.0f);  // 0, or NaN where all scores are
  if (empty) return;
  for (int64_t i = 0; i < parts; ++i) {
    const float* from = partial + i * stride;
    const float factor = fast_exp2(from[0] - maximum);
    total += from[1] * factor;
    for (int64_t j = 0; j < sizes.head_dim; ++j) o[j] += from[2 + j] * factor;
  }
  const float inverse = 1.0f / total;
  for (int64_t j = 0; j < sizes.head_dim; ++j) o[j] *= inverse;
}

template <class E>
class Decoding {
 public:
  Decoding(const DecodeSizes& sizes, const Tensor& q, std::span<const ops::DecodeCache> caches,
           const Tensor& o)
      : sizes_(sizes), q_(q.data<float>()), caches_(caches), o_(o.data<float>()) {
    if (sizes.parts > 1) partial_ = Tensor::empty({tasks() * sizes.heads * sizes.partial()});
  }

  void run() const {
    parallel_for(tasks(), grain(), [&](int64_t begin, int64_t end) {
      for (int64_t index = begin; index < end; ++index) attend(folded(index, tasks()));
    });
    if (sizes_.parts == 1) return;
    for (int64_t b = 0; b < sizes_.sequences; ++b) finish(b, parts_of(b), partial(b * sizes_.parts));
  }

 private:
  int64_t tasks() const { return sizes_.sequences * sizes_.parts; }
  int64_t parts_of(int64_t b) const {
    return (caches_[static_cast<size_t>(b)].length + kPartKeys - 1) / kPartKeys;
  }
  float* partial(int64_t task) const {
    return partial_.data<float>() + task * sizes_.heads * sizes_.partial();
  }

  // Tasks that read enough to be worth a thread.
  int64_t grain() const {
    constexpr int64_t kBytes = 1 << 16;
    int64_t read = 1;
    for (const ops::DecodeCache& cache : caches_) {
      read += 2 * cache.length * sizes_.kv_heads * sizes_.head_dim * static_cast<int64_t>(sizeof(E));
    }
    return kBytes * tasks() / read;
  }

  void attend(int64_t task) const {
    const int64_t b = task / sizes_.parts, first = task % sizes_.parts * kPartKeys;
    const ops::DecodeCache& cache = caches_[static_cast<size_t>(b)];
    if (first > 0 && first >= cache.length) return;
    const int64_t heads = sizes_.heads, width = sizes_.width();
    constexpr int64_t kSquare = V::kWidth * V::kWidth;
    float* queries = thread_scratch<float>(heads * (width + kSquare + kPartKeys + sizes_.partial()));
    float* products = queries + heads * width;
    float* scores = products + heads * kSquare;
    for (int64_t head = 0; head < heads; ++head) {
      const float* from = q_ + (b * heads + head) * sizes_.head_dim;
      std::copy_n(from, sizes_.head_dim, queries + head * width);
      std::fill(queries + head * width + sizes_.head_dim, queries + (head + 1) * width, 0.0f);
    }
    const int64_t stride = sizes_.kv_heads * sizes_.head_dim;
    const Part<E> part = {static_cast<const E*>(cache.keys) + first * stride,
                          static_cast<const E*>(cache.values) + first * stride,
                          cache.key_bias != nullptr ? cache.key_bias + first : nullptr,
                          std::min(kPartKeys, cache.length - first),
                          stride,
                          sizes_.head_dim};
    float* result = sizes_.parts > 1 ? partial(task) : scores + heads * kPartKeys;
    attend_part(sizes_, part, queries, products, scores, result);
    if (sizes_.parts == 1) finish(b, parts_of(b), result);
  }

  void finish(int64_t b, int64_t parts, const float* from) const {
    for (int64_t head = 0; head < sizes_.heads; ++head) {
      combine(sizes_, parts, from + head * sizes_.partial(), sizes_.heads * sizes_.partial(),
              o_ + (b * sizes_.heads + head) * sizes_.head_dim);
    }
  }

  DecodeSizes sizes_;
  const float* q_;
  std::span<const ops::DecodeCache> caches_;
  float* o_;
  Tensor partial_;
};

void decode_attention(const DecodeSizes& sizes, const Tensor& q, std::span<const ops::DecodeCache> caches,
                      DType dtype, const Tensor& o) {
  if (dtype == DType::bf16) {
    Decoding<Bf16>(sizes, q, caches, o).run();
  } else {
    Decoding<float>(sizes, q, caches, o).run();
  }
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {

Tensor decode_attention(const Tensor& q, std::span<const DecodeCache> caches, int64_t kv_heads, DType dtype) {
  DLCM_CHECK(q.rank() == 3 && q.dtype() == DType::f32 && q.size(0) == std::ssize(caches),
             "decode_attention: q is ", q.shape(), " of ", q.dtype(), "; expected [", caches.size(),
             ", heads, head_dim] of f32");
  DLCM_CHECK(kv_heads > 0 && q.size(1) % kv_heads == 0, "decode_attention: ", q.size(1), " heads and ",
             kv_heads, " key heads; heads must be a multiple of key heads");
  DLCM_CHECK(dtype == DType::f32 || dtype == DType::bf16, "decode_attention: caches of ", dtype,
             ", expected f32 or bf16");
  int64_t longest = 0, keys = 0;
  for (const DecodeCache& cache : caches) {
    longest = std::max(longest, cache.length);
    keys += cache.length;
  }
  const ProfileScope profile("decode_attention", 4.0 * static_cast<double>(q.size(1) * q.size(2)), keys);
  const cpu::DecodeSizes sizes = {q.size(0), q.size(1), kv_heads, q.size(2),
                                  std::max<int64_t>(1, (longest + cpu::kPartKeys - 1) / cpu::kPartKeys)};
  const Tensor o = q.empty_like();
  DLCM_DISPATCH_CPU(q.device(), decode_attention(sizes, q, caches, dtype, o));
  return o;
}

}  // namespace dlcm::ops
