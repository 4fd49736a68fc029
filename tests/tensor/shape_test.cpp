#include "tensor/shape.h"

#include <limits>

#include <doctest/doctest.h>

#include "tensor/check.h"

using namespace dlcm;

TEST_CASE("shape: sizes, elements, text") {
  const Shape shape = {2, 3, 4};
  CHECK(shape.rank() == 3);
  CHECK(shape.numel() == 24);
  CHECK(shape[0] == 2);
  CHECK(shape[-1] == 4);
  CHECK(shape.to_string() == "[2, 3, 4]");
  CHECK(Shape{}.rank() == 0);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{}.to_string() == "[]");
  CHECK(Shape{3, 0}.numel() == 0);
  CHECK(Shape{2, 3} == Shape(std::vector<int64_t>{2, 3}));
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{6} == Shape{2, 3});
}

TEST_CASE("shape errors") {
  CHECK_THROWS_WITH_AS((Shape{2, -1}), "shape: negative size -1", Error);
  const int64_t large = std::numeric_limits<int64_t>::max();
  CHECK_THROWS_WITH_AS((Shape{large, 2}), "shape: the number of elements overflows", Error);
  CHECK_THROWS_WITH_AS((Shape{2, 3}[2]), "shape [2, 3] has no axis 2", Error);
  CHECK_THROWS_WITH_AS((Shape{2, 3}[-3]), "shape [2, 3] has no axis -3", Error);
}
