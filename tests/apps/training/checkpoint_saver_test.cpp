#include "apps/training/checkpoint_saver.h"

#include <chrono>
#include <csignal>
#include <thread>

#include <doctest/doctest.h>

#include "tests/apps/training_place.h"
#include "tests/op_check.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;
using namespace dlcm::test;

data::Checkpoint checkpoint_of(int64_t step, const Tensor& weights) {
  data::Checkpoint checkpoint;
  checkpoint.header.config = "of a test";
  checkpoint.header.step = step;
  checkpoint.model = {{"weights", weights}};
  checkpoint.moment_m = {{"weights", Tensor::full(weights.shape(), 0.5)}};
  checkpoint.moment_v = {{"weights", Tensor::full(weights.shape(), 0.25)}};
  return checkpoint;
}

// A saver in a run's folder.
struct SaverPlace {
  explicit SaverPlace(SaveMode mode = SaveMode::beside_training)
      : folder(place / "run", Resume::no), saver(begun(), metrics_log(), config, mode) {}

  RunFolder& begun() {
    folder.begin(config);
    return folder;
  }
  const MetricsLog& metrics_log() {
    metrics = std::make_unique<MetricsLog>(place / "run/metrics.jsonl", 0);
    return *metrics;
  }
  SaveOutcome save(int64_t step) {
    saver.start(checkpoint_of(step, Tensor::full({3, 5}, static_cast<double>(step))));
    return saver.wait();
  }
  std::vector<int64_t> steps() const {
    std::vector<int64_t> steps;
    for (const std::string& path : folder.checkpoints()) steps.push_back(data::step_of_checkpoint(path));
    return steps;
  }

  TemporaryFolder place;
  Config config;
  RunFolder folder;
  std::unique_ptr<MetricsLog> metrics;
  CheckpointSaver saver;
};

TEST_CASE("checkpoint saver: writes what was there when it was started, and links to it") {
  for (const SaveMode mode : {SaveMode::beside_training, SaveMode::within_step}) {
    SaverPlace place(mode);
    const Tensor weights = random_tensor({700, 1000}, DType::f32, 1);
    const Tensor before = weights.to(DType::f64).to(DType::f32);
    CHECK_FALSE(place.saver.busy());
    CHECK_FALSE(place.saver.poll().has_value());
    place.saver.prepare(checkpoint_of(0, weights));
    CHECK_FALSE(place.saver.busy());
    CHECK_FALSE(place.saver.poll().has_value());
    place.saver.start(checkpoint_of(7, weights));
    CHECK(place.saver.busy());
    CHECK_THROWS_WITH_AS(place.saver.start(checkpoint_of(8, weights)),
                         "checkpoint: one is being written already", Error);
    weights.fill(0);  // the next step
    std::optional<SaveOutcome> outcome;
    while (!(outcome = place.saver.poll())) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(outcome->step == 7);
    CHECK(outcome->failure.empty());
    CHECK(outcome->not_finite.empty());
    CHECK_FALSE(place.saver.busy());
    CHECK(fs::read_symlink(place.place / "run/checkpoints/latest.h5") == "step-00000007.h5");
    const data::Checkpoint read =
        data::read_checkpoint(data::newest_checkpoint(place.folder.path()), data::CheckpointPart::everything);
    CHECK(bit_equal(read.model[0].second, before));
    CHECK(read.moment_v[0].second.data<float>()[0] == 0.25F);
  }
}

TEST_CASE("checkpoint saver: keeps the newest and every so many steps") {
  SaverPlace place;
  place.config.train.keep = 2;
  place.config.train.keep_every = 30;
  for (int64_t step = 10; step <= 80; step += 10) CHECK(place.save(step).failure.empty());
  CHECK(place.steps() == std::vector<int64_t>{80, 70, 60, 30});
  place.config.train.keep_every = 0;
  CHECK(place.save(90).failure.empty());
  CHECK(place.steps() == std::vector<int64_t>{90, 80});
  place.config.train.keep = 0;
  CHECK(place.save(100).failure.empty());
  CHECK(place.steps() == std::vector<int64_t>{100, 90, 80});
}

TEST_CASE("checkpoint saver: what is not finite is named and not written") {
  SaverPlace place;
  const Tensor weights = Tensor::full({3, 5}, 1.0);
  weights.data<float>()[14] = INFINITY;
  place.saver.start(checkpoint_of(4, weights));
  CHECK(place.saver.wait().not_finite == "weights");
  CHECK(place.steps().empty());
}

TEST_CASE("checkpoint saver: a failure is told, and the next attempt may succeed") {
  SaverPlace place;
  const std::string checkpoints = place.place / "run/checkpoints";
  fs::remove_all(checkpoints);
  write_bytes(checkpoints, "a file");
  const SaveOutcome outcome = place.save(3);
  CHECK(outcome.step == 3);
  CHECK_MESSAGE(contains(outcome.failure, checkpoints), outcome.failure);
  CHECK(read_bytes(checkpoints) == "a file");
  fs::remove_all(place.place / "run");  // lost with all that was in it
  CHECK(place.save(4).failure.empty());
  CHECK(place.steps() == std::vector<int64_t>{4});
  CHECK(fs::exists(place.place / "run/config.toml"));
}

TEST_CASE("checkpoint saver: an old file that cannot be removed is a warning, a missing link a failure") {
  SaverPlace place;
  place.config.train.keep = 1;
  const std::string checkpoints = place.place / "run/checkpoints/";
  fs::create_directories(checkpoints + "step-00000001.h5");
  SaveOutcome outcome = place.save(5);
  CHECK(outcome.failure.empty());
  CHECK_MESSAGE(contains(outcome.warning, "step-00000001.h5"), outcome.warning);
  CHECK(fs::read_symlink(checkpoints + "latest.h5") == "step-00000005.h5");
  fs::remove(checkpoints + "latest.h5");
  fs::create_directory(checkpoints + "latest.h5");
  outcome = place.save(6);
  CHECK_MESSAGE(
      contains(outcome.failure, "the checkpoint of step 6 is written, but not named by latest.h5: "),
      outcome.failure);
  CHECK(fs::exists(checkpoints + "step-00000006.h5"));
}

TEST_CASE("checkpoint saver: files of later steps are neither counted nor removed") {
  SaverPlace place;
  place.config.train.keep = 1;
  CHECK(place.save(12).failure.empty());
  CHECK(place.save(7).failure.empty());
  CHECK(place.steps() == std::vector<int64_t>{12, 7});
  CHECK(place.save(8).failure.empty());
  CHECK(place.steps() == std::vector<int64_t>{12, 8});
}

TEST_CASE("a run whose folder is lost makes it anew") {
  const TrainingPlace place;
  Process process = place.start("run", {"--set", "schedule.steps=80"});
  REQUIRE(wait_until(process, [&] { return place.metrics_lines("run") >= 10; }));
  process.signal(SIGSTOP);
  fs::remove_all(place.folder / "run");
  process.signal(SIGCONT);
  CHECK(process.wait() == 0);
  CHECK(fs::read_symlink(place.folder / "run/checkpoints/latest.h5") == "step-00000080.h5");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=82"}) == 0);
}

TEST_CASE("a run whose folder is lost after its last step saves its weights in a new one") {
  const TrainingPlace place;
  Process process = place.start("run", {"--set", "train.checkpoint_every=1000"});
  REQUIRE(
      wait_until(process, [&] { return place.metrics_lines("run") >= 34; }));  // the last evaluation's too
  process.signal(SIGSTOP);
  const bool saved = !fs::is_empty(place.folder / "run/checkpoints");
  fs::remove_all(place.folder / "run");
  process.signal(SIGCONT);
  CHECK(process.wait() == 0);
  if (!saved) CHECK(fs::exists(place.folder / "run/checkpoints/step-00000030.h5"));
}

TEST_CASE("a run whose newest checkpoints are damaged goes on from the one before, and says so") {
  const TrainingPlace place;
  CHECK(place.train("run") == 0);
  CHECK(place.train("expected", {"--set", "schedule.steps=30"}) == 0);
  const std::string checkpoints = place.folder / "run/checkpoints/";
  const std::string newest = read_bytes(checkpoints + "step-00000030.h5");
  write_bytes(checkpoints + "step-00000030.h5", newest.substr(0, newest.size() / 2));
  write_bytes(checkpoints + "step-00000020.h5", "");
  CHECK(place.train("run", {"--resume"}) == 0);
  CHECK_MESSAGE(contains(place.error(), "train: warning: "), place.error());
  CHECK_MESSAGE(
      contains(place.error(), "going on from another checkpoint, " + checkpoints + "step-00000010.h5"),
      place.error());
  check_same_run(place, "run", "expected");
  for (const char* name : {"step-00000010.h5", "step-00000020.h5", "step-00000030.h5"})
    write_bytes(checkpoints + name, "");
  check_refused(place, place.train("run", {"--resume"}), 2, "latest.h5");
  CHECK_MESSAGE(contains(place.error(), "/checkpoints is whole: copy one back"), place.error());
}

}  // namespace
}  // namespace dlcm::apps
