// The program `train` where loss, probabilities or gradients leave the finite numbers.
#include <doctest/doctest.h>

#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;

const Words kTooHigh = {"--set", "optimizer.rate_token=1000", "--set", "optimizer.rate_concept=1000",
                        "--set", "optimizer.rate_other=1000", "--set", "schedule.warmup=0"};

Words with(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_CASE("a diverged run keeps its good checkpoint, names it, and goes on from it with lower rates") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const std::string good = place.folder / "run/checkpoints/step-00000004.h5";
  check_refused(place, place.train("run", with(kTooHigh, {"--resume"})), 1, "the weights are not saved");
  CHECK_MESSAGE(contains(place.error(), "--resume goes on from " + good), place.error());
  CHECK_MESSAGE(contains(place.error(), "give it lower rates"), place.error());
  CHECK_MESSAGE(contains(place.error(), " is not finite; "), place.error());
  CHECK(fs::read_symlink(place.folder / "run/checkpoints/latest.h5") == "step-00000004.h5");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=6"}) == 0);
  CHECK(fs::exists(place.folder / "run/checkpoints/step-00000006.h5"));
}

TEST_CASE("a run that diverges before its first checkpoint writes none and can begin again") {
  const TrainingPlace place;
  const Words transformer = {"--set", "model.kind=transformer", "--set", "model.token.layers=1"};
  check_refused(place, place.train("run", with(kTooHigh, transformer)), 1, "--resume begins again");
  CHECK(fs::is_empty(place.folder / "run/checkpoints"));
  CHECK(place.train("run", with(transformer, {"--resume", "--set", "schedule.steps=2"})) == 0);
}

}  // namespace
}  // namespace dlcm::test
