// Tensor: reference-counted storage on one device, row-major, the last dimension fastest.
//
// A Tensor is a handle: copying it shares the elements, like a shared_ptr. A view (view, slice) shares them
// too. Every tensor is contiguous; a slice is one of leading rows, so it is contiguous as well.
#pragma once

#include <initializer_list>
#include <memory>
#include <type_traits>
#include <vector>

#include "tensor/check.h"
#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace dlcm {

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage, rank 0

  // Elements are not set; in debug builds floating ones are NaN.
  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = Device::cpu());
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = Device::cpu());
  static Tensor full(Shape shape, double value, DType dtype = DType::f32, Device device = Device::cpu());
  // On the CPU, with a copy of the values. Throws Error where their number is not the shape's.
  template <class T>
  static Tensor from(Shape shape, const std::vector<T>& values);
  template <class T>
  static Tensor from(const std::vector<T>& values);  // rank 1
  // Same shape, dtype and device as this one; elements not set.
  Tensor empty_like() const;
  Tensor zeros_like() const;

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int64_t size(int64_t axis) const { return shape_[axis]; }
  int64_t rank() const { return shape_.rank(); }
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  size_t bytes() const { return static_cast<size_t>(numel()) * dtype_size(dtype_); }

  // Elements as T; throws Error where T is not the tensor's dtype. Device memory for a CUDA tensor.
  template <class T>
  T* data() const;
  void* raw_data() const { return data_; }
  // The only element of a one-element tensor, from any device and dtype.
  double item() const;
  // All elements, copied to the host; T must be the dtype.
  template <class T>
  std::vector<T> to_vector() const;

  // Same elements in another shape of the same number of elements.
  Tensor view(Shape shape) const;
  // Rows [begin, end) of the first dimension, sharing the elements.
  Tensor slice(int64_t begin, int64_t end) const;

  Tensor clone() const;
  Tensor to(DType dtype) const;    // this tensor itself where nothing changes
  Tensor to(Device device) const;  // likewise
  // Elements of `other`, which must have this shape and dtype; any devices.
  void copy_from(const Tensor& other) const;
  void fill(double value) const;
  // Whether no other handle shares the storage, so that it may be changed in place.
  bool unique() const { return storage_.use_count() == 1; }

 private:
  std::shared_ptr<void> storage_;
  void* data_ = nullptr;
  Shape shape_;
  DType dtype_ = DType::f32;
  Device device_;
};

template <class T>
T* Tensor::data() const {
  DLCM_CHECK(DTypeOf<T>::value == dtype_, "tensor ", shape_, " of ", dtype_, " read as ", DTypeOf<T>::value);
  return static_cast<T*>(data_);
}

template <class T>
Tensor Tensor::from(Shape shape, const std::vector<T>& values) {
  DLCM_CHECK(shape.numel() == static_cast<int64_t>(values.size()), "tensor of shape ", shape, " from ",
             values.size(), " values");
  Tensor tensor = empty(std::move(shape), DTypeOf<T>::value);
  std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}

template <class T>
Tensor Tensor::from(const std::vector<T>& values) {
  return from(Shape{static_cast<int64_t>(values.size())}, values);
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor host = to(Device::cpu());
  const T* begin = host.data<T>();
  return std::vector<T>(begin, begin + numel());
}

}  // namespace dlcm
