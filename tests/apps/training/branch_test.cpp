// train --branch-decay: another end of a run.
#include <doctest/doctest.h>

#include "data/checkpoint.h"
#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("branch: a decay that begins at a checkpoint is a run of its own") {
  const TrainingPlace place;
  const Words more = {"--set", "schedule.decay_share=0.2", "--set",
                      "train.checkpoint_every=6"};  // steps 24 to 30
  const auto with = [&](const Words& words) {
    Words all = more;
    all.insert(all.end(), words.begin(), words.end());
    return all;
  };
  CHECK(place.train("run", more) == 0);
  const auto before = contents_of(place.folder / "run");
  CHECK(place.train("run", with({"--branch-decay", "12"})) == 0);
  const std::string branch = place.folder / "run/branch-00000012";
  CHECK(fs::read_symlink(branch + "/checkpoints/latest.h5") == "step-00000018.h5");
  for (const auto& [path, bytes] : before) CHECK(read_bytes(path) == bytes);
  // The same as a run that was planned so, whose boundaries alone are sharpened by another schedule.
  const std::vector<std::string> lines = lines_of(read_bytes(branch + "/metrics.jsonl"));
  REQUIRE(lines.size() >= 6);
  CHECK(lines.front().starts_with("{\"step\":13,"));
  CHECK(contains(read_bytes(branch + "/config.toml"), "steps = 18"));
  // It is resumed as any run, or by the command that made it.
  CHECK(place.train("run", with({"--branch-decay", "12", "--resume"})) == 0);
  CHECK_MESSAGE(contains(place.error(), "all 18 steps are done"), place.error());
  CHECK(place.train("run/branch-00000012", with({"--resume", "--set", "schedule.steps=18"})) == 0);
}

TEST_CASE("branch: a decay of the run's own length from its own place is the run's own decay") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "train.checkpoint_every=9"}) == 0);  // decays from step 27 on
  CHECK(place.train("run", {"--branch-decay", "27"}) == 0);
  const data::Checkpoint run =
      data::read_checkpoint(data::newest_checkpoint(place.folder / "run"), data::CheckpointPart::everything);
  const data::Checkpoint branch = data::read_checkpoint(
      data::newest_checkpoint(place.folder / "run/branch-00000027"), data::CheckpointPart::everything);
  REQUIRE(run.model.size() == branch.model.size());
  for (size_t i = 0; i < run.model.size(); ++i) {
    CHECK(run.model[i].second.to_vector<float>() == branch.model[i].second.to_vector<float>());
  }
}

TEST_CASE("branch: steps without a checkpoint or outside the stable phase, and a branch that is there") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "train.checkpoint_every=2"}) == 0);  // warm-up 3, decay from 27
  check_refused(place, place.train("run", {"--branch-decay", "2"}), 2, "the rate is constant from step 3");
  check_refused(place, place.train("run", {"--branch-decay", "28"}), 2, "to step 27");
  check_refused(place, place.train("run", {"--branch-decay", "13"}), 2, "step-00000013.h5");
  check_refused(place, place.train("run", {"--branch-decay", "0"}), 2, "--branch-decay");
  check_refused(place, place.train("run", {"--branch-decay", "12", "--set", "schedule.decay_share=0"}), 2,
                "no step of decay");
  // The checkpoint's own configuration counts too, not only the one that is given now.
  check_refused(place, place.train("run", {"--branch-decay", "2", "--set", "schedule.warmup=0"}), 2,
                "as the checkpoint's own configuration has it");
  check_refused(place, place.train("run", {"--branch-decay", "28", "--set", "schedule.steps=60"}), 2,
                "to step 27, where the run's own decay begins, as the checkpoint's own");
  CHECK_FALSE(fs::exists(place.folder / "run/branch-00000013"));
  CHECK(place.train("run", {"--branch-decay", "12"}) == 0);
  check_refused(place, place.train("run", {"--branch-decay", "12"}), 2, "holds this branch already");
}

}  // namespace
}  // namespace dlcm::test
