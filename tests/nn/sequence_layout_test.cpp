#include "nn/sequence_layout.h"

#include <doctest/doctest.h>

#include "tests/op_check.h"

namespace dlcm::test {
namespace {

using nn::make_layout;
using Numbers = std::vector<int32_t>;

TEST_CASE("sequence layout: each row sees its document up to itself, positions restart") {
  const Tensor cu_seqlens = Tensor::from<int32_t>({0, 3, 4, 6});
  const nn::SequenceLayout layout = make_layout(cu_seqlens, 4, DType::f32);
  CHECK(nn::positions_of(cu_seqlens).to_vector<int32_t>() == Numbers{0, 1, 2, 0, 0, 1});
  CHECK(layout.causal.key_begin.to_vector<int32_t>() == Numbers{0, 0, 0, 3, 4, 4});
  CHECK(layout.causal.key_end.to_vector<int32_t>() == Numbers{1, 2, 3, 4, 5, 6});
  CHECK_FALSE(layout.causal.key_bias.defined());
  REQUIRE(layout.rotary.size(0) == 6);
  CHECK(bit_equal(layout.rotary.slice(0, 2), layout.rotary.slice(4, 6)));  // angles go by the position
  CHECK_FALSE(bit_equal(layout.rotary.slice(0, 1), layout.rotary.slice(1, 2)));
}

TEST_CASE("sequence layout: wrong offsets and documents without tokens are refused") {
  const auto refused = [](const Numbers& offsets, const char* part) {
    CHECK_THROWS_WITH_AS(make_layout(Tensor::from(offsets), 8, DType::f32), doctest::Contains(part), Error);
  };
  refused({1, 3}, "cu_seqlens: the first offset is 1, expected 0");
  refused({0, 3, 3, 5}, "cu_seqlens: offset 2 is 3, not above the one before, 3");
  refused({0, 4, 2}, "cu_seqlens: offset 2 is 2");
}

}  // namespace
}  // namespace dlcm::test
