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
    REQUIRE(wait_until(process, [&] { return process.blocks(SIGTERM); }));
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
  REQUIRE(wait_until(process, [&] { return process.blocks(SIGTERM); }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
  CHECK_MESSAGE(place.error() == "stopped before a step was made; nothing was written\n", place.error());
  CHECK_FALSE(std::filesystem::exists(place.folder / "run"));
}

// Signals are for the thread that waits for them.
TEST_CASE("no signal interrupts a thread that computes") {
  const TrainingPlace place;
  Process process = place.start("run", {"--set", "schedule.steps=100000"});
  REQUIRE(wait_until(process, [&] { return place.metrics_lines("run") > 0; }));
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    CHECK(process.blocks(number));
    CHECK_FALSE(process.handles(number));
  }
  process.signal(SIGTERM);
  CHECK(process.wait() == 0);
}

TEST_CASE("a hang-up saves the run, unless it is ignored as by nohup") {
  const TrainingPlace place;
  for (const auto action : {SIG_DFL, SIG_IGN}) {
    const std::string run = action == SIG_DFL ? "run" : "nohup";
    const std::string steps = action == SIG_DFL ? "100000" : "200";  // endless, unless it is to reach its end
    const auto before = std::signal(SIGHUP, action);                 // what the process inherits
    Process process = place.start(run, {"--set", "schedule.steps=" + steps});
    std::signal(SIGHUP, before);
    REQUIRE(wait_until(process, [&] { return place.metrics_lines(run) > 0; }));
    process.signal(SIGHUP);
    CHECK(process.wait() == 0);
    CHECK(std::filesystem::exists(place.folder / run + "/checkpoints/latest.h5"));
    CHECK(std::filesystem::exists(place.folder / run + "/checkpoints/step-00000200.h5") ==
          (action == SIG_IGN));
  }
}

}  // namespace
}  // namespace dlcm::test
