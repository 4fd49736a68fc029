#include "nn/sequence_layout.h"

#include <doctest/doctest.h>

#include "tests/op_check.h"

namespace dlcm::test {
namespace {

using nn::make_layout;
using Numbers = std::vector<int32_t>;

TEST_CASE("sequence layout: each row sees its document up to itself, positions restart") {
  const Tensor cu_seqlens = Tensor::from<int32_t>({0, 3, 3, 4, 6});  // the second document is empty
  const nn::SequenceLayout layout = make_layout(cu_seqlens, 4, DType::f32);
  CHECK(nn::positions_of(cu_seqlens).to_vector<int32_t>() == Numbers{0, 1, 2, 0, 0, 1});
  CHECK(layout.causal.key_begin.to_vector<int32_t>() == Numbers{0, 0, 0, 3, 4, 4});
  CHECK(layout.causal.key_end.to_vector<int32_t>() == Numbers{1, 2, 3, 4, 5, 6});
  CHECK_FALSE(layout.causal.key_bias.defined());
  REQUIRE(layout.rotary.size(0) == 6);
  CHECK(bit_equal(layout.rotary.slice(0, 2), layout.rotary.slice(4, 6)));  // angles go by the position
  CHECK_FALSE(bit_equal(layout.rotary.slice(0, 1), layout.rotary.slice(1, 2)));
}

TEST_CASE("sequence layout: no documents, and offsets that are wrong") {
  CHECK(make_layout(Tensor::from<int32_t>({0}), 4, DType::f32).causal.key_begin.numel() == 0);
  CHECK_THROWS_WITH_AS(make_layout(Tensor::from<int32_t>({1, 2}), 4, DType::f32),
                       "cu_seqlens begins with 1, expected 0", Error);
  CHECK_THROWS_WITH_AS(make_layout(Tensor::from<int32_t>({0, 5, 4}), 4, DType::f32),
                       "cu_seqlens falls from 5 to 4 at 2", Error);
  CHECK_THROWS_WITH_AS(make_layout(Tensor::from<int32_t>({}), 4, DType::f32),
                       "cu_seqlens has shape [0], expected [documents + 1]", Error);
}

}  // namespace
}  // namespace dlcm::test
