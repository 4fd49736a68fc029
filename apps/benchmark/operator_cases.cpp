#include "apps/benchmark/operator_cases.h"

#include <algorithm>

#include "apps/benchmark/random_input.h"
#include "dlcm/segmentation.h"
#include "nn/sequence_layout.h"
#include "tensor/ops/attention.h"
#include "tensor/ops/boundary_probability.h"
#include "tensor/ops/cast.h"
#include "tensor/ops/cross_entropy.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/embedding.h"
#include "tensor/ops/gather_rows.h"
#include "tensor/ops/matmul.h"
#include "tensor/ops/residual_rms_norm.h"
#include "tensor/ops/rms_norm.h"
#include "tensor/ops/rms_norm_rotary.h"
#include "tensor/ops/rotary_table.h"
#include "tensor/ops/segment_mean.h"
#include "tensor/ops/smoothing.h"
#include "tensor/ops/softmax.h"
#include "tensor/ops/straight_through.h"
#include "tensor/ops/swiglu.h"

namespace dlcm::apps {
namespace {

constexpr double kEpsilon = 1e-6;

using Run = std::function<std::vector<Tensor>()>;

class Cases {
 public:
  Cases(const Config& config, const VisitCase& visit)
      : model_(config.model), dtype_(config.train.dtype), visit_(visit), batch_(random_batch(config, 1)) {}

  void run() {
    embeddings();
    block("tokens", model_.token, batch_.cu_seqlens);
    elementwise(model_.token);
    loss();
    if (model_.kind == ModelKind::transformer) return;
    boundaries();
    const Tensor boundary = random_boundaries(batch_.cu_seqlens, model_.boundary.tokens_per_concept, 3);
    segmentation_ = segment(boundary, batch_.cu_seqlens);
    pooling();
    block("concepts", model_.backbone, segmentation_.cu_seqlens);
    smoothing();
    cross_attention();
  }

 private:
  void forward(const std::string& name, std::vector<Tensor> inputs, Run run) const {
    visit_({name, "forward", std::move(inputs), std::move(run)});
  }
  void backward(const std::string& name, std::vector<Tensor> inputs, Run run) const {
    visit_({name, "backward", std::move(inputs), std::move(run)});
  }

  // A new one each time, so that no two operands are the same.
  Tensor random(Shape shape) { return random_tensor(std::move(shape), ++seed_); }
  // What a matrix product reads.
  Tensor operand(Shape shape) { return random(std::move(shape)).to(dtype_); }

  void embeddings();
  void norms(const std::string& rows, const StackConfig& stack, int64_t count);
  void block(const std::string& rows, const StackConfig& stack, const Tensor& cu_seqlens);
  void linears(const std::string& rows, const StackConfig& stack, int64_t count);
  void self_attention(const std::string& rows, const StackConfig& stack, const Tensor& cu_seqlens);
  void attention(const std::string& name, const Tensor& q, const Tensor& k, const Tensor& v,
                 const ops::AttentionLayout& layout);
  void elementwise(const StackConfig& stack);
  void loss();
  void boundaries();
  void pooling();
  void smoothing();
  void cross_attention();
  void replicated_cross_attention(const Tensor& q, const Tensor& k, const Tensor& v);
  void dense_cross_attention(const Tensor& q, const Tensor& k, const Tensor& v);

  const ModelConfig& model_;
  DType dtype_;
  const VisitCase& visit_;
  PackedBatch batch_;
  Segmentation segmentation_;
  uint64_t seed_ = 100;
};

void Cases::embeddings() {
  const Tensor table = random({model_.vocab_size, model_.token.width});
  const Tensor dy = random({batch_.token_count(), model_.token.width});
  // Of a large vocabulary no more rows than tokens are read.
  const Tensor read = table.slice(0, std::min(table.size(0), batch_.token_count()));
  forward("embedding", {batch_.tokens, read},
          [=, this] { return std::vector{ops::embedding(batch_.tokens, table)}; });
  backward("embedding", {dy, batch_.tokens},
           [=, this] { return std::vector{ops::embedding_backward(dy, batch_.tokens, table.size(0))}; });
}

void Cases::norms(const std::string& rows, const StackConfig& stack, int64_t count) {
  const Tensor x = random({count, stack.width});
  const Tensor delta = random(x.shape());
  const Tensor gain = random({stack.width});
  const Tensor rstd = ops::rms_norm(x, gain, kEpsilon).rstd;
  const Tensor dy = random(x.shape());
  const Tensor d_sum = random(x.shape());
  forward("rms_norm, " + rows, {x, gain}, [=] {
    const ops::RmsNorm result = ops::rms_norm(x, gain, kEpsilon);
    return std::vector{result.y, result.rstd};
  });
  backward("rms_norm, " + rows, {dy, x, gain, rstd}, [=] {
    const ops::RmsNormGradients result = ops::rms_norm_backward(dy, x, gain, rstd);
    return std::vector{result.dx, result.dgain};
  });
  forward("residual_rms_norm, " + rows, {x, delta, gain}, [=, this] {
    const ops::ResidualRmsNorm result = ops::residual_rms_norm(x, delta, gain, kEpsilon, dtype_);
    return std::vector{result.sum, result.y, result.rstd};
  });
  backward("residual_rms_norm, " + rows, {d_sum, dy, x, gain, rstd}, [=] {
    const ops::RmsNormGradients result = ops::residual_rms_norm_backward(Tensor(d_sum), dy, x, gain, rstd);
    return std::vector{result.dx, result.dgain};
  });
}

// What a transformer block consists of.
void Cases::block(const std::string& rows, const StackConfig& stack, const Tensor& cu_seqlens) {
  const int64_t count = cu_seqlens.data<int32_t>()[cu_seqlens.numel() - 1];
  norms(rows, stack, count);
  linears(rows, stack, count);
  self_attention(rows, stack, cu_seqlens);
  const Tensor gate = random({count, stack.ff});
  const Tensor up = random({count, stack.ff});
  const Tensor d_hidden = random({count, stack.ff});
  forward("swiglu, " + rows, {gate, up}, [=, this] { return std::vector{ops::swiglu(gate, up, dtype_)}; });
  backward("swiglu, " + rows, {d_hidden, gate, up}, [=, this] {
    const ops::SwigluGradients result =
        ops::swiglu_backward(Tensor(d_hidden), Tensor(gate), Tensor(up), dtype_);
    return std::vector{result.dgate, result.dup, result.y};
  });
}

void Cases::linears(const std::string& rows, const StackConfig& stack, int64_t count) {
  const Tensor x = operand({count, stack.width});
  const Tensor weight = operand({stack.ff, stack.width});
  const Tensor dy = random({count, stack.ff});
  forward("linear, " + rows, {x, weight}, [=] { return std::vector{ops::linear(x, weight)}; });
  backward("linear, " + rows + ", input", {dy, weight},
           [=] { return std::vector{ops::linear_backward_input(dy, weight)}; });
  backward("linear, " + rows + ", weight", {dy, x},
           [=] { return std::vector{ops::linear_backward_weight(dy, x)}; });
}

void Cases::self_attention(const std::string& rows, const StackConfig& stack, const Tensor& cu_seqlens) {
  const nn::SequenceLayout layout = nn::make_layout(cu_seqlens, stack.head_dim(), DType::f32);
  const int64_t count = layout.rotary.size(0);
  const Tensor q = random({count, stack.heads, stack.head_dim()});
  const Tensor k = operand({count, stack.kv_heads, stack.head_dim()});
  const Tensor v = operand({count, stack.kv_heads, stack.head_dim()});
  const Tensor positions = nn::positions_of(cu_seqlens);
  forward("rotary_table, " + rows, {positions},
          [=] { return std::vector{ops::rotary_table(positions, q.size(2), nn::kRotaryBase, DType::f32)}; });
  const Tensor gain = random({stack.head_dim()});
  const Tensor dy = random(q.shape());
  forward("rms_norm_rotary, " + rows, {q, gain, layout.rotary},
          [=, this] { return std::vector{ops::rms_norm_rotary(q, gain, kEpsilon, layout.rotary, dtype_)}; });
  backward("rms_norm_rotary, " + rows, {dy, q, gain, layout.rotary}, [=] {
    const ops::RmsNormGradients result =
        ops::rms_norm_rotary_backward(Tensor(dy), q, gain, kEpsilon, layout.rotary);
    return std::vector{result.dx, result.dgain};
  });
  attention("attention, " + rows, q.to(dtype_), k, v, layout.causal);
}

void Cases::attention(const std::string& name, const Tensor& q, const Tensor& k, const Tensor& v,
                      const ops::AttentionLayout& layout) {
  const ops::Attention result = ops::attention(q, k, v, layout);
  const Tensor d_o = random(q.shape());
  forward(name, {q, k, v}, [=] {
    const ops::Attention again = ops::attention(q, k, v, layout);
    return std::vector{again.o, again.lse};
  });
  backward(name, {d_o, q, k, v, result.o, result.lse}, [=] {
    const ops::AttentionGradients gradients = ops::attention_backward(d_o, q, k, v, result, layout);
    return std::vector{gradients.dq, gradients.dk, gradients.dv};
  });
}

void Cases::elementwise(const StackConfig& stack) {
  const Tensor a = random({batch_.token_count(), stack.width});
  const Tensor b = random(a.shape());
  const Tensor y = ops::softmax(a);
  forward("add", {a, b}, [=] { return std::vector{ops::add(a, b)}; });
  forward("multiply", {a, b}, [=] { return std::vector{ops::multiply(a, b)}; });
  forward("scale", {a}, [=] { return std::vector{ops::scale(a, 0.5)}; });
  forward("cast, to bf16", {a}, [=] { return std::vector{ops::cast(a, DType::bf16)}; });
  // In place: the target is read and written.
  forward("add_into", {a, b}, [=] {
    ops::add_into(b, a);
    return std::vector{b};
  });
  forward("sum", {a}, [=] {
    ops::sum(a);
    return std::vector<Tensor>();
  });
  forward("weighted_sum", {a, b}, [=] {
    ops::weighted_sum(a, b);
    return std::vector<Tensor>();
  });
  forward("sum_to", {a}, [=] { return std::vector{ops::sum_to(a, {a.size(1)}, "benchmark")}; });
  forward("all_finite", {a}, [=] {
    ops::all_finite(a);
    return std::vector<Tensor>();
  });
  forward("softmax", {a}, [=] { return std::vector{ops::softmax(a)}; });
  backward("softmax", {b, y}, [=] { return std::vector{ops::softmax_backward(b, y)}; });
}

// Gradients are made together with the loss: "backward" is both.
void Cases::loss() {
  const Tensor x = random({batch_.token_count(), model_.token.width});
  const Tensor weight = operand({model_.vocab_size, model_.token.width});
  const Tensor& targets = batch_.targets;
  forward("linear_cross_entropy", {x, weight, targets}, [=] {
    return std::vector{ops::linear_cross_entropy(x, weight, targets, 1.0, ops::WithGradients::no).loss};
  });
  backward("linear_cross_entropy, both", {x, weight, targets}, [=] {
    const ops::LinearCrossEntropy result =
        ops::linear_cross_entropy(x, weight, targets, 1.0, ops::WithGradients::yes);
    return std::vector{result.loss, result.dx, result.dweight};
  });
}

void Cases::boundaries() {
  const Tensor q = random({batch_.token_count(), model_.token.width});
  const Tensor k = random(q.shape());
  const Tensor dp = random({batch_.token_count()});
  const Tensor& cu_seqlens = batch_.cu_seqlens;
  forward("boundary_probability", {q, k, cu_seqlens},
          [=] { return std::vector{ops::boundary_probability(q, k, cu_seqlens)}; });
  backward("boundary_probability", {dp, q, k, cu_seqlens}, [=] {
    const ops::BoundaryProbabilityGradients result = ops::boundary_probability_backward(dp, q, k, cu_seqlens);
    return std::vector{result.dq, result.dk};
  });
}

void Cases::pooling() {
  const Tensor h = random({batch_.token_count(), model_.token.width});
  const Tensor dy = random({segmentation_.count, model_.token.width});
  const Tensor& offsets = segmentation_.offsets;
  const Tensor& boundary = segmentation_.boundary;
  const Tensor& concept_of = segmentation_.concept_of;
  forward("segment_mean", {h, offsets}, [=] { return std::vector{ops::segment_mean(h, offsets)}; });
  backward("segment_mean", {dy, offsets},
           [=] { return std::vector{ops::segment_mean_backward(dy, offsets)}; });
  forward("gather_rows", {dy, concept_of}, [=] { return std::vector{ops::gather_rows(dy, concept_of)}; });
  backward("gather_rows", {h, concept_of},
           [=] { return std::vector{ops::gather_rows_backward(h, concept_of, dy.size(0))}; });
  const Tensor d_h = random(h.shape());
  backward("straight_through", {d_h, h, boundary},
           [=] { return std::vector{ops::straight_through_backward(d_h, h, boundary)}; });
}

void Cases::smoothing() {
  const Tensor z = random({segmentation_.count, model_.backbone.width});
  const Tensor dy = random(z.shape());
  const Tensor gate = random({model_.backbone.width});
  const Tensor& cu_seqlens = segmentation_.cu_seqlens;
  forward("blend", {z, gate, cu_seqlens}, [=] { return std::vector{ops::blend(z, gate, cu_seqlens)}; });
  backward("blend", {dy, z, gate, cu_seqlens}, [=] {
    const ops::BlendGradients result = ops::blend_backward(dy, z, gate, cu_seqlens);
    return std::vector{result.dz, result.dgate};
  });
  const Tensor p = Tensor::full({segmentation_.count}, 0.5);
  const Tensor y = ops::ema(z, p, cu_seqlens);
  forward("ema", {z, p, cu_seqlens}, [=] { return std::vector{ops::ema(z, p, cu_seqlens)}; });
  backward("ema", {dy, z, p, y, cu_seqlens}, [=] {
    const ops::EmaGradients result = ops::ema_backward(dy, z, p, y, cu_seqlens);
    return std::vector{result.dz, result.dp};
  });
}

// The three implementations from the same queries, keys and values of concepts.
void Cases::cross_attention() {
  const StackConfig& token = model_.token;
  const Tensor q = random({batch_.token_count(), token.heads, token.head_dim()});
  const Tensor k = random({segmentation_.count, token.kv_heads, token.head_dim()});
  const Tensor v = random(k.shape());
  attention("cross-attention, segment", q.to(dtype_), k.to(dtype_), v.to(dtype_),
            concept_ranges(segmentation_, batch_.cu_seqlens, model_.cross_attention, DType::f32));
  replicated_cross_attention(q, k, v);
  const double scores = 4.0 * static_cast<double>(token.heads) * static_cast<double>(q.size(0)) *
                        static_cast<double>(k.size(0));
  if (scores <= kMostDenseBytes) dense_cross_attention(q, k, v);
}

// Gathering the copies of keys and values counts, rounding them, and adding up their gradients.
void Cases::replicated_cross_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const ops::AttentionLayout layout =
      replicated_ranges(segmentation_, batch_.cu_seqlens, model_.cross_attention, DType::f32);
  const Tensor& concept_of = segmentation_.concept_of;
  const auto copied = [concept_of, dtype = dtype_](const Tensor& rows) {
    return ops::cast(ops::gather_rows(rows, concept_of), dtype);
  };
  const Tensor query = q.to(dtype_);
  forward("cross-attention, replicated", {query, k, v, concept_of}, [=] {
    const ops::Attention result = ops::attention(query, copied(k), copied(v), layout);
    return std::vector{result.o, result.lse};
  });
  const Tensor copied_k = copied(k), copied_v = copied(v);
  const ops::Attention result = ops::attention(query, copied_k, copied_v, layout);
  const Tensor d_o = random(q.shape());
  backward("cross-attention, replicated", {d_o, query, copied_k, copied_v, result.o, result.lse, concept_of},
           [=] {
             const ops::AttentionGradients gradients =
                 ops::attention_backward(d_o, query, copied_k, copied_v, result, layout);
             return std::vector{gradients.dq, ops::gather_rows_backward(gradients.dk, concept_of, k.size(0)),
                                ops::gather_rows_backward(gradients.dv, concept_of, k.size(0))};
           });
}

// The plain form, which knows float32 alone.
void Cases::dense_cross_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const ops::AttentionLayout layout =
      concept_ranges(segmentation_, batch_.cu_seqlens, model_.cross_attention, DType::f32);
  forward("cross-attention, dense", {q, k, v}, [=] {
    const ops::DenseAttention result = ops::dense_attention(q, k, v, layout);
    return std::vector{result.o, result.probability};
  });
  const Tensor probability = ops::dense_attention(q, k, v, layout).probability;
  const Tensor d_o = random(q.shape());
  backward("cross-attention, dense", {d_o, q, k, v, probability}, [=] {
    const ops::AttentionGradients result = ops::dense_attention_backward(d_o, q, k, v, probability);
    return std::vector{result.dq, result.dk, result.dv};
  });
}

}  // namespace

void visit_operator_cases(const Config& config, const VisitCase& visit) {
  Cases(config, visit).run();
}

}  // namespace dlcm::apps
