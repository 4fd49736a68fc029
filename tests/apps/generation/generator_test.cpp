#include "apps/generation/generator.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "apps/generation/text_stream.h"
#include "autograd/tape.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

const data::ByteTokenizer kTokenizer;

bool same(const Generation& a, const Generation& b) {
  return a.text == b.text && a.tokens == b.tokens && a.log_probabilities == b.log_probabilities &&
         a.boundaries == b.boundaries && a.reason == b.reason && a.prompt_tokens == b.prompt_tokens;
}

std::vector<ModelKind> kinds() {
  return {ModelKind::dlcm, ModelKind::transformer};
}

}  // namespace

TEST_CASE("generator: the text of a prompt does not depend on its batch, to the bit") {
  std::vector<std::string> prompts = {"", "a", "Once upon a time, in a land", "The \u20ac rose", "1234567"};
  for (const ModelKind kind : kinds()) {
    const auto model = test::tiny_model(test::tiny_config(kind));
    for (const double temperature : {1.0, 0.0}) {
      const GenerationOptions options = {.sampler = {.temperature = temperature, .seed = 5},
                                         .max_tokens = 30,
                                         .stops = {},
                                         .end_token = EndToken::stops};
      const std::vector<Generation> together = generate(*model, kTokenizer, prompts, options);
      for (size_t i = 0; i < prompts.size(); ++i) {
        CAPTURE(i);
        CHECK(same(generate(*model, kTokenizer, {prompts[i]}, options)[0], together[i]));
      }
      CHECK(together[2].tokens.size() > 1);
    }
  }
}

TEST_CASE("generator: more prompts than one step takes") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  std::vector<std::string> prompts;
  for (int i = 0; i < 70; ++i)
    prompts.push_back(std::string(static_cast<size_t>(i % 9), 'a') + std::to_string(i));
  const GenerationOptions options = {
      .sampler = {}, .max_tokens = 3, .stops = {}, .end_token = EndToken::is_ignored};
  const std::vector<Generation> together = generate(*model, kTokenizer, prompts, options);
  for (const size_t i : {0, 1, 31, 32, 40, 63, 64, 69}) {
    CAPTURE(i);
    CHECK(same(generate(*model, kTokenizer, {prompts[i]}, options)[0], together[i]));
  }
}

TEST_CASE("generator: tokens, log-probabilities and boundaries are those of a full forward pass") {
  for (const ModelKind kind : kinds()) {
    const auto model = test::tiny_model(test::tiny_config(kind));
    const std::string prompt = "some words";
    const Generation made =
        generate(*model, kTokenizer, {prompt},
                 {.sampler = {}, .max_tokens = 40, .stops = {}, .end_token = EndToken::is_ignored})[0];
    REQUIRE(made.tokens.size() == 40);
    std::vector<int32_t> all = {256};
    kTokenizer.encode(prompt, all);
    const size_t before = all.size();
    all.insert(all.end(), made.tokens.begin(), made.tokens.end());
    const autograd::NoGrad no_grad;
    const PackedBatch batch = single_document(all);
    const ForwardOutput output = model->forward(batch, {});
    Tensor losses;
    model->loss(output.hidden, batch.targets, &losses);
    for (size_t i = 0; i < made.tokens.size(); ++i) {
      CHECK(std::abs(losses.data<float>()[before + i - 1] + made.log_probabilities[i]) < 1e-4);
    }
    if (kind == ModelKind::transformer) {
      CHECK(made.boundaries.empty());
      continue;
    }
    const std::vector<uint8_t> boundary = output.segmentation.boundary.to_vector<uint8_t>();
    CHECK(made.boundaries ==
          std::vector<uint8_t>(boundary.begin() + static_cast<std::ptrdiff_t>(before), boundary.end()));
    CHECK(std::count(made.boundaries.begin(), made.boundaries.end(), 1) > 2);
    CHECK(std::count(made.boundaries.begin(), made.boundaries.end(), 0) > 2);
  }
}

TEST_CASE("generator: what ends a text") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  // Greedy text of tokens, of which the tenth is made the stop string.
  GenerationOptions options = {
      .sampler = {}, .max_tokens = 60, .stops = {}, .end_token = EndToken::is_ignored};
  const Generation all = generate(*model, kTokenizer, {"x"}, options)[0];
  CHECK(all.reason == FinishReason::max_tokens);
  size_t ascii = 3;
  while (ascii < all.text.size() && static_cast<unsigned char>(all.text[ascii]) >= 0x80) ++ascii;
  REQUIRE(ascii < all.text.size());
  options.stops = {std::string(1, all.text[ascii])};
  const Generation cut = generate(*model, kTokenizer, {"x"}, options)[0];
  CHECK(cut.reason == FinishReason::stop_string);
  CHECK(cut.text == all.text.substr(0, all.text.find(all.text[ascii])));
  CHECK(cut.tokens.size() < all.tokens.size());

  options.stops = {};
  options.max_tokens = 0;
  const Generation none = generate(*model, kTokenizer, {"x"}, options)[0];
  CHECK(none.tokens.empty());
  CHECK(none.prompt_tokens == 2);
}

TEST_CASE("generator: the end token ends a text unless it is ignored") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::transformer));
  // A model that says nothing but the end token: its row is far longer than the others.
  nn::Parameter& unembedding = model->parameter("unembedding");
  const Tensor hidden = [&] {
    const autograd::NoGrad no_grad;
    return model->forward(single_document(std::vector<int32_t>{256}), {}).hidden.value();
  }();
  const Tensor value = Tensor::zeros(unembedding.shape());
  for (int64_t i = 0; i < value.size(1); ++i)
    value.data<float>()[256 * value.size(1) + i] = 50 * hidden.data<float>()[i];
  unembedding.set_value(value);
  GenerationOptions options = {
      .sampler = {.temperature = 0}, .max_tokens = 5, .stops = {}, .end_token = EndToken::stops};
  const Generation ended = generate(*model, kTokenizer, {""}, options)[0];
  CHECK(ended.tokens == std::vector<int32_t>{256});
  CHECK(ended.text.empty());
  CHECK(ended.reason == FinishReason::end_token);
  options.end_token = EndToken::is_ignored;
  const Generation went_on = generate(*model, kTokenizer, {""}, options)[0];
  CHECK(went_on.tokens.size() == 5);
  CHECK(went_on.tokens[0] == 256);
}

TEST_CASE("generator: special tokens are not part of the text") {
  // Bytes of which the even ones are special.
  struct HalfSpecial final : data::Tokenizer {
    data::ByteTokenizer bytes;
    int64_t vocab_size() const override { return bytes.vocab_size(); }
    std::string identity() const override { return bytes.identity(); }
    int32_t begin_id() const override { return bytes.begin_id(); }
    int32_t end_id() const override { return bytes.end_id(); }
    bool is_special(int32_t id) const override { return id % 2 == 0; }
    void encode(std::string_view text, std::vector<int32_t>& ids) const override { bytes.encode(text, ids); }
    size_t last_cut(std::string_view text, size_t from) const override { return bytes.last_cut(text, from); }
    std::string_view decode(int32_t id) const override { return bytes.decode(id); }
  };
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  const GenerationOptions options = {
      .sampler = {}, .max_tokens = 60, .stops = {}, .end_token = EndToken::is_ignored};
  const Generation made = generate(*model, HalfSpecial(), {"x"}, options)[0];
  CHECK(made.tokens == generate(*model, kTokenizer, {"x"}, options)[0].tokens);
  Utf8Stream odd;
  std::string expected;
  for (const int32_t id : made.tokens) {
    if (id % 2 == 1) expected += odd.push(kTokenizer.decode(id));
  }
  CHECK(made.text == expected + odd.finish());
}

TEST_CASE("generator: events give the same text, in order, before the end of each prompt") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  std::vector<std::string> texts(3);
  std::vector<int> finished(3);
  GenerationEvents events;
  events.text = [&](size_t prompt, const TextPiece& piece) {
    CHECK(finished[prompt] == 0);
    texts[prompt] += piece.text;
  };
  events.finished = [&](size_t prompt, const Generation& generation) {
    ++finished[prompt];
    CHECK(generation.text == texts[prompt]);
  };
  const auto made =
      generate(*model, kTokenizer, {"a", "b c", ""},
               {.sampler = {}, .max_tokens = 20, .stops = {"e"}, .end_token = EndToken::stops}, events);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(finished[i] == 1);
    CHECK(made[i].text == texts[i]);
  }
}

TEST_CASE("generator: refuses what cannot be done") {
  Config config = test::tiny_config(ModelKind::dlcm);
  config.model.cross_attention.visibility = Visibility::containing;
  const auto model = test::tiny_model(config);
  CHECK_THROWS_WITH_AS(generate(*model, kTokenizer, {"a"}, {}), doctest::Contains("containing"), InputError);
  GenerationOptions options;
  options.max_tokens = -1;
  CHECK_THROWS_WITH_AS(check(options), doctest::Contains("--max-tokens"), InputError);
  options = {};
  options.stops = {""};
  CHECK_THROWS_WITH_AS(check(options), doctest::Contains("--stop"), InputError);
  options.stops = {"\xFF"};
  CHECK_THROWS_AS(check(options), InputError);
}
