#include "apps/common/config_keys.h"

#include <iterator>
#include <utility>

#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// A micro-batch's offsets are int32; its activations are T x width.
constexpr int64_t kMostTokens = 1 << 24;
// A step's tokens are drawn at once.
constexpr int64_t kMostBatchTokens = int64_t{1} << 28;
constexpr int64_t kMostSteps = 1'000'000'000;
constexpr double kLargestRate = 1e3;
constexpr double kHuge = 1e300;

template <class Value>
Choice choice(Value& place, const std::vector<std::pair<std::string, Value>>& options) {
  Choice result;
  std::vector<Value> values;
  for (const auto& [name, value] : options) {
    result.names.push_back(name);
    values.push_back(value);
  }
  result.get = [&place, values, names = result.names] {
    for (size_t i = 0; i < values.size(); ++i) {
      if (values[i] == place) return i;
    }
    throw Error(concat("a setting has a value outside its list, which begins with ", names.front()));
  };
  result.set = [&place, values](size_t index) { place = values.at(index); };
  return result;
}

std::vector<Key> model_keys(ModelConfig& model) {
  const auto size = [](int64_t& value, int64_t least = 1) {
    return WholeNumber{&value, least, kLargestSize};
  };
  const auto layers = [](int64_t& value, int64_t least = 1) {
    return WholeNumber{&value, least, kMostLayers};
  };
  BoundaryConfig& boundary = model.boundary;
  CrossAttentionConfig& cross = model.cross_attention;
  const Applies dlcm = Applies::dlcm;
  return {
      {"model", "kind",
       choice<ModelKind>(model.kind, {{"dlcm", ModelKind::dlcm}, {"transformer", ModelKind::transformer}})},
      {"model", "vocab_size", size(model.vocab_size, 2)},
      {"model", "rope_base", Number{&model.rope_base, 1, kLargestRopeBase}},
      {"model", "norm_epsilon", Number{&model.norm_epsilon, 0, 1, true}},
      {"model", "tied_embeddings", &model.tied_embeddings},
      {"model.token", "width", size(model.token.width)},
      {"model.token", "heads", size(model.token.heads)},
      {"model.token", "kv_heads", size(model.token.kv_heads)},
      {"model.token", "head_dim", size(model.token.own_head_dim, 0)},
      {"model.token", "ff", size(model.token.ff)},
      {"model.token", "encoder_layers", layers(model.encoder_layers), dlcm},
      {"model.token", "decoder_layers", layers(model.decoder_layers, 0), dlcm},
      {"model.token", "layers", layers(model.layers), Applies::transformer},
      {"model.concept", "width", size(model.backbone.width), dlcm},
      {"model.concept", "heads", size(model.backbone.heads), dlcm},
      {"model.concept", "kv_heads", size(model.backbone.kv_heads), dlcm},
      {"model.concept", "head_dim", size(model.backbone.own_head_dim, 0), dlcm},
      {"model.concept", "ff", size(model.backbone.ff), dlcm},
      {"model.concept", "layers", layers(model.backbone_layers), dlcm},
      {"model.boundary", "predictor",
       choice<Predictor>(boundary.predictor, {{"decoupled", Predictor::decoupled},
                                              {"learned", Predictor::learned},
                                              {"cosine", Predictor::cosine},
                                              {"fixed", Predictor::fixed},
                                              {"none", Predictor::none}}),
       dlcm},
      {"model.boundary", "tokens_per_concept", Number{&boundary.tokens_per_concept, 1.01, 4096}, dlcm},
      {"model.boundary", "scope",
       choice<Scope>(boundary.scope,
                     {{"sequence", Scope::sequence}, {"batch", Scope::batch}, {"global", Scope::global}}),
       dlcm},
      {"model.boundary", "tau", Number{&boundary.tau, 0, 1}, dlcm},
      {"model.boundary", "alpha", Number{&boundary.alpha, 1e-4, 100}, dlcm},
      {"model.boundary", "alpha_end", Number{&boundary.alpha_end, 1e-4, 100}, dlcm},
      {"model.boundary", "weight", Number{&boundary.weight, 0, 1e4}, dlcm},
      {"model.cross_attention", "visibility",
       choice<Visibility>(cross.visibility,
                          {{"completed", Visibility::completed}, {"containing", Visibility::containing}}),
       dlcm},
      {"model.cross_attention", "weighting",
       choice<Weighting>(cross.weighting, {{"uniform", Weighting::uniform}, {"length", Weighting::length}}),
       dlcm},
      {"model.cross_attention", "rope",
       choice<CrossRope>(cross.rope, {{"none", CrossRope::none}, {"concept", CrossRope::concept_index}}),
       dlcm},
      {"model.cross_attention", "ff", size(cross.ff, 0), dlcm},
      {"model.cross_attention", "implementation",
       choice<CrossImplementation>(cross.implementation, {{"dense", CrossImplementation::dense},
                                                          {"replicated", CrossImplementation::replicated},
                                                          {"segment", CrossImplementation::segment}}),
       dlcm},
      {"model.smoothing", "kind",
       choice<Smoothing>(model.smoothing,
                         {{"blend", Smoothing::blend}, {"ema", Smoothing::ema}, {"none", Smoothing::none}}),
       dlcm},
      {"mup", "enabled", &model.mup.enabled},
      {"mup", "token_base", size(model.mup.token_base)},
      {"mup", "concept_base", size(model.mup.concept_base), dlcm},
  };
}

std::vector<Key> optimizer_keys(optim::AdamWConfig& optimizer) {
  const auto rate = [](double& value) { return Number{&value, 0, kLargestRate}; };
  return {
      {"optimizer", "rate_token", rate(optimizer.rate_token)},
      {"optimizer", "rate_concept", rate(optimizer.rate_concept), Applies::dlcm},
      {"optimizer", "rate_other", rate(optimizer.rate_other)},
      {"optimizer", "rate_boundary", rate(optimizer.rate_boundary), Applies::dlcm},
      {"optimizer", "beta1", Number{&optimizer.beta1, 0, 0.999999}},
      {"optimizer", "beta2", Number{&optimizer.beta2, 0, 0.999999}},
      {"optimizer", "epsilon", Number{&optimizer.epsilon, 0, 1, true}},
      {"optimizer", "weight_decay", Number{&optimizer.weight_decay, 0, kLargestRate}},
      {"optimizer", "clip", Number{&optimizer.clip, 0, kHuge, true}},
  };
}

std::vector<Key> schedule_keys(optim::ScheduleConfig& schedule) {
  using optim::DecayShape;
  return {
      {"schedule", "steps", WholeNumber{&schedule.steps, 1, kMostSteps}},
      {"schedule", "warmup", WholeNumber{&schedule.warmup, 0, kMostSteps}},
      {"schedule", "decay_share", Number{&schedule.decay_share, 0, 1}},
      {"schedule", "decay_shape",
       choice<DecayShape>(
           schedule.decay_shape,
           {{"sqrt", DecayShape::sqrt}, {"linear", DecayShape::linear}, {"cosine", DecayShape::cosine}})},
  };
}

std::vector<Key> train_keys(TrainConfig& train) {
  return {
      {"train", "context", WholeNumber{&train.context, 2, kMostTokens}},
      {"train", "batch_tokens", WholeNumber{&train.batch_tokens, 2, kMostBatchTokens}},
      {"train", "micro_tokens", WholeNumber{&train.micro_tokens, 2, kMostTokens}},
      {"train", "dtype", choice<DType>(train.dtype, {{"f32", DType::f32}, {"bf16", DType::bf16}})},
      {"train", "recompute",
       choice<nn::Recompute>(train.recompute,
                             {{"none", nn::Recompute::none}, {"block", nn::Recompute::block}})},
      {"train", "seed", WholeNumber{&train.seed, 0, INT64_MAX}},
      {"train", "initialize", Text{&train.initialize}},
      {"train", "evaluate_every", WholeNumber{&train.evaluate_every, 1, kMostSteps}},
      {"train", "evaluate_tokens", WholeNumber{&train.evaluate_tokens, 1, INT64_MAX}},
      {"train", "checkpoint_every", WholeNumber{&train.checkpoint_every, 1, kMostSteps}},
      {"train", "keep", WholeNumber{&train.keep, 0, kMostSteps}},
      {"train", "keep_every", WholeNumber{&train.keep_every, 0, kMostSteps}},
  };
}

std::string describe(const WholeNumber& number) {
  return concat("a whole number from ", number.least, " to ", number.most);
}

std::string describe(const Number& number) {
  if (number.most == kHuge) return concat("a number ", number.above ? "above " : "from ", number.least);
  return concat("a number ", number.above ? "above " : "from ", number.least,
                number.above ? ", at most " : " to ", number.most);
}

std::string describe(const bool*) {
  return "true or false";
}

std::string describe(const Text&) {
  return "a text without control characters";
}

std::string describe(const Choice& choice) {
  std::string text = "one of ";
  for (const std::string& name : choice.names) text += (&name == &choice.names.front() ? "" : ", ") + name;
  return text;
}

}  // namespace

std::string Key::allowed() const {
  return std::visit([](const auto& what) { return describe(what); }, place);
}

std::vector<Key> config_keys(Config& config) {
  std::vector<Key> keys = model_keys(config.model);
  for (std::vector<Key> part :
       {optimizer_keys(config.optimizer), schedule_keys(config.schedule), train_keys(config.train)}) {
    std::move(part.begin(), part.end(), std::back_inserter(keys));
  }
  return keys;
}

bool applies_to(const Key& key, ModelKind kind) {
  if (key.applies == Applies::always) return true;
  return (key.applies == Applies::dlcm) == (kind == ModelKind::dlcm);
}

}  // namespace dlcm::apps
