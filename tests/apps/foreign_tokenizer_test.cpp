// Shards that another program wrote, of a tokenizer that this one does not hold.
#include <filesystem>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "data/hdf5_file.h"
#include "data/shard.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::test;
using nlohmann::json;

namespace {

constexpr int64_t kManyIds = 128815;

// Two documents of 40 ids, `step` apart, up to the last of the vocabulary.
void write_ids(const std::string& path, const std::string& tokenizer, int64_t vocab_size, int64_t step) {
  data::ShardWriter writer(path, {vocab_size, tokenizer, "ids"});
  for (int64_t document = 0; document < 2; ++document) {
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < 40; ++i)
      ids.push_back(static_cast<int32_t>(vocab_size - 1 - (i * step + document)));
    writer.add(ids, 120);
  }
  writer.finish();
  writer.publish();
}

// Shards of such a tokenizer, a configuration of one step, and a run trained on them.
struct Place {
  TemporaryFolder folder;
  std::string shards = quoted("shards");

  Place(const std::string& tokenizer, int64_t vocab_size) {
    std::filesystem::create_directories(folder / "shards");
    write_ids(folder / "shards/train-00000.h5", tokenizer, vocab_size, 3);
    write_ids(folder / "shards/heldout-00000.h5", tokenizer, vocab_size, 2);
    apps::Config config = tiny_config(ModelKind::dlcm);
    config.schedule.steps = 1;
    config.schedule.warmup = 0;
    config.train.batch_tokens = 64;
    write_bytes(folder / "config.toml", apps::to_toml(config));
  }
  std::string quoted(const std::string& name) const { return "'" + folder / name + "'"; }
  ProgramRun train() const {
    return run_program(
        "train", "--config " + quoted("config.toml") + " --data " + shards + " --output " + quoted("run"));
  }
  ProgramRun run(const std::string& program, const std::string& arguments) const {
    return run_program(program, "--checkpoint " + quoted("run") + " " + arguments);
  }
};

}  // namespace

TEST_CASE("programs: shards of an unknown tokenizer are trained on, evaluated and inspected") {
  const Place place("gpt2-like", kManyIds);
  const ProgramRun trained = place.train();
  REQUIRE_MESSAGE(trained.code == 0, trained.errors);
  const ProgramRun evaluated =
      place.run("evaluate", "--data " + place.shards + " --dump " + place.quoted("dump.h5") + " --logits");
  REQUIRE_MESSAGE(evaluated.code == 0, evaluated.errors);
  CHECK(json::parse(evaluated.output)["bytes"] == 240);
  CHECK(data::Hdf5Reader(place.folder / "dump.h5").info("/logits").sizes ==
        std::vector<int64_t>{80, kManyIds});

  const ProgramRun shard = run_program("inspect", place.quoted("shards/train-00000.h5"));
  CHECK_MESSAGE(shard.code == 0, shard.errors);
  CHECK_MESSAGE(contains(shard.output, "document 0 (40 tokens): 128814 128811 128808 "), shard.output);
  CHECK(run_program("inspect", place.quoted("run/checkpoints/latest.h5")).code == 0);

  check_refused(place.run("generate", "--prompt a"), 2, "tokenizer 'gpt2-like' with 128815 ids is neither");
  check_refused(place.run("segment", "text"), 2, "tokenizer 'gpt2-like' with 128815 ids is neither");
  write_tiny_shard(place.folder / "bytes.h5", {"Some text."});
  check_refused(place.run("evaluate", "--data " + place.quoted("bytes.h5")), 2,
                "was made with tokenizer 'bytes ");
  write_ids(place.folder / "more.h5", "gpt2-like", kManyIds + 1, 3);
  check_refused(place.run("evaluate", "--data " + place.quoted("more.h5")), 2, "a vocabulary of 128816 ids");
}

TEST_CASE("programs: shards that say bytes without a hash are those of bytes") {
  const Place place("bytes", 257);
  const ProgramRun trained = place.train();
  REQUIRE_MESSAGE(trained.code == 0, trained.errors);
  CHECK(place.run("evaluate", "--data " + place.shards).code == 0);
  write_tiny_shard(place.folder / "tokenized.h5", {"Some text."});
  CHECK(place.run("evaluate", "--data " + place.quoted("tokenized.h5")).code == 0);
  CHECK(place.run("generate", "--max-tokens 3").code == 0);
  CHECK(place.run("segment", "text").code == 0);
}

TEST_CASE("programs: bytes with another vocabulary are refused before anything is written") {
  for (const char* tokenizer : {"bytes", "bytes sha256=00"}) {
    const Place place(tokenizer, 300);
    check_refused(place.train(), 2, "vocab_size 300, but bytes have 257 ids");
    CHECK_FALSE(std::filesystem::exists(place.folder / "run"));
  }
}
