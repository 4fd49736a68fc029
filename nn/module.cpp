#include "nn/module.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "tensor/ops/cast.h"
#include "tensor/parallel_arrays.h"
#include "tensor/random.h"

namespace dlcm::nn {
namespace {

constexpr double kEmbeddingDeviation = 0.02;

std::string join(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
}

constexpr int64_t kElementsPerRange = 16384;

// Elements from `begin` on of a parameter's initial value. Numbers are float32 whatever the dtype, so that a
// float64 model starts from the same ones.
void initial_values(const Parameter& parameter, uint64_t seed, int64_t begin, std::span<float> to) {
  const Role& role = parameter.role();
  switch (role.kind) {
    case RoleKind::matrix:
    case RoleKind::embedding:
    case RoleKind::tied: {
      const auto fan_in = static_cast<double>(parameter.shape()[1]);
      const double deviation = role.kind == RoleKind::matrix ? role.scale / std::sqrt(fan_in) : role.scale;
      random_normals(seed, RandomStream::parameters, hash_name(parameter.path()),
                     static_cast<uint64_t>(begin), deviation, to);
      break;
    }
    case RoleKind::boundary: {
      const int64_t columns = parameter.shape()[1];
      for (size_t j = 0; j < to.size(); ++j) {
        const int64_t i = begin + static_cast<int64_t>(j);
        to[j] = i / columns == i % columns ? 1 : 0;
      }
      break;
    }
    case RoleKind::unembedding:
      std::ranges::fill(to, 0.0f);
      break;
    case RoleKind::vector:
      std::ranges::fill(to, static_cast<float>(role.scale));
      break;
  }
}

void initialize_range(const Parameter& parameter, uint64_t seed, const Tensor& value, int64_t begin,
                      int64_t end) {
  const auto count = static_cast<size_t>(end - begin);
  if (value.dtype() == DType::f32) {
    return initial_values(parameter, seed, begin, {value.data<float>() + begin, count});
  }
  std::vector<float> narrow(count);
  initial_values(parameter, seed, begin, narrow);
  std::ranges::copy(narrow, value.data<double>() + begin);
}

}  // namespace

Role matrix_role(Width fan_in, double scale) {
  return {RoleKind::matrix, fan_in, scale};
}
Role boundary_role() {
  return {RoleKind::boundary, Width::token, 1.0};
}
Role embedding_role() {
  return {RoleKind::embedding, Width::token, kEmbeddingDeviation};
}
Role unembedding_role() {
  return {RoleKind::unembedding, Width::token, 0.0};
}
Role tied_role() {
  return {RoleKind::tied, Width::token, kEmbeddingDeviation};
}
Role vector_role(double initial) {
  return {RoleKind::vector, Width::token, initial};
}

Module::Module(Module& parent, const std::string& name) : path_(join(parent.path_, name)) {
  parent.children_.push_back(this);
  parent.order_.push_back(true);
}

std::vector<Parameter*> Module::parameters() const {
  std::vector<Parameter*> all;
  auto child = children_.begin();
  auto own = own_.begin();
  for (const bool is_child : order_) {
    if (!is_child) {
      all.push_back(*own++);
      continue;
    }
    const std::vector<Parameter*> below = (*child++)->parameters();
    all.insert(all.end(), below.begin(), below.end());
  }
  return all;
}

Parameter& Module::parameter(const std::string& path) const {
  for (Parameter* parameter : parameters()) {
    if (parameter->path() == path) return *parameter;
  }
  throw Error(concat("no parameter named ", path));
}

void Module::initialize(uint64_t seed, DType dtype) {
  const std::vector<Parameter*> all = parameters();
  std::vector<Tensor> values;
  std::vector<int64_t> sizes;
  for (const Parameter* parameter : all) {
    values.push_back(Tensor::empty(parameter->shape(), dtype));
    sizes.push_back(parameter->shape().numel());
  }
  parallel_for_arrays(sizes, kElementsPerRange, [&](int64_t, size_t i, int64_t begin, int64_t end) {
    initialize_range(*all[i], seed, values[i], begin, end);
  });
  for (size_t i = 0; i < all.size(); ++i) all[i]->set_value(values[i]);
}

void Module::round_operands(DType dtype) {
  for (Parameter* parameter : parameters()) {
    if (is_rounded(parameter->role())) parameter->round_operand(dtype);
  }
}

void Module::pack_operands(DType dtype) {
  for (Parameter* parameter : parameters()) {
    if (is_rounded(parameter->role())) parameter->pack_operand(dtype);
  }
}

void Module::clear_gradients() {
  for (Parameter* parameter : parameters()) {
    if (parameter->initialized()) parameter->variable().slot()->grad = Tensor();
  }
}

Parameter::Parameter(Module& owner, const std::string& name, Shape shape, Role role)
    : path_(join(owner.path(), name)), shape_(std::move(shape)), role_(role) {
  owner.own_.push_back(this);
  owner.order_.push_back(false);
}

const Variable& Parameter::variable() const {
  DLCM_CHECK(initialized(), "parameter ", path_,
             packed_.defined() ? " is packed for products and has no other value"
                               : " has no value: call initialize() or load a checkpoint first");
  return variable_;
}

void Parameter::set_value(const Tensor& value) {
  DLCM_CHECK(value.shape() == shape_, "parameter ", path_, " has shape ", shape_, ", the value given ",
             value.shape());
  variable_ = Variable(value, true);
  operand_ = Variable();
  packed_ = ops::PackedWeight();
}

const Variable& Parameter::operand() const {
  return operand_.defined() ? operand_ : variable();
}

DType Parameter::operand_dtype() const {
  return packed_.defined() ? packed_.arithmetic() : operand().dtype();
}

void Parameter::round_operand(DType dtype) {
  if (dtype != DType::bf16) {
    operand_ = Variable();
  } else if (operand_.defined()) {
    ops::cast_into(value(), operand_.value());
  } else {
    operand_ = variable().in_place_of(ops::cast(value(), dtype));
  }
}

void Parameter::pack_operand(DType dtype) {
  packed_ = ops::PackedWeight(value(), dtype);
  operand_ = Variable();
  if (role_.kind != RoleKind::tied) variable_ = Variable();
}

bool is_rounded(const Role& role) {
  return role.kind == RoleKind::matrix || role.kind == RoleKind::unembedding || role.kind == RoleKind::tied;
}

}  // namespace dlcm::nn
