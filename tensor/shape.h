// Shape of a row-major tensor: the sizes of its dimensions, slowest first.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

namespace dlcm {

class Shape {
 public:
  Shape() = default;
  // Throws Error where a size is negative or the product overflows 63 bits.
  Shape(std::initializer_list<int64_t> sizes);
  explicit Shape(std::vector<int64_t> sizes);

  int64_t rank() const { return static_cast<int64_t>(sizes_.size()); }
  // Negative axes count from the end.
  int64_t operator[](int64_t axis) const;
  int64_t numel() const { return numel_; }
  const std::vector<int64_t>& sizes() const { return sizes_; }
  std::string to_string() const;  // "[4, 8]"

  bool operator==(const Shape& other) const { return sizes_ == other.sizes_; }

 private:
  std::vector<int64_t> sizes_;
  int64_t numel_ = 1;
};

std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace dlcm
