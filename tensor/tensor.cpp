#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "tensor/allocator.h"
#include "tensor/dispatch.h"

namespace dlcm {
namespace {

// Calls body with a value of the C++ type that stands for the dtype.
template <class Body>
void with_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body(float{});
    case DType::f64:
      return body(double{});
    case DType::bf16:
      return body(Bf16{});
    case DType::i32:
      return body(int32_t{});
    case DType::i64:
      return body(int64_t{});
    case DType::u8:
      return body(uint8_t{});
    case DType::u16:
      return body(uint16_t{});
    case DType::u32:
      return body(uint32_t{});
  }
  throw Error("not a dtype");
}

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<From, Bf16>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, Bf16>) {
    return Bf16(static_cast<float>(value));
  } else {
    return static_cast<To>(value);
  }
}

#ifdef NDEBUG
constexpr bool kPoison = false;
#else
constexpr bool kPoison = true;
#endif

}  // namespace

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  Tensor tensor;
  tensor.shape_ = std::move(shape);
  tensor.dtype_ = dtype;
  tensor.device_ = device;
  int64_t bytes = 0;
  DLCM_CHECK(!__builtin_mul_overflow(tensor.numel(), static_cast<int64_t>(dtype_size(dtype)), &bytes),
             "tensor of shape ", tensor.shape_, ": its size in bytes overflows");
  tensor.storage_ = allocator(device).allocate(static_cast<size_t>(bytes));
  tensor.data_ = tensor.storage_.get();
  if (kPoison && device.is_cpu() && is_floating(dtype)) tensor.fill(std::numeric_limits<double>::quiet_NaN());
  return tensor;
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  return full(std::move(shape), 0.0, dtype, device);
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor tensor = empty(std::move(shape), dtype, device);
  tensor.fill(value);
  return tensor;
}

Tensor Tensor::empty_like() const {
  return empty(shape_, dtype_, device_);
}
Tensor Tensor::zeros_like() const {
  return zeros(shape_, dtype_, device_);
}

double Tensor::item() const {
  DLCM_CHECK(numel() == 1, "item: tensor has shape ", shape_, ", expected one element");
  const Tensor host = to(Device::cpu());
  double value = 0;
  with_type(dtype_, [&](auto zero) { value = convert<double>(*host.data<decltype(zero)>()); });
  return value;
}

Tensor Tensor::view(Shape shape) const {
  DLCM_CHECK(shape.numel() == numel(), "view: ", shape_, " has ", numel(), " elements, ", shape, " has ",
             shape.numel());
  Tensor other = *this;
  other.shape_ = std::move(shape);
  return other;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  DLCM_CHECK(rank() >= 1 && begin >= 0 && begin <= end && end <= size(0), "slice: rows ", begin, " to ", end,
             " of ", shape_);
  std::vector<int64_t> sizes = shape_.sizes();
  const int64_t row = size(0) == 0 ? 0 : numel() / size(0);
  sizes[0] = end - begin;
  Tensor other = *this;
  other.shape_ = Shape(std::move(sizes));
  other.data_ = static_cast<std::byte*>(data_) + static_cast<size_t>(begin * row) * dtype_size(dtype_);
  return other;
}

Tensor Tensor::clone() const {
  Tensor other = empty_like();
  other.copy_from(*this);
  return other;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  DLCM_CHECK(device_.is_cpu(), "to: conversion from ", dtype_, " to ", dtype, " is done on the CPU");
  Tensor other = empty(shape_, dtype);
  with_type(dtype_, [&](auto from) {
    with_type(dtype, [&](auto target) {
      using From = decltype(from);
      using To = decltype(target);
      std::transform(data<From>(), data<From>() + numel(), other.data<To>(), convert<To, From>);
    });
  });
  return other;
}

Tensor Tensor::to(Device device) const {
  if (device == device_) return *this;
  Tensor other = empty(shape_, dtype_, device);
  other.copy_from(*this);
  return other;
}

void Tensor::copy_from(const Tensor& other) const {
  DLCM_CHECK(shape_ == other.shape_ && dtype_ == other.dtype_, "copy_from: ", other.shape_, " of ",
             other.dtype_, " into ", shape_, " of ", dtype_);
  if (bytes() == 0) return;
  if (device_.is_cpu() && other.device_.is_cpu()) {
    std::memmove(data_, other.data_, bytes());
  } else {
    cuda_copy(data_, device_, other.data_, other.device_, bytes());
  }
}

void Tensor::fill(double value) const {
  if (!device_.is_cpu()) return copy_from(full(shape_, value, dtype_));
  with_type(dtype_, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(data<T>(), numel(), convert<T>(value));
  });
}

}  // namespace dlcm
