#include "tensor/ops/offsets.h"

#include <doctest/doctest.h>

namespace dlcm::ops {
namespace {

TEST_CASE("offsets that cut the rows into pieces pass, also those of no rows") {
  CHECK_NOTHROW(check_offsets("op", Tensor::from<int32_t>({0, 2, 3, 7}), 7));
  CHECK_NOTHROW(check_offsets("op", Tensor::from<int32_t>({0}), 0));
}

TEST_CASE("wrong offsets are refused by operator, entry and value") {
  const auto refused = [](const std::vector<int32_t>& offsets, int64_t rows, const char* part) {
    CHECK_THROWS_WITH_AS(check_offsets("pool", Tensor::from(offsets), rows), doctest::Contains(part), Error);
  };
  refused({1, 4}, 4, "pool: the first offset is 1");
  refused({0, 3, 3, 5}, 5, "pool: offset 2 is 3");
  refused({0, 4, 2}, 2, "pool: offset 2 is 2");
  refused({0, 4}, 5, "pool: the last offset is 4, there are 5 rows");
  refused({0, 6}, 5, "pool: the last offset is 6");
  CHECK_THROWS_AS(check_offsets("pool", Tensor::zeros({2, 2}, DType::i32), 2), Error);
  CHECK_THROWS_AS(check_offsets("pool", Tensor::zeros({2}), 0), Error);  // float32
}

TEST_CASE("offsets alone tell how many rows they cut") {
  CHECK(check_offsets("op", Tensor::from<int32_t>({0, 2, 3, 7})) == 7);
  CHECK(check_offsets("op", Tensor::from<int32_t>({0})) == 0);
  CHECK_THROWS_WITH_AS(check_offsets("op", Tensor::from<int32_t>({0, 3, 3})),
                       "op: offset 2 is 3, not above the one before, 3", Error);
}

TEST_CASE("first rows of the pieces") {
  CHECK(first_rows(Tensor::from<int32_t>({0, 1, 4, 6})) ==
        std::vector<bool>{true, true, false, false, true, false});
  CHECK(first_rows(Tensor::from<int32_t>({0})).empty());
}

}  // namespace
}  // namespace dlcm::ops
