#include "tensor/ops/decode_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "tensor/ops/attention.h"
#include "tensor/parallel.h"
#include "tests/op_check.h"

namespace dlcm::test {
namespace {

struct Sequence {
  Tensor keys, values, bias;  // f32; bias may be undefined
};

Sequence sequence(int64_t length, int64_t kv_heads, int64_t head_dim, uint64_t seed, bool biased) {
  return {random_tensor({length, kv_heads, head_dim}, DType::f32, seed),
          random_tensor({length, kv_heads, head_dim}, DType::f32, seed + 1),
          biased ? random_tensor({length}, DType::f32, seed + 2) : Tensor()};
}

Tensor decode(const Tensor& q, const std::vector<Sequence>& sequences, DType dtype = DType::f32) {
  std::vector<Tensor> held;
  std::vector<ops::DecodeCache> caches;
  for (const Sequence& s : sequences) {
    held.push_back(s.keys.to(dtype));
    held.push_back(s.values.to(dtype));
    caches.push_back({held[held.size() - 2].raw_data(), held.back().raw_data(),
                      s.bias.defined() ? s.bias.data<float>() : nullptr, s.keys.size(0)});
  }
  return ops::decode_attention(q, caches, sequences[0].keys.size(1), dtype);
}

// Row b by `attention` in f64.
Tensor expected_row(const Tensor& q, int64_t b, const Sequence& s, DType dtype = DType::f32) {
  const auto length = static_cast<int32_t>(s.keys.size(0));
  const ops::AttentionLayout layout = {Tensor::from<int32_t>({0}), Tensor::from<int32_t>({length}),
                                       s.bias.defined() ? s.bias.to(DType::f64) : Tensor(), Tensor()};
  return ops::attention(q.slice(b, b + 1).to(DType::f64), s.keys.to(dtype).to(DType::f64),
                        s.values.to(dtype).to(DType::f64), layout)
      .o;
}

void check_decoding(int64_t heads, int64_t kv_heads, int64_t head_dim, const std::vector<int64_t>& lengths) {
  CAPTURE(head_dim);
  std::vector<Sequence> sequences;
  for (const int64_t length : lengths) {
    const uint64_t seed = 10 * sequences.size();
    sequences.push_back(sequence(length, kv_heads, head_dim, seed, seed % 20 == 0));
  }
  const auto count = static_cast<int64_t>(lengths.size());
  const Tensor q = random_tensor({count, heads, head_dim}, DType::f32, 7);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor together = decode(q, sequences, dtype);
    for (int64_t b = 0; b < count; ++b) {
      CAPTURE(b);
      const Sequence& own = sequences[static_cast<size_t>(b)];
      const Tensor row = together.slice(b, b + 1);
      CHECK_CLOSE(row, expected_row(q, b, own, dtype), 1e-5);
      CHECK(bit_equal(row, decode(q.slice(b, b + 1), {own}, dtype)));  // the batch does not matter
    }
  }
}

}  // namespace

TEST_CASE("decode_attention: attention of one row for each sequence, whatever the batch") {
  check_decoding(4, 2, 64, {1, 0, 15, 16, 17, 511, 512, 513, 1500});
  check_decoding(3, 3, 20, {5, 700});
  check_decoding(6, 2, 3, {40, 1, 0});
  check_decoding(2, 1, 96, {130, 1030});
  check_decoding(7, 1, 32, {33, 300});  // seven heads share a key: four, two and one at once
  check_decoding(2, 1, 8, {0, 0});
}

TEST_CASE("decode_attention: NaN is not lost, whether some scores are NaN or all") {
  const Tensor q = random_tensor({2, 4, 64}, DType::f32, 7);
  std::vector<Sequence> sequences = {sequence(700, 2, 64, 1, false), sequence(40, 2, 64, 5, false)};
  sequences[0].keys.data<float>()[300 * 2 * 64] = std::numeric_limits<float>::quiet_NaN();  // of heads 0, 1
  Tensor damaged = q.clone();
  std::fill_n(damaged.data<float>() + q.numel() / 2, q.numel() / 2, std::numeric_limits<float>::quiet_NaN());
  const Tensor o = decode(damaged, sequences);
  const auto share_of_nan = [&](int64_t begin, int64_t end) {
    return std::count_if(o.data<float>() + begin, o.data<float>() + end,
                         [](float x) { return std::isnan(x); });
  };
  CHECK(share_of_nan(0, 128) == 128);
  CHECK(share_of_nan(128, 256) == 0);
  CHECK(share_of_nan(256, 512) == 256);
}

TEST_CASE("decode_attention: the number of threads does not matter") {
  const std::vector<Sequence> sequences = {sequence(3000, 2, 64, 1, true), sequence(20, 2, 64, 5, false)};
  const Tensor q = random_tensor({2, 4, 64}, DType::f32, 7);
  const int threads = thread_count();
  Tensor first;
  for (const int count : {1, 2, 3}) {
    set_thread_count(count);
    const Tensor now = decode(q, sequences);
    if (!first.defined()) first = now;
    CHECK(bit_equal(now, first));
  }
  set_thread_count(threads);
}

TEST_CASE("decode_attention: errors") {
  const Tensor q = random_tensor({2, 4, 8}, DType::f32, 7);
  const std::vector<ops::DecodeCache> two(2);
  CHECK_THROWS_AS(ops::decode_attention(q, std::vector<ops::DecodeCache>(1), 2, DType::f32), Error);
  CHECK_THROWS_AS(ops::decode_attention(q, two, 3, DType::f32), Error);
  CHECK_THROWS_AS(ops::decode_attention(q, two, 2, DType::f64), Error);
  CHECK_THROWS_AS(ops::decode_attention(q.to(DType::f64), two, 2, DType::f32), Error);
}

}  // namespace dlcm::test
