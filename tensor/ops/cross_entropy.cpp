#include "tensor/ops/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "tensor/dispatch.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/output_dtype.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/vector_math.h"

namespace dlcm::cpu {
namespace {

// Rows of logits at hand at once: as many as this takes, and at least so many that the passes over the weight
// and its gradient are worth it.
constexpr int64_t kChunkBytes = int64_t{8} << 20;
constexpr int64_t kMinimumRows = 128;

// Partial sums kept apart: vectors of any width, in an order that depends on n alone.
constexpr int64_t kLanes = 64;

// Replaces the row by exp(scale x_i - highest); returns their sum.
template <class T>
double exponentials(T* x, int64_t n, T scale, T highest) {
  T lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      x[i + j] = fast_exp(x[i + j] * scale - highest);
      lanes[j] += x[i + j];
    }
  }
  for (int64_t j = 0; i + j < n; ++j) {
    x[i + j] = fast_exp(x[i + j] * scale - highest);
    lanes[j] += x[i + j];
  }
  double total = 0;
  for (const T lane : lanes) total += static_cast<double>(lane);
  return total;
}

// Loss of one row of logits, which are overwritten, and where it is not null the gradient of the loss with
// respect to them before scaling, scale (softmax - one at the target), as Out, an operand's dtype; it may lie
// where they do.
template <class T, class Out>
T row_loss(T* logits, int64_t n, int32_t target, T scale, Out* gradient) {
  // The largest scaled logit; a negative scale makes it the smallest one's.
  T highest = max_of(logits, n) * scale;
  if (scale < 0) highest = *std::min_element(logits, logits + n) * scale;
  const T target_logit = logits[target] * scale;
  const double total = exponentials(logits, n, scale, highest);
  if (gradient != nullptr) {
    const T factor = static_cast<T>(static_cast<double>(scale) / total);
    const T at_target = logits[target] * factor - scale;
    for (int64_t i = 0; i < n; ++i) put(logits[i] * factor, gradient[i]);
    put(at_target, gradient[target]);
  }
  return static_cast<T>(std::log(total) + static_cast<double>(highest - target_logit));
}

template <class T, class Out>
void chunk_losses(const Tensor& logits, const int32_t* targets, T scale, T* loss, const Tensor& gradient) {
  const int64_t n = logits.size(1);
  parallel_for(logits.size(0), grain_for(n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Out* dx = gradient.defined() ? gradient.data<Out>() + row * n : nullptr;
      if (targets[row] >= 0) {
        loss[row] = row_loss(logits.data<T>() + row * n, n, targets[row], scale, dx);
      } else {
        loss[row] = 0;
        if (dx != nullptr) std::fill_n(dx, n, Out{});
      }
    }
  });
}

template <class T, class Out>
void linear_cross_entropy_of(const Tensor& x, const Tensor& weight, const Tensor& targets, double logit_scale,
                             const ops::LinearCrossEntropy& result) {
  using ops::Transpose;
  const int64_t rows = x.size(0);
  const int64_t n = weight.size(0);
  const int64_t per_chunk =
      std::min(rows, std::max(kMinimumRows, kChunkBytes / static_cast<int64_t>(sizeof(T)) / n));
  const Tensor scratch = Tensor::empty({per_chunk, n}, x.dtype());
  const bool narrow = weight.dtype() == DType::bf16;
  const bool differentiates = result.dx.defined();
  const Tensor gradient_scratch =
      narrow && differentiates ? Tensor::empty({per_chunk, n}, DType::bf16) : scratch;
  const Tensor operand = narrow ? ops::cast(x, DType::bf16) : x;
  bool first = true;
  for (int64_t begin = 0; begin < rows; begin += per_chunk) {
    const int64_t end = std::min(rows, begin + per_chunk);
    const Tensor logits = scratch.slice(0, end - begin);
    const Tensor input = operand.slice(begin, end);
    ops::matmul_into(input, Transpose::no, weight, Transpose::yes, logits, false);
    const Tensor gradient = differentiates ? gradient_scratch.slice(0, end - begin) : Tensor();
    chunk_losses<T, Out>(logits, targets.data<int32_t>() + begin, static_cast<T>(logit_scale),
                         result.loss.data<T>() + begin, gradient);
    if (!differentiates) continue;
    ops::matmul_into(gradient, Transpose::no, weight, Transpose::no, result.dx.slice(begin, end), false);
    ops::matmul_into(gradient, Transpose::yes, input, Transpose::no, result.dweight, !first);
    first = false;
  }
  if (first && result.dweight.defined()) result.dweight.fill(0);
}

void linear_cross_entropy_forward(const Tensor& x, const Tensor& weight, const Tensor& targets,
                                  double logit_scale, const ops::LinearCrossEntropy& result) {
  DLCM_FLOATING_OUTPUT(x.dtype(), weight.dtype(), T, Out,
                       linear_cross_entropy_of<T, Out>(x, weight, targets, logit_scale, result));
}

template <class T>
double total_of(const Tensor& loss) {
  double total = 0;
  for (int64_t t = 0; t < loss.numel(); ++t) total += static_cast<double>(loss.data<T>()[t]);
  return total;
}

void sum_losses(const Tensor& loss, double& total) {
  DLCM_FLOATING(loss.dtype(), T, total = total_of<T>(loss));
}

}  // namespace
}  // namespace dlcm::cpu

namespace dlcm::ops {
namespace {

void check_arguments(const Tensor& x, const Tensor& weight, const Tensor& targets) {
  DLCM_CHECK(x.rank() == 2 && weight.rank() == 2 && x.size(1) == weight.size(1) && weight.size(0) > 0,
             "linear_cross_entropy: x has shape ", x.shape(), ", weight ", weight.shape(),
             "; expected [T, d] and [V, d]");
  DLCM_CHECK(x.dtype() == weight.dtype() || (x.dtype() == DType::f32 && weight.dtype() == DType::bf16),
             "linear_cross_entropy: x is ", x.dtype(), ", weight is ", weight.dtype());
  DLCM_CHECK(targets.shape() == Shape{x.size(0)} && targets.dtype() == DType::i32,
             "linear_cross_entropy: targets have shape ", targets.shape(), " and dtype ", targets.dtype(),
             ", expected ", Shape{x.size(0)}, " of i32");
  for (int64_t t = 0; t < x.size(0); ++t) {
    const int32_t target = targets.data<int32_t>()[t];
    DLCM_CHECK(target >= -1 && target < weight.size(0), "linear_cross_entropy: target ", target,
               " at position ", t, " is not a token of the vocabulary of ", weight.size(0),
               " (-1 stands for none)");
  }
}

}  // namespace

LinearCrossEntropy linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets,
                                        double logit_scale, WithGradients gradients) {
  check_arguments(x, weight, targets);
  // Its three products announce themselves.
  const ProfileScope profile("linear_cross_entropy", 6, x.size(0) * weight.size(0));
  LinearCrossEntropy result = {Tensor::empty({x.size(0)}, x.dtype(), x.device()), 0, {}, {}};
  if (gradients == WithGradients::yes) {
    result.dx = x.empty_like();
    result.dweight = Tensor::empty(weight.shape(), x.dtype(), x.device());
  }
  DLCM_DISPATCH_CPU(x.device(), linear_cross_entropy_forward(x, weight, targets, logit_scale, result));
  DLCM_DISPATCH_CPU(x.device(), sum_losses(result.loss, result.sum));
  return result;
}

}  // namespace dlcm::ops
