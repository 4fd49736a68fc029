#include "apps/evaluation/evaluate.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include <doctest/doctest.h>

#include "apps/evaluation/dump.h"
#include "autograd/tape.h"
#include "data/tokenizer.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

// Shorter, equal and longer than the context of 32, without text, and of one token with its ends.
const std::vector<std::string> kTexts = {
    "Some text.", std::string(30, 'z'), "",
    "A longer text, which is cut in pieces \u20ac of the context: one, two, three", "q"};

// What the definitions say, a piece at a time.
EvaluationResult by_definition(const LanguageModel& model) {
  const autograd::NoGrad no_grad;
  const data::ByteTokenizer tokenizer;
  EvaluationResult result;
  double loss = 0, p_sum = 0, boundaries = 0, counted = 0, tokens = 0, concepts = 0;
  for (const std::string& text : kTexts) {
    result.bytes += static_cast<int64_t>(text.size());
    std::vector<int32_t> ids = {256};
    tokenizer.encode(text, ids);
    ids.push_back(256);
    for (size_t first = 0; first < ids.size(); first += 32) {
      const size_t end = std::min(ids.size(), first + 32);
      PackedBatch batch = single_document(std::span<const int32_t>(ids).subspan(first, end - first));
      if (end < ids.size()) batch.targets.data<int32_t>()[end - first - 1] = ids[end];
      const ForwardOutput output = model.forward(batch, {});
      loss += model.loss(output.hidden, batch.targets).value().item();
      result.tokens += static_cast<int64_t>(end - first) - (end == ids.size() ? 1 : 0);
      tokens += static_cast<double>(end - first);
      if (!output.probability.defined()) continue;
      concepts += static_cast<double>(output.segmentation.count);
      for (size_t t = 1; t < end - first; ++t) {
        p_sum += output.probability.data<float>()[t];
        boundaries += output.segmentation.boundary.data<uint8_t>()[t];
        counted += 1;
      }
    }
  }
  result.loss = loss / static_cast<double>(result.tokens);
  result.bits_per_byte = loss / std::numbers::ln2 / static_cast<double>(result.bytes);
  result.tokens_per_concept = tokens / concepts;
  result.boundary_rate = boundaries / counted;
  result.boundary_mean = p_sum / counted;
  return result;
}

}  // namespace

TEST_CASE("evaluate: losses and statistics are those of forward passes of each document") {
  const test::TemporaryFolder folder;
  test::write_tiny_shard(folder / "heldout-00000.h5", kTexts);
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const auto model = test::tiny_model(test::tiny_config(kind));
    const EvaluationResult wanted = by_definition(*model);
    for (const int64_t batch_tokens : {32, 70, 4096}) {
      data::HeldoutReader reader({folder.path(), 32, batch_tokens, -1});
      for (int pass = 0; pass < 2; ++pass) {  // the second must begin anew
        const EvaluationResult found = evaluate(*model, reader);
        CHECK(found.loss == doctest::Approx(wanted.loss).epsilon(1e-5));
        CHECK(found.bits_per_byte == doctest::Approx(wanted.bits_per_byte).epsilon(1e-5));
        CHECK(found.tokens == wanted.tokens);
        CHECK(found.bytes == wanted.bytes);
        if (kind == ModelKind::transformer) {
          CHECK(found.tokens_per_concept == 0);
          CHECK(found.boundary_rate == 0);
          continue;
        }
        CHECK(found.tokens_per_concept == doctest::Approx(wanted.tokens_per_concept));
        CHECK(found.boundary_rate == doctest::Approx(wanted.boundary_rate));
        CHECK(found.boundary_mean == doctest::Approx(wanted.boundary_mean).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("evaluate: by domain, what each gives alone; together the whole") {
  const test::TemporaryFolder folder;
  for (const char* domain : {"code", "empty", "prose"}) std::filesystem::create_directories(folder / domain);
  test::write_tiny_shard(folder / "code/heldout-00000.h5", {kTexts[0], kTexts[3]});
  test::write_tiny_shard(folder / "prose/heldout-00000.h5", {kTexts[1], kTexts[2], kTexts[4]});
  test::write_tiny_shard(folder / "empty/heldout-00000.h5", {});
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const auto model = test::tiny_model(test::tiny_config(kind));
    data::HeldoutReader reader({folder.path(), 32, 100, -1});
    const EvaluationResult both = evaluate(*model, reader);
    REQUIRE(both.domains.size() == 2);
    double loss = 0;
    int64_t tokens = 0, bytes = 0;
    for (size_t i = 0; i < 2; ++i) {
      const auto& [name, found] = both.domains[i];
      CHECK(name == (i == 0 ? "code" : "prose"));
      data::HeldoutReader alone({folder / name, 32, 32, -1});
      const EvaluationResult wanted = evaluate(*model, alone);
      CHECK(wanted.domains.empty());
      CHECK(found.loss == doctest::Approx(wanted.loss).epsilon(1e-6));
      CHECK(found.bits_per_byte == doctest::Approx(wanted.bits_per_byte).epsilon(1e-6));
      CHECK(found.tokens == wanted.tokens);
      CHECK(found.bytes == wanted.bytes);
      CHECK(found.tokens_per_concept == wanted.tokens_per_concept);
      CHECK(found.boundary_rate == wanted.boundary_rate);
      CHECK(found.boundary_mean == doctest::Approx(wanted.boundary_mean).epsilon(1e-6));
      loss += found.loss * static_cast<double>(found.tokens);
      tokens += found.tokens;
      bytes += found.bytes;
    }
    CHECK(tokens == both.tokens);
    CHECK(bytes == both.bytes);
    CHECK(loss / static_cast<double>(tokens) == doctest::Approx(both.loss).epsilon(1e-12));
  }
}

TEST_CASE("evaluate: a part of the tokens, and none to predict") {
  const test::TemporaryFolder folder;
  test::write_tiny_shard(folder / "a.h5", kTexts);
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  data::HeldoutReader some({folder / "a.h5", 32, 64, 20});
  const EvaluationResult result = evaluate(*model, some);
  CHECK(result.tokens == 19);  // 12 tokens with 11 targets, then 8 of the next document
  data::HeldoutReader none({folder / "a.h5", 32, 64, 0});
  CHECK_THROWS_AS(evaluate(*model, none), InputError);
}

TEST_CASE("evaluate: data of another tokenizer is refused") {
  const test::TemporaryFolder folder;
  test::write_tiny_shard(folder / "a.h5", kTexts);
  const data::HeldoutReader reader({folder / "a.h5", 32, 64, -1});
  CHECK_NOTHROW(require_same_tokenizer(reader, {257, {data::ByteTokenizer().identity()}, "m"}, "d"));
  const std::vector<std::string> either = {"words sha256=0", data::ByteTokenizer().identity()};
  CHECK_NOTHROW(require_same_tokenizer(reader, {257, either, "m"}, "d"));
  CHECK_THROWS_WITH_AS(require_same_tokenizer(reader, {257, {"words sha256=0"}, "m.h5"}, "d.h5"),
                       doctest::Contains("'d.h5' was made with tokenizer 'bytes sha256="), InputError);
  // Where it is not known, the number of ids is looked at alone.
  CHECK_NOTHROW(require_same_tokenizer(reader, {257, {}, "m"}, "d"));
  CHECK_THROWS_WITH_AS(require_same_tokenizer(reader, {256, {}, "m.h5"}, "d.h5"),
                       doctest::Contains("'d.h5' has a vocabulary of 257 ids, but 'm.h5' of 256"),
                       InputError);
}

TEST_CASE("evaluation dump: what was predicted, token by token") {
  const test::TemporaryFolder folder;
  test::write_tiny_shard(folder / "a.h5", kTexts);
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const auto model = test::tiny_model(test::tiny_config(kind));
    data::HeldoutReader reader({folder / "a.h5", 32, 64, -1});
    EvaluationDump dump(folder / "dump.h5", *model, DumpLogits::yes, {"checkpoint", "data"});
    const EvaluationResult result =
        evaluate(*model, reader, [&](const EvaluatedBatch& batch) { dump.add(batch); });
    dump.close();

    const data::Hdf5Reader file(folder / "dump.h5");
    const auto total = static_cast<size_t>(reader.tokens());
    CHECK(file.info("/logits").sizes == std::vector<int64_t>{reader.tokens(), 257});
    std::vector<int32_t> tokens(total);
    std::vector<float> losses(total), logits(total * 257);
    std::vector<int32_t> offsets(static_cast<size_t>(file.info("/cu_seqlens").count));
    file.read("/tokens", tokens.data());
    file.read("/loss", losses.data());
    file.read("/logits", logits.data());
    file.read("/cu_seqlens", offsets.data());
    CHECK(offsets == std::vector<int32_t>{0, 12, 44, 46, 78, 110, 121, 124});
    CHECK(tokens[0] == 256);
    CHECK(tokens[1] == 'S');
    double sum = 0;
    int64_t predicted = 0;
    for (size_t t = 0; t < total; ++t) {
      if (std::isnan(losses[t])) {
        CHECK(tokens[t] == 256);
        continue;
      }
      const float* row = logits.data() + t * 257;
      double exponentials = 0;
      for (int v = 0; v < 257; ++v) exponentials += std::exp(static_cast<double>(row[v]));
      CHECK(std::abs(losses[t] - (std::log(exponentials) - row[tokens[t + 1]])) < 1e-4);
      sum += losses[t];
      ++predicted;
    }
    CHECK(predicted == result.tokens);
    CHECK(sum / static_cast<double>(predicted) == doctest::Approx(result.loss).epsilon(1e-6));
    std::vector<float> p(total);
    std::vector<uint8_t> boundary(total, 7);
    REQUIRE(file.info("/boundary_probability").sizes == std::vector<int64_t>{reader.tokens()});
    REQUIRE(file.info("/boundary").sizes == std::vector<int64_t>{reader.tokens()});
    file.read("/boundary_probability", p.data());
    file.read("/boundary", boundary.data());
    if (kind == ModelKind::transformer) {  // has no concepts
      CHECK(std::all_of(p.begin(), p.end(), [](float value) { return value == 0; }));
      CHECK(std::all_of(boundary.begin(), boundary.end(), [](uint8_t value) { return value == 0; }));
      continue;
    }
    for (size_t t = 0; t < total; ++t) CHECK((boundary[t] != 0) == (p[t] >= 0.5f));
    for (size_t i = 0; i + 1 < offsets.size(); ++i) CHECK(p[static_cast<size_t>(offsets[i])] == 1.0f);
  }
}

TEST_CASE("evaluation dump: nothing is left where it was not completed") {
  const test::TemporaryFolder folder;
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  { const EvaluationDump dump(folder / "dump.h5", *model, DumpLogits::no, {"checkpoint", "data"}); }
  CHECK(std::filesystem::is_empty(folder.path()));
}
