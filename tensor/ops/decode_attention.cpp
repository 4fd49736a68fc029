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

namespace dlcm::cpu {
namespace {

using V = detail::Simd<float>;
using Vector = V::Vector;

constexpr int64_t kPartKeys = 256;
constexpr int64_t kTileKeys = 16;  // whose rows, of all heads, stay in the L1 cache
static_assert(kPartKeys % kTileKeys == 0 && kTileKeys % V::kWidth == 0);
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
  typedef uint16_t Halves __attribute__((vector_size(kVectorBytes / 2)));
  Halves halves;
  std::memcpy(&halves, from, sizeof(halves));
  return std::bit_cast<Vector>(__builtin_convertvector(halves, detail::Simd<uint32_t>::Vector) << 16);
}

// Elements [first, d) of a row as far as they fill a vector, then 0.
template <class E>
Vector load_row(const E* row, int64_t first, int64_t d) {
  if (first + V::kWidth <= d) return widened(row + first);
  E rest[V::kWidth] = {};
  std::copy(row + first, row + d, rest);
  return widened(rest);
}

// The part of a cache that one task takes: rows of all its heads, so that memory is read in order.
template <class E>
struct Part {
  const E *keys, *values;
  const float* bias;
  int64_t count, stride, d;

  // A share of the rows from `key` on, `share` of `shares` of a tile, for the processor to fetch: it does not
  // guess the order in which heads read them. Beyond the last key there is nothing to do.
  void fetch(const E* rows, int64_t key, int64_t share, int64_t shares) const {
    const int64_t bytes = std::min(kTileKeys, count - key) * stride * static_cast<int64_t>(sizeof(E));
    const auto* from = reinterpret_cast<const char*>(rows + key * stride);
    for (int64_t byte = bytes * share / shares / 64 * 64; byte < bytes * (share + 1) / shares; byte += 64) {
      __builtin_prefetch(from + byte);
    }
  }
  // The same rows from another head's elements on.
  Part of_head(int64_t head) const {
    Part part = *this;
    part.keys += head * d;
    part.values += head * d;
    return part;
  }
};

// Products of a query with a vector of keys from `first` on, scaled to the base 2; -inf beyond the last.
template <class E>
Vector scores_of(const Part<E>& part, const float* query, int64_t first) {
  const float scale = 1.44269504088896341f / std::sqrt(static_cast<float>(part.d));
  Vector sums[V::kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < V::kWidth; ++i) {
    const E* key = part.keys + std::min(first + i, part.count - 1) * part.stride;
    sums[i] = Vector{};
    for (int64_t j = 0; j < part.d; j += V::kWidth) sums[i] += load_row(key, j, part.d) * V::load(query + j);
  }
  transpose_square<float>(sums);
  for (int step = V::kWidth / 2; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) sums[i] += sums[i + step];
  }
  Vector scores = sums[0] * scale;
  const int64_t left = part.count - first;
  for (int64_t lane = 0; lane < V::kWidth; ++lane) {
    if (part.bias != nullptr && lane < left) scores[lane] += part.bias[first + lane] * 1.44269504088896341f;
    if (lane >= left) scores[lane] = kMinusInfinity;
  }
  return scores;
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

// outputs[width] += weights of the keys [begin, end) times their values.
template <class E>
void add_values(const Part<E>& part, int64_t begin, int64_t end, const float* weights, float* outputs) {
  constexpr int64_t kColumns = 4;
  for (int64_t first = 0; first < part.d; first += kColumns * V::kWidth) {
    const int64_t columns = std::min(kColumns, (part.d - first + V::kWidth - 1) / V::kWidth);
    Vector sums[kColumns] = {};
    for (int64_t key = begin; key < end; ++key) {
      const E* value = part.values + key * part.stride;
#pragma GCC unroll 4
      for (int64_t j = 0; j < kColumns; ++j) {
        if (j < columns) sums[j] += load_row(value, first + j * V::kWidth, part.d) * weights[key];
      }
    }
    for (int64_t j = 0; j < columns; ++j) {
      float* target = outputs + first + j * V::kWidth;
      V::store(target, V::load(target) + sums[j]);
    }
  }
}

// Leaves in `partial` [heads][DecodeSizes::partial()] what these keys contribute; queries are [heads][width].
template <class E>
void attend_part(const DecodeSizes& sizes, const Part<E>& part, const float* queries, float* scores,
                 float* partial) {
  const int64_t group = sizes.group(), width = sizes.width();
  for (int64_t key = 0; key < part.count; key += V::kWidth) {
    const bool is_last = key + V::kWidth >= part.count;
    for (int64_t head = 0; head < sizes.heads; ++head) {
      part.fetch(is_last ? part.values : part.keys, is_last ? 0 : key + V::kWidth, head, sizes.heads);
      V::store(scores + head * kPartKeys + key,
               scores_of(part.of_head(head / group), queries + head * width, key));
    }
  }
  for (int64_t head = 0; head < sizes.heads; ++head) {
    float* to = partial + head * sizes.partial();
    std::tie(to[0], to[1]) = exponentials(part.count, scores + head * kPartKeys);
    std::fill_n(to + 2, width, 0.0f);
  }
  for (int64_t key = 0; key < part.count; key += kTileKeys) {
    const int64_t end = std::min(part.count, key + kTileKeys);
    for (int64_t head = 0; head < sizes.heads; ++head) {
      part.fetch(part.values, end, head, sizes.heads);
      add_values(part.of_head(head / group), key, end, scores + head * kPartKeys,
                 partial + head * sizes.partial() + 2);
    }
  }
}

// Puts the parts of one head together; they are `stride` apart.
void combine(const DecodeSizes& sizes, int64_t parts, const float* partial, int64_t stride, float* o) {
  float maximum = kMinusInfinity, total = 0;
  for (int64_t i = 0; i < parts; ++i) maximum = std::max(maximum, partial[i * stride]);
  std::fill_n(o, sizes.head_dim, 0.0f);
  if (maximum == kMinusInfinity) return;
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
      for (int64_t task = begin; task < end; ++task) attend(task);
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
    float* queries = thread_scratch<float>(heads * (width + kPartKeys + sizes_.partial()));
    float* scores = queries + heads * width;
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
    attend_part(sizes_, part, queries, scores, result);
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
