#include "dlcm/cost.h"

#include <cmath>
#include <map>

#include <doctest/doctest.h>

#include "apps/common/config.h"
#include "autograd/tape.h"
#include "tensor/allocator.h"
#include "tests/dlcm/small_model.h"
#include "tests/paths.h"

namespace dlcm {
namespace {

apps::Config preset(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return apps::load_config(test::source_folder() + "/apps/configs/" + name, overrides).config;
}

ModelCost cost_of_preset(const std::string& name, const std::vector<std::string>& overrides = {}) {
  const apps::Config config = preset(name, overrides);
  return cost_of(*make_model(config.model), config.train.context, config.train.recompute);
}

// Billions with two decimals, as Table 3 prints them.
double billions(int64_t parameters) {
  return std::round(static_cast<double>(parameters) * 1e-7) / 100;
}

TEST_CASE("the presets have the sizes of Table 3") {
  CHECK(billions(cost_of_preset("paper-dlcm-2.3b.toml").parameters) == 2.34);
  CHECK(billions(cost_of_preset("paper-dlcm-2.3b.toml", {"model.cross_attention.ff=6144"}).parameters) ==
        2.37);
  CHECK(billions(cost_of_preset("paper-transformer-1.3b.toml").parameters) == 1.30);
}

TEST_CASE("describing a model of billions of parameters allocates nothing") {
  const MemoryStatistics before = allocator(Device::cpu()).statistics();
  const ModelCost cost = cost_of_preset("paper-dlcm-2.3b.toml");
  const MemoryStatistics after = allocator(Device::cpu()).statistics();
  CHECK(cost.parameters > 2'000'000'000);
  CHECK(after.allocated_bytes == before.allocated_bytes);
  CHECK(after.peak_bytes == before.peak_bytes);
  CHECK(after.reserved_bytes == before.reserved_bytes);
  CHECK(after.system_calls == before.system_calls);
}

TEST_CASE("at R = 4 the two presets cost the same matrix FLOPs per token, within 5 %") {
  const double dlcm = cost_of_preset("paper-dlcm-2.3b.toml").forward.matrices;
  const double transformer = cost_of_preset("paper-transformer-1.3b.toml").forward.matrices;
  CHECK(std::abs(dlcm / transformer - 1) < 0.05);
}

std::map<std::string, int64_t> parameters_by_part(const LanguageModel& model) {
  std::map<std::string, int64_t> counts;
  for (const nn::Parameter* parameter : model.parameters()) {
    REQUIRE(parameter->initialized());
    counts[parameter->path().substr(0, parameter->path().find('/'))] += parameter->value().numel();
  }
  return counts;
}

TEST_CASE("parameters by part are those of the tensors") {
  ModelConfig config = test::small_config();
  config.cross_attention.ff = 12;
  std::vector<ModelConfig> configs;
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    config.kind = kind;
    configs.push_back(config);
    configs.push_back(test::uncommon_config(kind));
  }
  for (const ModelConfig& each : configs) {
    const std::unique_ptr<LanguageModel> model = test::random_model(each, 1);
    const ModelCost cost = cost_of(*model, 64, nn::Recompute::none, DType::bf16);
    int64_t operands = 0;
    for (const nn::Parameter* parameter : model->parameters())
      operands += nn::is_rounded(parameter->role()) ? parameter->value().numel() : 0;
    CHECK(cost.operands == operands);
    CHECK(cost_of(*model, 64, nn::Recompute::none).operands == 0);
    const std::map<std::string, int64_t> expected = parameters_by_part(*model);
    CHECK(cost.parts.size() == expected.size());
    int64_t sum = 0;
    for (const PartCost& part : cost.parts) {
      CAPTURE(part.name);
      REQUIRE(expected.count(part.name) == 1);
      CHECK(part.parameters == expected.at(part.name));
      sum += part.parameters;
    }
    CHECK(cost.parameters == sum);
  }
}

double flops_of(const ModelCost& cost, const std::string& name) {
  for (const PartCost& part : cost.parts) {
    if (part.name == name) return part.flops.total();
  }
  return NAN;
}

// By hand for one layer of each, per token: 2 per multiply-add, concepts once in R tokens.
TEST_CASE("FLOPs per token follow from the shapes") {
  ModelConfig config = test::small_config();
  config.encoder_layers = config.backbone_layers = config.decoder_layers = 1;
  config.boundary.tokens_per_concept = 4;
  double r = 4;
  SUBCASE("of R tokens") {}
  SUBCASE("of one, whatever R is, where every token is a concept") {
    config.boundary.predictor = Predictor::none;
    r = 1;
  }
  const double context = 40, d = 16, wide = 24, kv = 8, wide_kv = 12;
  const ModelCost cost = cost_of(*make_model(config), 40, nn::Recompute::none);
  const double token_block = 2 * (2 * d * d + 2 * kv * d + 3 * d * 20) + 4 * d * (context + 1) / 2;
  const double concept_block =
      2 * (2 * wide * wide + 2 * wide_kv * wide + 3 * wide * 28) + 4 * wide * (context / r + 1) / 2;
  CHECK(flops_of(cost, "embedding") == 0);
  CHECK(flops_of(cost, "encoder") == doctest::Approx(token_block));
  CHECK(flops_of(cost, "decoder") == doctest::Approx(token_block));
  if (r != 1) CHECK(flops_of(cost, "boundary") == doctest::Approx(2 * 2 * d * d));
  CHECK(flops_of(cost, "concept_proj") == doctest::Approx(2 * d * wide / r));
  CHECK(flops_of(cost, "backbone") == doctest::Approx(concept_block / r));
  CHECK(flops_of(cost, "cross_attention") ==
        doctest::Approx(2 * (2 * d * d + 2 * kv * wide / r) + 4 * d * (context / r) / 2));
  CHECK(flops_of(cost, "unembedding") == doctest::Approx(2 * 29 * d));
  double sum = 0;
  for (const PartCost& part : cost.parts) sum += part.flops.total();
  CHECK(cost.forward.total() == doctest::Approx(sum));
  CHECK(training_flops_per_token(cost, nn::Recompute::none) == doctest::Approx(3 * sum));
  CHECK(training_flops_per_token(cost, nn::Recompute::block) > 3 * sum);
  CHECK(training_flops_per_token(cost, nn::Recompute::block) <= 4 * sum);
}

TEST_CASE("FLOPs of heads of their own width and of a tied unembedding") {
  ModelConfig config = test::uncommon_config(ModelKind::transformer);
  config.layers = 1;
  const double context = 40, d = 16, queries = 24, kv = 12;
  const ModelCost cost = cost_of(*make_model(config), 40, nn::Recompute::none);
  CHECK(flops_of(cost, "decoder") ==
        doctest::Approx(2 * (2 * d * queries + 2 * kv * d + 3 * d * 20) + 4 * queries * (context + 1) / 2));
  CHECK(flops_of(cost, "embedding") == doctest::Approx(2 * 29 * d));
  CHECK(std::isnan(flops_of(cost, "unembedding")));
}

TEST_CASE("the cost at another number of tokens per concept is that of a model made for it") {
  ModelConfig config = test::small_config();
  const std::unique_ptr<LanguageModel> model = make_model(config);
  const ModelCost cost = cost_of(*model, 40, nn::Recompute::none, DType::f32, 3.5);
  config.boundary.tokens_per_concept = 3.5;
  const ModelCost expected = cost_of(*make_model(config), 40, nn::Recompute::none);
  CHECK(cost.forward.total() == expected.forward.total());
  CHECK(cost.activation_bytes_per_token == expected.activation_bytes_per_token);
  CHECK(cost.forward.total() != cost_of(*model, 40, nn::Recompute::none).forward.total());
}

// What the tape keeps, against the estimate: the dry run is to tell whether a model fits.
TEST_CASE("activation bytes are near what a forward pass keeps") {
  ModelConfig config = test::small_config();
  config.token = {64, 4, 2, 128};
  config.backbone = {96, 4, 2, 192};
  config.boundary.predictor = Predictor::fixed;
  config.boundary.tokens_per_concept = 4;
  const int64_t tokens = 128;
  const PackedBatch batch = test::packed(test::random_documents({tokens}, config.vocab_size, 1));
  struct Case {
    ModelKind kind;
    DType dtype;
    Predictor predictor = Predictor::fixed;
    int64_t head_dim = 0;
  };
  for (const auto& [kind, dtype, predictor, head_dim] :
       {Case{ModelKind::dlcm, DType::f32},
        {ModelKind::dlcm, DType::bf16},
        {ModelKind::dlcm, DType::f32, Predictor::none},
        {ModelKind::dlcm, DType::bf16, Predictor::none},
        {ModelKind::dlcm, DType::f32, Predictor::fixed, 24},
        {ModelKind::transformer, DType::bf16, Predictor::fixed, 8},
        {ModelKind::transformer, DType::f32},
        {ModelKind::transformer, DType::bf16}}) {
    config.kind = kind;
    config.boundary.predictor = predictor;
    config.token.own_head_dim = head_dim;
    CAPTURE(head_dim);
    CAPTURE(dtype);
    CAPTURE(static_cast<int>(predictor));
    const std::unique_ptr<LanguageModel> model = test::random_model(config, 1, dtype);
    int64_t parameter_bytes = 0;  // of gradients of the unembedding too, made with the loss
    for (const nn::Parameter* parameter : model->parameters()) {
      if (parameter->role().kind == nn::RoleKind::embedding) continue;
      parameter_bytes += static_cast<int64_t>(parameter->operand().value().bytes());
      if (parameter->role().kind == nn::RoleKind::unembedding)
        parameter_bytes += static_cast<int64_t>(parameter->value().bytes());
    }
    autograd::Tape tape;
    {
      const autograd::Tape::Recording recording(tape);
      model->loss(model->forward(batch, {}).hidden, batch.targets);
    }
    const double kept = static_cast<double>(tape.saved_bytes() - parameter_bytes) / tokens;
    const double estimate = cost_of(*model, tokens, nn::Recompute::none, dtype).activation_bytes_per_token;
    const double working = dtype == DType::bf16 ? 6 * 128 + 8 * 64 : 4 * 128 + 8 * 64;  // of one MLP
    CAPTURE(kept);
    CAPTURE(estimate);
    CHECK(kept == doctest::Approx(estimate - working).epsilon(0.03));
  }
}

}  // namespace
}  // namespace dlcm
