#include "apps/training/run_logs.h"

#include <csignal>
#include <filesystem>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "tests/apps/event_records.h"
#include "tests/apps/training_place.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;
using namespace dlcm::test;

// Of the event files in a folder, in their order, the scalars by step; `kind` is "train/" or "heldout/".
std::map<int64_t, std::map<std::string, float>> scalars_in(const std::string& folder,
                                                           const std::string& kind) {
  std::map<std::string, std::string> files = contents_of(folder);
  std::map<int64_t, std::map<std::string, float>> found;
  for (const auto& [path, bytes] : files) {
    if (!contains(path, "events.out.tfevents.")) continue;
    for (const Message& event : events_of(path)) {
      const auto scalars = scalars_of(event);
      if (scalars.empty() || !scalars.begin()->first.starts_with(kind)) continue;
      found[static_cast<int64_t>(event.numbers.find(2)->second)] = scalars;
    }
  }
  return found;
}

// As a disk that is full in the middle of a record.
struct SmallFiles {
  explicit SmallFiles(rlim_t bytes) : handler(std::signal(SIGXFSZ, SIG_IGN)) {
    REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
    const rlimit small{bytes, before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  }
  ~SmallFiles() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;

  void (*handler)(int);
  rlimit before{};
};

const MetricsLog::Fields kFields = {{"loss", 2.5}, {"gradient_norm", 1.0}};
constexpr char kLines[] =
    "{\"step\":1,\"loss\":2.5,\"gradient_norm\":1.0}\n{\"step\":2,\"loss\":2.5,\"gradient_norm\":1.0}\n";

TEST_CASE("run logs: what a full disk cut in the middle is whole after the next attempt") {
  const TemporaryFolder folder;
  RunLogs logs(folder.path(), 0, Samples::no);
  CHECK_FALSE(logs.has_samples());
  logs.write(1, kFields);
  {
    const SmallFiles limit(60);
    logs.write(2, kFields);
    CHECK_MESSAGE(contains(logs.failure(), "cannot be written: File too large"), logs.failure());
    CHECK(fs::file_size(folder / kMetricsFile) == 60);
  }
  logs.retry();
  CHECK(logs.failure().empty());
  CHECK(read_bytes(folder / kMetricsFile) == kLines);
  CHECK(scalars_in(folder.path(), "train/").size() == 2);
}

TEST_CASE("run logs: a file that was lost in the middle of a record begins anew with the whole one") {
  const TemporaryFolder folder;
  RunLogs logs(folder.path(), 0, Samples::yes);
  CHECK(logs.has_samples());
  {
    const SmallFiles limit(20);
    logs.write(1, kFields);
    CHECK(fs::file_size(folder / kMetricsFile) == 20);
  }
  for (const auto& [path, bytes] : contents_of(folder.path())) fs::remove(path);
  logs.write(2, kFields);
  CHECK(logs.failure().empty());
  CHECK(read_bytes(folder / kMetricsFile) == kLines);
  CHECK(scalars_in(folder.path(), "train/").size() == 2);
}

TEST_CASE("run logs: mending leaves whole lines, and whole files as they are") {
  const TemporaryFolder folder;
  write_bytes(folder / kMetricsFile, std::string(kLines) + "not a line\n{\"step\":2,");
  write_bytes(folder / kSamplesFile, kLines);
  const auto before = fs::last_write_time(folder / kSamplesFile);
  mend_logs(folder.path(), 2);
  CHECK(read_bytes(folder / kMetricsFile) == kLines);
  CHECK(read_bytes(folder / kSamplesFile) == kLines);
  CHECK(fs::last_write_time(folder / kSamplesFile) == before);
  write_bytes(folder / kSamplesFile,
              std::string(kLines).substr(0, sizeof(kLines) - 2));  // without its last end
  mend_logs(folder.path(), 2);
  CHECK(read_bytes(folder / kSamplesFile) == std::string(kLines).substr(0, (sizeof(kLines) - 1) / 2));
}

TEST_CASE("a run's event file has the numbers of metrics.jsonl, also behind a resumption") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=16"}) == 0);
  CHECK(place.train("run", {"--resume"}) == 0);
  const auto steps = scalars_in(place.folder / "run", "train/");
  CHECK(steps.size() == 30);
  CHECK(scalars_in(place.folder / "run", "heldout/").size() == 6);  // every 7 steps, at both ends
  for (const auto& [step, checksum] : place.data_checksums("run")) {
    REQUIRE(steps.contains(step));
    CHECK(steps.at(step).at("train/tokens_seen") == static_cast<float>(96 * step));
    CHECK(steps.at(step).at("train/loss") > 0);
  }
}

TEST_CASE("a finished run's damaged metrics are mended by resuming it") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const std::string metrics = place.metrics("run");
  write_bytes(place.folder / "run/metrics.jsonl", "hello\n" + metrics + "{");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=4"}) == 0);
  CHECK_MESSAGE(contains(place.error(), "all 4 steps are done"), place.error());
  CHECK(place.metrics("run") == metrics);
}

// /dev/full stands for a disk that never has room again.
TEST_CASE("lines that no attempt could write end the run with 1, after its checkpoint") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=2"}) == 0);
  fs::remove(place.folder / "run/samples.jsonl");
  fs::create_symlink("/dev/full", place.folder / "run/samples.jsonl");
  const int code = place.train("run", {"--resume", "--set", "schedule.steps=7"});
  check_refused(place, code, 1,
                "samples.jsonl: cannot be written: No space left on device; its last lines are lost");
  CHECK(fs::read_symlink(place.folder / "run/checkpoints/latest.h5") == "step-00000007.h5");
}

}  // namespace
}  // namespace dlcm::apps
