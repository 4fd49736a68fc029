// train --dry-run as a user runs it.
#include <filesystem>
#include <sstream>

#include <doctest/doctest.h>

#include "dlcm/language_model.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using test::contains;

namespace {

struct Place {
  test::TemporaryFolder folder;
  std::string config = folder / "config.toml";
  std::string shards = folder / "shards";

  Place() {
    apps::Config tiny = test::tiny_config(ModelKind::dlcm);
    tiny.train.batch_tokens = 16;
    tiny.schedule.steps = 10;
    tiny.model.vocab_size = 1000;
    test::write_bytes(config, apps::to_toml(tiny));
    std::filesystem::create_directory(shards);
    test::write_tiny_shard(shards + "/train-00000.h5", {std::string(30, 'a'), std::string(30, 'b')});
    test::write_tiny_shard(shards + "/heldout-00000.h5", {"c"});
  }

  test::ProgramRun dry(const std::string& more) const {
    return test::run_program("train", "--config '" + config + "' --dry-run " + more);
  }
  test::ProgramRun dry_with_data(const std::string& more) const {
    return dry("--data '" + shards + "' " + more);
  }
};

// The first word after `name` in the line that begins with it; empty where there is none.
std::string value_of(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(name + " ")) continue;
    std::istringstream words(line.substr(name.size()));
    std::string word;
    words >> word;
    return word;
  }
  return "";
}

}  // namespace

TEST_CASE("train --dry-run: without data the vocabulary is the configuration's") {
  const Place place;
  const test::ProgramRun run = place.dry("");
  CHECK(run.code == 0);
  CHECK(run.errors.empty());
  CHECK(value_of(run.output, "embedding") == "16000");
  CHECK_FALSE(contains(run.output, "data:"));
}

TEST_CASE("train --dry-run: every parameter is counted, in parts that add up") {
  const Place place;
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const apps::Config config = test::tiny_config(kind);
    test::write_bytes(place.config, apps::to_toml(config));
    int64_t parameters = 0;
    const auto model = make_model(config.model);
    for (const nn::Parameter* parameter : model->parameters()) parameters += parameter->shape().numel();
    const test::ProgramRun run = place.dry("");
    INFO(run.output);
    CHECK(value_of(run.output, "total") == std::to_string(parameters));
    CHECK_FALSE(value_of(run.output, "FLOPs of the run").empty());
  }
}

TEST_CASE("train --dry-run: with data the shards give vocabulary and epochs, and nothing is written") {
  const Place place;
  const std::string output = place.folder / "run";
  const test::ProgramRun run = place.dry_with_data("--output '" + output + "'");
  CHECK_MESSAGE(run.code == 0, run.errors);
  CHECK(value_of(run.output, "embedding") == std::to_string(257 * 16));
  CHECK(contains(run.output, "data: the shards of " + place.shards + "\n"));
  CHECK(value_of(run.output, "vocabulary") == "257");
  CHECK(value_of(run.output, "documents") == "2");
  CHECK(value_of(run.output, "tokens per epoch") == "64");
  CHECK(value_of(run.output, "steps per epoch") == "4.00");
  CHECK(value_of(run.output, "epochs of the run") == "2.50");
  CHECK_FALSE(std::filesystem::exists(output));
}

TEST_CASE("train --dry-run: data are checked as by a real start") {
  const Place place;
  const test::ProgramRun none = place.dry("--data '" + place.folder / "none" + "'");
  CHECK(none.code == 2);
  CHECK(none.output.empty());
  CHECK(contains(none.errors, "there is no folder"));
  CHECK(place.dry_with_data("--set data.weights.a=1").code == 2);
  std::string bytes = test::read_bytes(place.shards + "/heldout-00000.h5");
  bytes[bytes.size() / 2] ^= 1;
  test::write_bytes(place.shards + "/heldout-00000.h5", bytes);
  const test::ProgramRun damaged = place.dry_with_data("");
  CHECK(damaged.code == 2);
  CHECK(contains(damaged.errors, "heldout-00000.h5"));
}

TEST_CASE("train --dry-run: notes are those of a real start") {
  const Place place;
  const std::string transformer = "--set model.kind=transformer --set model.token.layers=2 ";
  const test::ProgramRun run = place.dry(transformer);
  CHECK(run.code == 0);
  CHECK(contains(run.errors, "train: note: model.concept.width does not apply to this kind of model"));
  const test::ProgramRun start =
      test::run_program("train", "--config '" + place.config + "' --data '" + place.shards + "' --output '" +
                                     place.folder / "run" + "' --set schedule.steps=1 " + transformer);
  CHECK_MESSAGE(start.code == 0, start.errors);
  std::istringstream notes(run.errors);
  for (std::string note; std::getline(notes, note);) CHECK(contains(start.errors, note + "\n"));
  std::filesystem::remove(place.shards + "/heldout-00000.h5");
  CHECK(contains(place.dry_with_data("").errors, "has no held-out shards"));
}

TEST_CASE("train --dry-run: the largest configurations are described, what is larger is refused") {
  const Place place;
  const test::ProgramRun run = place.dry(
      "--set model.token.encoder_layers=4096 --set model.token.decoder_layers=4096 "
      "--set model.concept.layers=4096 --set model.vocab_size=1048576 --set train.batch_tokens=268435456");
  CHECK_MESSAGE(run.code == 0, run.errors);
  CHECK(value_of(run.output, "embedding") == "16.78");
  const test::ProgramRun refused = place.dry("--set model.concept.layers=1048576");
  CHECK(refused.code == 2);
  CHECK(contains(refused.errors, "model.concept.layers = 1048576: expected a whole number from 1 to 4096"));
}

TEST_CASE("train: a model that no memory holds is refused before anything is written") {
  const Place place;
  const std::string output = place.folder / "run";
  const test::ProgramRun run = test::run_program(
      "train", "--config '" + place.config + "' --data '" + place.shards + "' --output '" + output +
                   "' --set model.token.width=16384 --set model.token.ff=65536 "
                   "--set model.token.encoder_layers=4096");
  CHECK(run.code == 1);
  CHECK(contains(run.errors, "of memory; make the model smaller"));
  CHECK_FALSE(std::filesystem::exists(output));
}
