#include "apps/training/samples.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include <doctest/doctest.h>

#include "apps/segmenting/concepts.h"
#include "data/tokenizer.h"
#include "tests/apps/tiny_model.h"
#include "tests/apps/training_place.h"

namespace dlcm::apps {
namespace {

using namespace dlcm::test;
using nlohmann::json;

const std::string kProse = "It was the best of times \u20ac, it was the \u00e9 worst.";

struct Domains {
  TemporaryFolder folder;
  Domains() {
    for (const char* domain : {"code", "empty", "prose"})
      std::filesystem::create_directories(folder / domain);
    write_tiny_shard(folder / "code/heldout-00000.h5", {"x", std::string(299, 'a') + "\u20ac and more"});
    write_tiny_shard(folder / "empty/heldout-00000.h5", {""});
    write_tiny_shard(folder / "prose/heldout-00000.h5", {kProse});
  }
  HeldoutSamples samples(int64_t context) const {
    const data::HeldoutReader reader({folder.path(), 1024, 1024, -1});
    return heldout_samples(reader, {}, context);
  }
};

std::string text_of(const HeldoutSample& sample) {
  return std::accumulate(sample.texts.begin(), sample.texts.end(), std::string());
}

}  // namespace

TEST_CASE("samples: whole characters of a document of each domain that has text") {
  const Domains domains;
  const auto [samples, missing] = domains.samples(1024);
  CHECK(missing.empty());
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].domain == "code");
  CHECK(text_of(samples[0]) == std::string(299, 'a'));
  CHECK(samples[1].domain == "prose");
  CHECK(text_of(samples[1]) == kProse);
  CHECK(samples[1].tokens.size() == kProse.size() + 1);
  CHECK(samples[1].tokens[0] == data::ByteTokenizer().begin_id());
  // 28 bytes with the begin token: the third and last byte of the euro sign is the 28th.
  CHECK(text_of(domains.samples(28).samples[1]) == kProse.substr(0, 25));
  CHECK(text_of(domains.samples(29).samples[1]) == kProse.substr(0, 28));
}

TEST_CASE("samples: a tokenizer that is not known or damaged is told") {
  const TemporaryFolder folder;
  data::ShardWriter writer(folder / "heldout-00000.h5", {300, "words sha256=0", ""});
  writer.add(std::vector<int32_t>{1, 2, 3}, 9);
  writer.finish();
  writer.publish();
  const data::HeldoutReader reader({folder.path(), 8, 8, -1});
  const auto [none, missing] = heldout_samples(reader, {folder / "tokenizer.json"}, 8);
  CHECK(none.empty());
  CHECK(contains(missing, "words sha256=0"));
  write_bytes(folder / "tokenizer.json", "{");
  CHECK(contains(heldout_samples(reader, {folder / "tokenizer.json"}, 8).missing, "tokenizer.json"));
}

TEST_CASE("samples: a line a domain with the concepts that segment shows; later lines go on resuming") {
  const Domains domains;
  const auto samples = domains.samples(1024).samples;
  const auto model = tiny_model(tiny_config(ModelKind::dlcm));
  const std::string path = domains.folder / "samples.jsonl";
  SampleLog(path, 0).write(7, *model, samples);
  const std::string first = read_bytes(path);
  const std::vector<std::string> lines = lines_of(first);
  REQUIRE(lines.size() == 2);
  const json line = json::parse(lines[1]);
  CHECK(line["step"] == 7);
  CHECK(line["domain"] == "prose");
  const auto concepts = concepts_of(*model, data::ByteTokenizer(), kProse, 1024);
  REQUIRE(line["concepts"].size() == concepts.size());
  for (size_t i = 0; i < concepts.size(); ++i) {
    CHECK(line["concepts"][i] == concepts[i].text);
    CHECK(line["tokens"][i] == concepts[i].tokens);
    CHECK(std::abs(line["p"][i].get<double>() - concepts[i].probability[0]) <= 0.5001e-4);
  }
  SampleLog(path, 7).write(9, *model, samples);
  CHECK(lines_of(read_bytes(path)).size() == 4);
  SampleLog(path, 8).write(9, *model, {});
  CHECK(read_bytes(path) == first);
}

}  // namespace dlcm::apps
