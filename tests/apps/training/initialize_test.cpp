// The program `train` with --initialize: runs that begin with the weights of another model.
#include <csignal>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "apps/common/loaded_model.h"
#include "data/checkpoint.h"
#include "tests/apps/hugging_face/folders.h"
#include "tests/apps/tiny_model.h"
#include "tests/apps/training_place.h"
#include "tests/op_check.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;

constexpr char kSteps[] = "schedule.steps=12";

Words with(const Words& first, const Words& second) {
  Words words = first;
  words.insert(words.end(), second.begin(), second.end());
  return words;
}

// A source of a few steps and the options of a run that begins with it.
struct InitializePlace : TrainingPlace {
  Words options = {"--initialize", folder / "source", "--set", kSteps, "--set", "train.seed=5"};
  InitializePlace() { REQUIRE(train("source", {"--set", "schedule.steps=4"}) == 0); }
};

data::Checkpoint stored(const std::string& run, int64_t step) {
  return data::read_checkpoint(data::checkpoint_path(run, step), data::CheckpointPart::everything);
}

TEST_CASE("a run begins with the weights of another, without its moments, at the first step") {
  const InitializePlace place;
  CHECK(place.train("run", with(place.options, {"--set", "model.token.width=16"})) == 0);
  CHECK_MESSAGE(contains(place.error(), "note: [model] and [mup] are those of " + place.folder / "source"),
                place.error());
  const data::Checkpoint source = stored(place.folder / "source", 4);
  const data::Checkpoint first = stored(place.folder / "run", 0);
  REQUIRE(first.model.size() == source.model.size());
  CHECK(first.header.tokens_seen == 0);
  for (size_t i = 0; i < first.model.size(); ++i) {
    CAPTURE(first.model[i].first);
    CHECK(bit_equal(first.model[i].second, source.model[i].second));
    CHECK(bit_equal(first.moment_m[i].second, source.model[i].second.zeros_like()));
  }
  CHECK(place.metrics("run").starts_with("{\"step\":1,"));
  CHECK(place.train("from_seed", {"--set", kSteps, "--set", "train.seed=5"}) == 0);
  CHECK(place.metrics("from_seed") != place.metrics("run"));
  // config.toml reproduces the run.
  Process again("train",
                {"--config", place.folder / "run/config.toml", "--data", place.folder / "shards", "--output",
                 place.folder / "again"},
                place.folder / "stderr.txt");
  CHECK(again.wait() == 0);
  check_same_run(place, "again", "run");
}

TEST_CASE("a run that began with another's weights, killed at any moment, is the unbroken run") {
  const InitializePlace place;
  CHECK(place.train("unbroken", place.options) == 0);
  for (int life = 0; life < 4; ++life) {
    Process process =
        place.start("run", with(place.options, {"--resume", "--set", "train.checkpoint_every=2"}));
    const size_t wanted = place.metrics_lines("run") + static_cast<size_t>(life);
    wait_until(process, [&] {
      return life == 0 ? fs::exists(place.folder / "run/config.toml") : place.metrics_lines("run") > wanted;
    });
    process.signal(SIGKILL);
    process.wait();
    // With a checkpoint, also that of step 0, the source is not needed any more.
    if (life > 0) fs::remove_all(place.folder / "source");
  }
  CHECK(place.train("run", with(place.options, {"--resume"})) == 0);
  check_same_run(place, "run", "unbroken");
}

TEST_CASE("a branch of a run that began with another's weights has the run's model, and needs no source") {
  const TrainingPlace place;
  REQUIRE(place.train("source", {"--set", "schedule.steps=4", "--set", "model.token.ff=12"}) == 0);
  const Words more = {"--set", kSteps, "--set", "train.checkpoint_every=6"};
  REQUIRE(place.train("run", with(more, {"--initialize", place.folder / "source"})) == 0);
  fs::remove_all(place.folder / "source");
  CHECK_MESSAGE(place.train("run", with(more, {"--branch-decay", "6"})) == 0, place.error());
  const std::string branch = place.folder / "run/branch-00000006";
  CHECK(contains(read_bytes(branch + "/config.toml"), "initialize = \"" + place.folder / "source" + "\""));
  CHECK(contains(read_bytes(branch + "/config.toml"), "ff = 12"));
  CHECK_MESSAGE(place.train("run", with(more, {"--branch-decay", "6", "--resume"})) == 0, place.error());
}

TEST_CASE("a run killed before its first checkpoint begins with the source again, or says that it changed") {
  const InitializePlace place;
  CHECK(place.train("unbroken", place.options) == 0);
  for (const char* run : {"killed", "late"}) {
    fs::create_directories(place.folder / run);
    fs::copy(place.folder / "unbroken/config.toml", place.folder / run + "/config.toml");
  }
  CHECK(place.train("killed", {"--resume", "--set", kSteps, "--set", "train.seed=5"}) ==
        0);  // the folder knows
  check_same_run(place, "killed", "unbroken");
  fs::remove_all(place.folder / "source");
  check_refused(place, place.train("late", with(place.options, {"--resume"})), 2, "source'");
  REQUIRE(place.train("source", {"--set", "schedule.steps=4", "--set", "model.token.ff=12"}) == 0);
  check_refused(place, place.train("late", with(place.options, {"--resume"})), 2,
                "it is no longer the model that the run is to begin with");
}

TEST_CASE("what a run cannot begin with is refused in one line, and nothing is written") {
  const TrainingPlace place;
  const auto refused = [&](const std::string& source, const std::string& part) {
    check_refused(place, place.train("run", {"--initialize", source}), 2, part);
    CHECK_FALSE(fs::exists(place.folder / "run"));
  };
  refused(place.folder / "none", "none'");
  refused("-", "expected a file or a folder");
  refused(place.folder / "shards", "is neither the folder of a run");
  refused(place.folder / "shards/train-00000.h5", "train-00000.h5");
  refused(golden_folder("bf16"), "make shards with the tokenizer of the model that the run is to begin with");
}

TEST_CASE("a Qwen3 folder is trained on, with shards of fewer ids, resumed, and exported again") {
  const TrainingPlace place;
  const std::string model = golden_folder("tied_shards");
  write_bytes(place.folder / "text.txt", "Alice was beginning to get very tired of sitting by her sister.\n");
  CHECK(run_program("tokenize", "--tokenizer '" + model + "/tokenizer.json' --output '" +
                                    place.folder / "own" + "' '" + place.folder / "text.txt" + "'")
            .code == 0);
  const auto train = [&](const std::string& run, const Words& more) {
    Words words = {"--config", place.folder / "config.toml", "--data", place.folder / "own",
                   "--output", place.folder / run,           "--set",  "train.checkpoint_every=1",
                   "--set",    "train.batch_tokens=16"};
    Process process("train", with(words, more), place.folder / "stderr.txt");
    return process.wait();
  };
  CHECK_MESSAGE(train("run", {"--initialize", model, "--set", "schedule.steps=4"}) == 0, place.error());
  const std::string before = place.metrics("run");
  CHECK_MESSAGE(train("run", {"--resume", "--set", "schedule.steps=6"}) == 0, place.error());
  CHECK(place.metrics("run").starts_with(before));
  CHECK(place.metrics_lines("run") == 6);

  const apps::LoadedModel loaded = apps::load_model(place.folder / "run");
  CHECK(loaded.config.model.vocab_size == 273);
  CHECK(loaded.config.model.tied_embeddings);
  const auto tokenizer = apps::tokenizer_of(loaded);
  CHECK(tokenizer->vocab_size() == 273);
  CHECK(tokenizer->decode(272).empty());
  CHECK(tokenizer->prompt_begin() == std::vector<int32_t>{tokenizer->begin_id()});  // as it was trained
  const ProgramRun evaluated =
      run_program("evaluate", "--checkpoint '" + place.folder / "run" + "' --data '" +
                                  place.folder / "own/train-00000.h5" + "'");
  CHECK_MESSAGE(evaluated.code == 0, evaluated.errors);
  const std::string folder = place.folder / "exported";
  const ProgramRun exported =
      run_program("export", "--checkpoint '" + place.folder / "run" + "' --output '" + folder + "'");
  CHECK_MESSAGE(exported.code == 0, exported.errors);
  const std::string generate = " --temperature 0 --max-tokens 8 --json --prompt Alice";
  const auto tokens = [&](const std::string& source) {
    return nlohmann::json::parse(
        run_program("generate", "--checkpoint '" + source + "'" + generate).output)["tokens"];
  };
  CHECK(tokens(folder) == tokens(place.folder / "run"));
  const ProgramRun again = run_program(
      "evaluate", "--checkpoint '" + folder + "' --data '" + place.folder / "own/train-00000.h5" + "'");
  CHECK(again.output == evaluated.output);
}

}  // namespace
}  // namespace dlcm::test
