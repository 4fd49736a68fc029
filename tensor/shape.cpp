#include "tensor/shape.h"

#include <utility>

#include "tensor/check.h"

namespace dlcm {
namespace {

int64_t product(const std::vector<int64_t>& sizes) {
  int64_t numel = 1;
  for (const int64_t size : sizes) {
    DLCM_CHECK(size >= 0, "shape: negative size ", size);
    DLCM_CHECK(!__builtin_mul_overflow(numel, size, &numel), "shape: the number of elements overflows");
  }
  return numel;
}

}  // namespace

Shape::Shape(std::initializer_list<int64_t> sizes) : Shape(std::vector<int64_t>(sizes)) {}

Shape::Shape(std::vector<int64_t> sizes) : sizes_(std::move(sizes)), numel_(product(sizes_)) {}

int64_t Shape::operator[](int64_t axis) const {
  const int64_t index = axis < 0 ? axis + rank() : axis;
  DLCM_CHECK(index >= 0 && index < rank(), "shape ", to_string(), " has no axis ", axis);
  return sizes_[static_cast<size_t>(index)];
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (size_t i = 0; i < sizes_.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes_[i]);
  return text + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  return out << shape.to_string();
}

}  // namespace dlcm
