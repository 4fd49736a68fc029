// A tokenizer.json through all programs: shards, a run, text made and cut by its model.
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "data/hdf5_file.h"
#include "data/tokenizer.h"
#include "tests/apps/tiny_model.h"
#include "tests/apps/training_place.h"
#include "tests/data/bpe/shared_tokenizers.h"

using namespace dlcm;
using namespace dlcm::test;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

constexpr char kText[] = "The cat sat on the mat, 1234 times. 中文分词测试。 She said: ¿qué tal? ";

// Shards of a text by a shared tokenizer, and a run of one step on them.
struct Place {
  TemporaryFolder folder;

  explicit Place(const std::string& tokenizer) {
    std::string text;
    for (int i = 0; i < 40; ++i) text += kText;
    write_bytes(folder / "text.txt", text);
    apps::Config config = tiny_config(ModelKind::dlcm);
    config.schedule.steps = 1;
    config.schedule.warmup = 0;
    config.train.context = config.train.batch_tokens = config.train.micro_tokens = 64;
    write_bytes(folder / "config.toml", apps::to_toml(config));
    const ProgramRun tokenized =
        run_program("tokenize", "--tokenizer '" + shared_data("tokenizers/" + tokenizer + "/tokenizer.json") +
                                    "' --output " + quoted("shards") + " " + quoted("text.txt"));
    REQUIRE_MESSAGE(tokenized.code == 0, tokenized.errors);
    counts = json::parse(tokenized.output);
    const ProgramRun trained = run_program("train", "--config " + quoted("config.toml") + " --data " +
                                                        quoted("shards") + " --output " + quoted("run"));
    REQUIRE_MESSAGE(trained.code == 0, trained.errors);
  }
  std::string quoted(const std::string& name) const { return "'" + folder / name + "'"; }
  ProgramRun run(const std::string& program, const std::string& arguments) const {
    return run_program(program, "--checkpoint " + quoted("run") + " " + arguments);
  }
  json counts;
};

}  // namespace

TEST_CASE("programs: a tokenizer.json from text to text") {
  const Place place("small-8k");
  const data::Tokenizer& tokenizer = shared_tokenizer("small-8k");
  const std::string text = read_bytes(place.folder / "text.txt");
  const size_t tokens = ids_of(tokenizer, text).size() + 2;
  CHECK(place.counts["tokens"] == tokens);
  CHECK(place.counts["bytes"] == text.size());
  // The copies, in both folders.
  for (const char* name : {"shards/tokenizer.json", "run/tokenizer.json"})
    CHECK(read_bytes(place.folder / name) == read_bytes(shared_data("tokenizers/small-8k/tokenizer.json")));
  CHECK(fs::exists(place.folder / "run/tokenizer_config.json"));
  const data::Hdf5Reader shard(place.folder / "shards/train-00000.h5");
  CHECK(shard.info("/tokens").type == data::ElementType::u16);
  std::vector<int32_t> ids(tokens);
  shard.read("/tokens", ids.data());
  CHECK(ids.front() == tokenizer.begin_id());
  CHECK(ids.back() == tokenizer.end_id());
  CHECK(text_of(tokenizer, ids) == text);
  CHECK(contains(run_program("inspect", place.quoted("shards/train-00000.h5")).output,
                 "The cat sat on the mat"));

  const ProgramRun generated = place.run("generate", "--prompt 'The 中' --max-tokens 20 --ignore-end --json");
  REQUIRE_MESSAGE(generated.code == 0, generated.errors);
  CHECK(json::parse(generated.output)["tokens"].size() == 20);
  const ProgramRun segmented = place.run("segment", "--json 'The cat, 中文。'");
  REQUIRE_MESSAGE(segmented.code == 0, segmented.errors);
  std::string joined;
  const json page = json::parse(segmented.output);
  for (const json& part : page["concepts"]) joined += part["text"].get<std::string>();
  CHECK(joined == "The cat, 中文。");
  const ProgramRun evaluated = place.run("evaluate", "--data " + place.quoted("shards/train-00000.h5"));
  CHECK_MESSAGE(evaluated.code == 0, evaluated.errors);

  // A checkpoint alone needs the file to be named, and it must be the one.
  fs::copy_file(place.folder / "run/checkpoints/step-00000001.h5", place.folder / "alone.h5");
  const std::string alone = "--checkpoint " + place.quoted("alone.h5") + " --max-tokens 3 ";
  check_refused(run_program("generate", alone), 2, "give the tokenizer.json by --tokenizer");
  CHECK(run_program("generate", alone + "--tokenizer " + place.quoted("run/tokenizer.json")).code == 0);
  check_refused(run_program("generate", alone + "--tokenizer " + place.quoted("no.json")), 2, "no.json");
  write_bytes(place.folder / "run/tokenizer.json", "{");
  check_refused(place.run("generate", "--max-tokens 3"), 2, "run/tokenizer.json");
}

TEST_CASE("a run whose folder is lost has its tokenizer again in the new one") {
  const Place place("small-8k");
  const std::string run = place.folder / "lost";
  Process process("train",
                  {"--config", place.folder / "config.toml", "--set", "schedule.steps=60", "--data",
                   place.folder / "shards", "--output", run},
                  place.folder / "stderr.txt");
  REQUIRE(wait_until(process, [&] { return contains(read_bytes(run + "/metrics.jsonl"), "\"step\":5,"); }));
  process.signal(SIGSTOP);
  fs::remove_all(run);
  process.signal(SIGCONT);
  CHECK_MESSAGE(process.wait() == 0, read_bytes(place.folder / "stderr.txt"));
  for (const char* name : {"/tokenizer.json", "/tokenizer_config.json"})
    CHECK(read_bytes(run + name) == read_bytes(place.folder / "run" + name));
  const ProgramRun generated = run_program("generate", "--checkpoint '" + run + "' --max-tokens 3");
  CHECK_MESSAGE(generated.code == 0, generated.errors);
}

TEST_CASE("programs: more than 65,536 ids are stored in 32 bits" * doctest::test_suite("numerics")) {
  const Place place("deepseek-v3");
  const data::Hdf5Reader shard(place.folder / "shards/train-00000.h5");
  CHECK(shard.info("/tokens").type == data::ElementType::u32);
  const ProgramRun segmented = place.run("segment", "--json 'The cat, 中文。'");
  CHECK_MESSAGE(segmented.code == 0, segmented.errors);
}
