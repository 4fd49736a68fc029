#include "nn/module.h"

#include <cmath>

#include "tensor/ops/cast.h"
#include "tensor/parallel.h"
#include "tensor/random.h"

namespace dlcm::nn {
namespace {

constexpr double kEmbeddingDeviation = 0.02;

std::string join(const std::string& parent, const std::string& name) {
  return parent.empty() ? name : parent + "/" + name;
}

void fill_normal(const Tensor& tensor, double deviation, uint64_t seed, uint64_t index) {
  parallel_for(tensor.numel(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double value =
          deviation * random_normal(seed, RandomStream::parameters, index, static_cast<uint64_t>(i));
      // Rounded to float32 whatever the dtype, so that a float64 model starts from the same numbers.
      if (tensor.dtype() == DType::f32) {
        tensor.data<float>()[i] = static_cast<float>(value);
      } else {
        tensor.data<double>()[i] = static_cast<float>(value);
      }
    }
  });
}

void fill_identity(const Tensor& tensor) {
  tensor.fill(0);
  for (int64_t i = 0; i < std::min(tensor.size(0), tensor.size(1)); ++i) {
    tensor.slice(i, i + 1).view({tensor.size(1)}).slice(i, i + 1).fill(1);
  }
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
  for (Parameter* parameter : parameters()) parameter->set_value(initial_value(*parameter, seed, dtype));
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
  variable_ = Variable();
  operand_ = Variable();
}

bool is_rounded(const Role& role) {
  return role.kind == RoleKind::matrix || role.kind == RoleKind::unembedding;
}

Tensor initial_value(const Parameter& parameter, uint64_t seed, DType dtype) {
  const Role& role = parameter.role();
  const uint64_t index = hash_name(parameter.path());
  Tensor value = Tensor::empty(parameter.shape(), dtype);
  switch (role.kind) {
    case RoleKind::matrix:
      fill_normal(value, role.scale / std::sqrt(static_cast<double>(parameter.shape()[1])), seed, index);
      break;
    case RoleKind::boundary:
      fill_identity(value);
      break;
    case RoleKind::embedding:
      fill_normal(value, role.scale, seed, index);
      break;
    case RoleKind::unembedding:
      value.fill(0);
      break;
    case RoleKind::vector:
      value.fill(role.scale);
      break;
  }
  return value;
}

}  // namespace dlcm::nn
