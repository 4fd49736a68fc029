#include "golden.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <doctest/doctest.h>
#include <hdf5.h>

#include "op_check.h"
#include "paths.h"

namespace dlcm::test {
namespace {

// Closes an HDF5 identifier when it goes.
struct Handle {
  hid_t id;
  herr_t (*close)(hid_t);
  Handle(hid_t opened, herr_t (*closer)(hid_t)) : id(opened), close(closer) {
    DLCM_CHECK(id >= 0, "golden file: HDF5 call failed");
  }
  ~Handle() { close(id); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

Tensor read(hid_t dataset, const Shape& shape, DType dtype, hid_t type) {
  const Tensor tensor = Tensor::empty(shape, dtype);
  DLCM_CHECK(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.raw_data()) >= 0,
             "golden file: H5Dread failed");
  return tensor;
}

double largest(const Tensor& x) {
  double most = 0;
  for (const double value : x.to_vector<double>()) {
    if (!std::isnan(value)) most = std::max(most, std::abs(value));
  }
  return most;
}

}  // namespace

Golden::Golden(const std::string& file, const std::string& name)
    : path_(source_folder() + "/tests/goldens/" + file), name_(name) {
  const Handle opened(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  const Handle attribute(H5Aopen_by_name(opened.id, name.c_str(), "config", H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  const Handle type(H5Aget_type(attribute.id), H5Tclose);
  if (H5Tis_variable_str(type.id) > 0) {
    char* text = nullptr;
    H5Aread(attribute.id, type.id, &text);
    config_ = text;
    H5free_memory(text);
  } else {
    config_.resize(H5Tget_size(type.id));
    H5Aread(attribute.id, type.id, config_.data());
    config_.resize(std::min(config_.size(), config_.find('\0')));
  }
}

bool Golden::has(const std::string& path) const {
  const Handle opened(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  std::string prefix = name_;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    prefix += "/" + path.substr(begin, end - begin);
    if (H5Lexists(opened.id, prefix.c_str(), H5P_DEFAULT) <= 0) return false;
    begin = end + 1;
  }
  return true;
}

Tensor Golden::tensor(const std::string& path) const {
  const Handle opened(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  const Handle dataset(H5Dopen2(opened.id, (name_ + "/" + path).c_str(), H5P_DEFAULT), H5Dclose);
  const Handle space(H5Dget_space(dataset.id), H5Sclose);
  const Handle type(H5Dget_type(dataset.id), H5Tclose);
  std::vector<hsize_t> sizes(static_cast<size_t>(H5Sget_simple_extent_ndims(space.id)));
  H5Sget_simple_extent_dims(space.id, sizes.data(), nullptr);
  const Shape shape = sizes.empty() ? Shape{1} : Shape(std::vector<int64_t>(sizes.begin(), sizes.end()));
  if (H5Tget_class(type.id) == H5T_FLOAT) return read(dataset.id, shape, DType::f64, H5T_NATIVE_DOUBLE);
  if (H5Tget_size(type.id) == 1) return read(dataset.id, shape, DType::u8, H5T_NATIVE_UINT8);
  return read(dataset.id, shape, DType::i32, H5T_NATIVE_INT32);
}

void Golden::load(nn::Module& module, DType dtype) const {
  for (nn::Parameter* parameter : module.parameters()) {
    parameter->set_value(tensor("parameters/" + parameter->path(), dtype));
  }
}

void Golden::check_gradients(const nn::Module& module, double tolerance) const {
  for (const nn::Parameter* parameter : module.parameters()) {
    const Tensor expected = tensor("gradients/" + parameter->path());
    const Tensor found = parameter->grad().defined() ? parameter->grad() : expected.zeros_like();
    check_relative(found, expected, tolerance, name_ + ": gradient of " + parameter->path());
  }
}

void check_relative(const Tensor& found, const Tensor& expected, double tolerance, const std::string& what) {
  REQUIRE_MESSAGE(found.shape() == expected.shape(), what, ": shape ", found.shape().to_string(),
                  ", expected ", expected.shape().to_string());
  const std::vector<double> a = found.to(DType::f64).to_vector<double>();
  const std::vector<double> b = expected.to(DType::f64).to_vector<double>();
  const double allowed =
      tolerance * std::max(largest(expected.to(DType::f64)), std::numeric_limits<double>::min());
  size_t worst = 0;
  double error = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(b[i]) && std::isnan(a[i])) continue;
    const double difference = std::isnan(a[i]) || std::isnan(b[i]) ? INFINITY : std::abs(a[i] - b[i]);
    if (difference > error) {
      error = difference;
      worst = i;
    }
  }
  CHECK_MESSAGE(error <= allowed, what, ": element ", worst, " is ", a.empty() ? 0 : a[worst], ", expected ",
                b.empty() ? 0 : b[worst], ", ", error / allowed, " of the tolerance");
}

}  // namespace dlcm::test
