// The golden files (tests/goldens/README.md) as tensors.
#pragma once

#include <string>
#include <vector>

#include "nn/module.h"
#include "tensor/tensor.h"

namespace dlcm::test {

// One case of tests/goldens/FILE.h5.
class Golden {
 public:
  Golden(const std::string& file, const std::string& name);

  const std::string& config() const { return config_; }  // TOML text
  bool has(const std::string& path) const;
  // Dataset PATH of the case ("inputs/x", "expected/p"); floating ones as f64, others as they are. Scalars
  // have shape [1].
  Tensor tensor(const std::string& path) const;
  Tensor tensor(const std::string& path, DType dtype) const { return tensor(path).to(dtype); }
  double number(const std::string& path) const { return tensor(path).item(); }
  // Gives every parameter of the module the case's value.
  void load(nn::Module& module, DType dtype) const;
  // doctest CHECKs that every parameter's gradient is the case's, within `tolerance` of its largest element.
  void check_gradients(const nn::Module& module, double tolerance) const;

 private:
  std::string path_, name_, config_;
};

// |found - expected| <= tolerance x the largest |expected|, NaN only where NaN is expected; prints the worst
// element.
void check_relative(const Tensor& found, const Tensor& expected, double tolerance, const std::string& what);

}  // namespace dlcm::test
