#include "nn/sequence_layout.h"

#include <doctest/doctest.h>

namespace dlcm::nn {
namespace {

using Ints = std::vector<int32_t>;

TEST_CASE("sequence layout: positions restart, and each row sees its document up to itself") {
  const SequenceLayout layout = make_layout(Tensor::from<int32_t>({0, 3, 4, 6}), 8, DType::f32);
  CHECK(positions_of(layout.cu_seqlens).to_vector<int32_t>() == Ints{0, 1, 2, 0, 0, 1});
  CHECK(layout.causal.key_begin.to_vector<int32_t>() == Ints{0, 0, 0, 3, 4, 4});
  CHECK(layout.causal.key_end.to_vector<int32_t>() == Ints{1, 2, 3, 4, 5, 6});
}

TEST_CASE("sequence layout: wrong offsets and documents without tokens are refused") {
  const auto refused = [](const Ints& offsets, const char* part) {
    CHECK_THROWS_WITH_AS(make_layout(Tensor::from(offsets), 8, DType::f32), doctest::Contains(part), Error);
  };
  refused({1, 3}, "cu_seqlens: the first offset is 1, expected 0");
  refused({0, 3, 3, 5}, "cu_seqlens: offset 2 is 3, not above the one before, 3");
  refused({0, 4, 2}, "cu_seqlens: offset 2 is 2");
}

}  // namespace
}  // namespace dlcm::nn
