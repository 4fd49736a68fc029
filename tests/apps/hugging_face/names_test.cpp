#include "apps/hugging_face/names.h"

#include <set>

#include <doctest/doctest.h>

#include "dlcm/language_model.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::apps;

TEST_CASE("qwen3 names: one of its own for each parameter of a transformer, none for others") {
  const auto model = make_model(test::tiny_config(ModelKind::transformer).model);
  std::set<std::string> names;
  for (const nn::Parameter* parameter : model->parameters()) names.insert(qwen3_name(parameter->path()));
  CHECK(names.size() == model->parameters().size());
  CHECK(qwen3_name("embedding") == "model.embed_tokens.weight");
  CHECK(qwen3_name("decoder/layers/11/attention/q_norm") == "model.layers.11.self_attn.q_norm.weight");
  CHECK(qwen3_name("decoder/layers/0/mlp_norm") == "model.layers.0.post_attention_layernorm.weight");
  for (const char* path :
       {"backbone/norm", "decoder/layers/0", "decoder/layers/0/attention", "concept_proj"}) {
    CHECK_THROWS_AS(qwen3_name(path), Error);
  }
}
