// The program `train` stopped, killed and resumed: its runs are the ones that never stopped.
#include <chrono>
#include <csignal>
#include <thread>

#include <doctest/doctest.h>
#include <sched.h>

#include "tensor/random.h"
#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;

void check_run_that_is_stopped(const TrainingPlace& place) {
  CHECK(place.train("unbroken") == 0);
  int64_t stops = 0;
  for (int life = 0; life < 30; ++life) {
    // 3, 5 or 7 lines on: some stops fall on an evaluation or a checkpoint, most between them.
    const size_t wanted = place.metrics_lines("run") + 3 + 2 * static_cast<size_t>(life % 3);
    Process process = place.start("run", life == 0 ? Words{} : Words{"--resume"});
    const bool reached = wait_until(process, [&] { return place.metrics_lines("run") >= wanted; });
    if (reached) process.signal(life % 2 == 0 ? SIGINT : SIGTERM);
    CHECK(process.wait() == 0);
    if (!contains(place.error(), "saved, go on with --resume")) break;
    ++stops;
  }
  CHECK(stops >= 2);
  check_same_run(place, "run", "unbroken");
}

TEST_CASE("a run stopped by signals and resumed is the unbroken run") {
  check_run_that_is_stopped(TrainingPlace());
}

TEST_CASE("a run in bf16 stopped by signals and resumed is the unbroken run") {
  const TrainingPlace place(DType::bf16);
  check_run_that_is_stopped(place);
  CHECK_MESSAGE(contains(place.error(), "device cpu, bf16, "), place.error());
  CHECK(contains(read_bytes(place.folder / "run/config.toml"), "dtype = \"bf16\""));
  const std::string before = place.metrics("run");
  check_refused(place, place.train("run", {"--resume", "--set", "train.dtype=f32"}), 2, "train.dtype");
  CHECK(place.metrics("run") == before);
  CHECK(place.train("f32", {"--set", "train.dtype=f32"}) == 0);
  CHECK(place.metrics("f32") != before);  // so products did round
}

TEST_CASE("a run killed at any moment and resumed is the unbroken run") {
  const TrainingPlace place;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(place.train("unbroken") == 0);
  const std::chrono::duration<double> unbroken = std::chrono::steady_clock::now() - begin;
  for (uint64_t life = 0; life < 8; ++life) {  // random moments: of the start too
    Process process = place.start("run", {"--resume", "--set", "train.checkpoint_every=3"});
    std::this_thread::sleep_for(unbroken * random_uniform(9, RandomStream::tests, 0, life) * 0.7);
    process.signal(SIGKILL);
    process.wait();
  }
  CHECK(place.train("run", {"--resume"}) == 0);
  check_same_run(place, "run", "unbroken");
}

// Programs that are started while it lives run on one core. Steps of a tiny model are so short that two
// threads mostly wait for each other where other programs take the cores: six times as long.
struct OnOneCore {
  OnOneCore() {
    REQUIRE(sched_getaffinity(0, sizeof(before), &before) == 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t core = 0; CPU_COUNT(&one) == 0; ++core)
      if (CPU_ISSET(core, &before)) CPU_SET(core, &one);
    sched_setaffinity(0, sizeof(one), &one);
  }
  ~OnOneCore() { sched_setaffinity(0, sizeof(before), &before); }
  OnOneCore(const OnOneCore&) = delete;
  OnOneCore& operator=(const OnOneCore&) = delete;

  cpu_set_t before;
};

// Kills `run` at `kills` random moments: some in its start, most after up to `most_lines` more lines and a
// moment. By lines, not by time: how far a life gets does not depend on what else the machine does.
void kill_at_random(const TrainingPlace& place, const std::string& run, uint64_t kills, double most_lines,
                    const std::function<Words(uint64_t)>& more) {
  for (uint64_t life = 0; life < kills; ++life) {
    const auto uniform = [&](uint64_t which) { return random_uniform(11, RandomStream::tests, which, life); };
    // The files of a life before may have lines of steps that this one makes again.
    const size_t before = place.metrics_lines(run);
    const auto lines = static_cast<size_t>(uniform(1) * most_lines);
    const size_t wanted = life % 5 == 0 ? 0 : before + 1 + lines;
    Process process = [&] {
      const OnOneCore core;
      return place.start(run, more(life));
    }();
    wait_until(process, [&] { return place.metrics_lines(run) >= wanted; });
    std::this_thread::sleep_for(std::chrono::duration<double>(uniform(2) * 0.03));
    process.signal(SIGKILL);
    process.wait();
  }
}

// Sizes that take the same pieces as the place's own 48 tokens.
Words with_another_micro_batch(uint64_t life) {
  constexpr const char* kSizes[] = {"32", "96", "41", "64"};
  return {"--resume", "--set", concat("train.micro_tokens=", kSizes[life % 4]), "--set",
          "train.checkpoint_every=2"};
}

TEST_CASE("killed and resumed with other micro-batches every step reads what the unbroken run's does") {
  const TrainingPlace place;
  CHECK(place.train("unbroken") == 0);
  kill_at_random(place, "run", 6, 10, with_another_micro_batch);
  CHECK(place.train("run", {"--resume"}) == 0);
  CHECK(place.data_checksums("unbroken").size() == 30);
  CHECK(place.data_checksums("run") == place.data_checksums("unbroken"));
}

// Half a minute: run by name (tests/CMakeLists.txt).
TEST_CASE("a long run survives fifty kills" * doctest::skip()) {
  const TrainingPlace place;
  const Words sizes = {"--set", "model.token.width=64",   "--set", "model.token.ff=128",
                       "--set", "model.concept.width=96", "--set", "model.concept.ff=192",
                       "--set", "train.batch_tokens=480", "--set", "schedule.steps=400"};
  const auto with = [&](Words words) {
    words.insert(words.end(), sizes.begin(), sizes.end());
    return words;
  };
  const auto train = [&](const std::string& run, const Words& words) {
    const OnOneCore core;
    return place.train(run, words);
  };
  CHECK(train("unbroken", sizes) == 0);
  CHECK(place.data_checksums("unbroken").size() == 400);
  kill_at_random(place, "micro", 50, 16, [&](uint64_t life) { return with(with_another_micro_batch(life)); });
  const size_t reached = place.data_checksums("micro").size();
  CHECK(train("micro", with({"--resume"})) == 0);
  CHECK(place.data_checksums("micro") == place.data_checksums("unbroken"));
  kill_at_random(place, "same", 50, 16, [&](uint64_t) {
    return with({"--resume", "--set", "train.checkpoint_every=2"});
  });
  CHECK(train("same", with({"--resume"})) == 0);
  check_same_run(place, "same", "unbroken");
  MESSAGE("the kills ended at step ", reached, " and ", place.data_checksums("same").size());
}

TEST_CASE("a run killed while it writes checkpoints is the unbroken run") {
  const TrainingPlace place;
  CHECK(place.train("unbroken") == 0);
  int killed_while_writing = 0;
  for (int life = 0; life < 20 && killed_while_writing < 4; ++life) {
    Process process = place.start("run", {"--resume", "--set", "train.checkpoint_every=1"});
    const size_t before = place.metrics_lines("run");
    const bool writing = wait_until(process, [&] {
      return holds_temporary(place.folder / "run") && (life == 0 || place.metrics_lines("run") > before);
    });
    if (!writing) break;  // it was too quick and has ended
    process.signal(SIGKILL);
    process.wait();
    killed_while_writing += holds_temporary(place.folder / "run") ? 1 : 0;
  }
  CHECK(killed_while_writing > 0);
  CHECK(place.train("run", {"--resume"}) == 0);
  check_same_run(place, "run", "unbroken");
  CHECK_FALSE(holds_temporary(place.folder / "run"));  // what the killed ones left is gone
}

TEST_CASE("a run whose link to the newest checkpoint is missing or broken goes on from its newest step") {
  const TrainingPlace place;
  const std::string link = place.folder / "run/checkpoints/latest.h5";
  CHECK(place.train("run", {"--set", "schedule.steps=2", "--set", "train.checkpoint_every=1"}) == 0);
  for (const char* target : {"", "step-00000099.h5"}) {
    CAPTURE(target);
    fs::remove(link);
    if (*target != '\0') fs::create_symlink(target, link);
    CHECK(place.train("run", {"--resume", "--set", "schedule.steps=2"}) == 0);
    CHECK_MESSAGE(contains(place.error(), "all 2 steps are done"), place.error());
  }
}

TEST_CASE("other settings on resume keep the configuration of before; fewer steps than done are refused") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const std::string before = read_bytes(place.folder / "run/config.toml");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=3"}) == 2);
  CHECK(read_bytes(place.folder / "run/config.toml") == before);
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=6"}) == 0);
  CHECK(read_bytes(place.folder / "run/config-until-step-4.toml") == before);
}

TEST_CASE("a second signal ends the run at once") {
  const TrainingPlace place;
  Process process =
      place.start("run", {"--set", "schedule.steps=100000", "--set", "train.checkpoint_every=100000"});
  REQUIRE(wait_until(process, [&] { return place.metrics_lines("run") > 0; }));
  // Halted while both are sent, it finds them together when it goes on: however busy the machine is, it
  // cannot save after the first. Which one it takes first is the system's choice.
  process.signal(SIGSTOP);
  process.signal(SIGINT);
  process.signal(SIGTERM);
  process.signal(SIGCONT);
  const int code = process.wait();
  CHECK_MESSAGE((code == 128 + SIGINT || code == 128 + SIGTERM), "exit code ", code);
  CHECK_FALSE(fs::exists(place.folder / "run/checkpoints/latest.h5"));
}

}  // namespace
}  // namespace dlcm::test
