// Module: a named tree of parameters.
//
//   class Linear : public Module {
//     Linear(Module& parent, std::string name, int64_t in, int64_t out) : Module(parent, std::move(name)),
//         weight_(*this, "weight", {out, in}, matrix_role(Width::token)) {}
//     Parameter weight_;
//   };
//
// Names are stable: joined with '/', they are the parameters' paths in a checkpoint
// ("encoder/layers/0/attention/q_proj"). Building a module allocates nothing, so that a model of any size can
// be described; initialize() or a checkpoint gives the parameters their values.
#pragma once

#include <string>
#include <vector>

#include "autograd/variable.h"
#include "tensor/ops/matmul.h"

namespace dlcm::nn {

using autograd::Variable;

// The width whose multiplier s = width / base a matrix takes under muP: that of its fan-in (Eq. 18).
enum class Width { token, concepts };

enum class RoleKind {
  matrix,       // [out, in], normal with deviation scale / sqrt(in)
  boundary,     // [d, d], starts as the identity; its own learning rate
  embedding,    // [V, d], normal with deviation `scale`
  unembedding,  // [V, d], starts at 0
  tied,         // [V, d], embedding and unembedding at once: starts as an embedding
  vector        // norm gains and gates, start at `scale`; no weight decay
};

// What a parameter is for. muP multipliers, initial values and weight decay read it; they never read the
// name.
struct Role {
  RoleKind kind = RoleKind::matrix;
  Width fan_in = Width::token;
  double scale = 1.0;
};

Role matrix_role(Width fan_in, double scale = 1.0);
Role boundary_role();
Role embedding_role();
Role unembedding_role();
Role tied_role();
Role vector_role(double initial);

class Parameter;

class Module {
 public:
  Module() = default;  // the root of a tree
  Module(Module& parent, const std::string& name);
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Every parameter of this module and of those below it, in the order of creation.
  std::vector<Parameter*> parameters() const;
  // The parameter with this path; throws Error naming the path where there is none.
  Parameter& parameter(const std::string& path) const;
  // Path from the root, empty for the root itself.
  const std::string& path() const { return path_; }

  // Gives every parameter its initial value: a pure function of (seed, path, role), so that it does not
  // depend on the order of creation, on the device or on other parameters.
  void initialize(uint64_t seed, DType dtype = DType::f32);
  // bf16: every matrix whose products may be rounded (is_rounded) has from now on an operand in bf16. Call it
  // again when values have changed.
  void round_operands(DType dtype);
  // For inference alone: those matrices are kept only packed for products in `dtype` (f32 or bf16); a tied
  // one beside its values, from which rows are looked up.
  void pack_operands(DType dtype);
  void clear_gradients();

 private:
  friend class Parameter;
  std::string path_;
  std::vector<Module*> children_;
  std::vector<Parameter*> own_;
  std::vector<bool> order_;  // true: the next child module, false: the next own parameter
};

class Parameter {
 public:
  Parameter(Module& owner, const std::string& name, Shape shape, Role role);
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  const std::string& path() const { return path_; }
  const Shape& shape() const { return shape_; }
  const Role& role() const { return role_; }

  // The value as a differentiable variable. Throws Error where the parameter has no value yet.
  const Variable& variable() const;
  const Tensor& value() const { return variable().value(); }
  // Undefined where no gradient has arrived.
  const Tensor& grad() const { return variable().grad(); }
  bool initialized() const { return variable_.defined(); }
  // Takes the tensor as the value; throws Error naming path and both shapes where they differ.
  void set_value(const Tensor& value);

  // What matrix products read: the value, or its rounding to bf16, whose gradient arrives at the value's
  // place.
  const Variable& operand() const;
  // Dtype of the products: that of the operand, or of the packed weight.
  DType operand_dtype() const;
  void round_operand(DType dtype);
  // The value is given up for a packed one, unless the parameter is tied; only nn::linear reads that.
  void pack_operand(DType dtype);
  const ops::PackedWeight& packed() const { return packed_; }

 private:
  std::string path_;
  Shape shape_;
  Role role_;
  Variable variable_;
  Variable operand_;  // undefined where it is the value itself
  ops::PackedWeight packed_;
};

// Whether products with a parameter of this role may be rounded: all matrices but those of the boundaries,
// whose probabilities are float32 whatever the dtype of computation.
bool is_rounded(const Role& role);

}  // namespace dlcm::nn
