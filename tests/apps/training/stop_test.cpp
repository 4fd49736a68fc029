// The program `train` stopped before its first step.
#include <chrono>
#include <csignal>
#include <thread>

#include <doctest/doctest.h>

#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

TEST_CASE("a run stopped at any moment of its start ends with 0 and can be gone on with") {
  const TrainingPlace place;
  for (const int milliseconds : {0, 1, 3, 6, 12, 25, 50}) {
    CAPTURE(milliseconds);
    Process process = place.start("run", {"--resume", "--set", "train.checkpoint_every=1000"});
    REQUIRE(wait_until(process, [&] { return process.handles(SIGTERM); }));
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    process.signal(SIGTERM);
    CHECK(process.wait() == 0);
  }
  CHECK(place.train("unbroken") == 0);
  CHECK(place.train("run", {"--resume"}) == 0);
  check_same_run(place, "run", "unbroken");
}

TEST_CASE("a run stopped while it opens its data writes nothing") {
  const TrainingPlace place;
  for (int i = 10; i < 60; ++i) {
    const std::string name = "shards/train-000" + std::to_string(i) + ".h5";
    std::filesystem::copy_file(place.folder / "shards/train-00000.h5", place.folder / name);
  }
  Process process = place.start("run");
  REQUIRE(wait_until(process, [&] { return process.handles(SIGTERM); }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK_MESSAGE(place.error() == "stopped before a step was made; nothing was written\n", place.error());
  CHECK_FALSE(std::filesystem::exists(place.folder / "run"));
}

}  // namespace
}  // namespace dlcm::test
