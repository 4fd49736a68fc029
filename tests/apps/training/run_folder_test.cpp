#include "apps/training/run_folder.h"

#include <chrono>
#include <csignal>
#include <thread>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/checkpoint.h"
#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;
using apps::Resume;
using apps::RunFolder;

TEST_CASE("run folder: the checkpoint that the link names comes first, then the latest step") {
  const TemporaryFolder folder;
  const std::string run = folder / "a/run";
  const std::string checkpoints = run + "/checkpoints/";
  const auto candidates = [&] {
    std::vector<std::string> names;
    for (const std::string& path : RunFolder(run, Resume::yes).candidates()) {
      CHECK(path.starts_with(checkpoints));
      names.push_back(path.substr(checkpoints.size()));
    }
    return names;
  };
  CHECK(candidates().empty());
  CHECK(fs::is_directory(run));
  fs::create_directories(checkpoints);
  for (const char* name : {"step-00000009.h5", "step-00000020.h5", ".step-00000030.h5.tmp-1", "step-40.txt"})
    write_bytes(checkpoints + name, "");
  CHECK(candidates() == Words{"step-00000020.h5", "step-00000009.h5"});
  write_bytes(checkpoints + "step-99999999.h5", "");
  write_bytes(checkpoints + "step-100000000.h5", "");
  CHECK(candidates().front() == "step-100000000.h5");
  fs::create_symlink("step-00000009.h5", checkpoints + "latest.h5");
  CHECK(candidates() == Words{"latest.h5", "step-100000000.h5", "step-99999999.h5", "step-00000020.h5"});
  // From step 9 on the later ones are none of the run's.
  CHECK(RunFolder(run, Resume::yes).set_aside_later(9) ==
        Words{"superseded-step-100000000.h5", "superseded-step-99999999.h5", "superseded-step-00000020.h5"});
  CHECK(candidates() == Words{"latest.h5"});
  CHECK(fs::exists(checkpoints + "superseded-step-00000020.h5"));
}

TEST_CASE("run folder: a link to the latest checkpoint that leads nowhere is said, or refused") {
  const TemporaryFolder run;
  const std::string latest = run / "checkpoints/latest.h5";
  const auto refusal = [&] { return message_of<InputError>([&] { RunFolder(run.path(), Resume::yes); }); };
  fs::create_directories(run / "checkpoints");
  fs::create_symlink("step-00000012.h5", latest);
  CHECK(refusal() == latest +
                         " names 'step-00000012.h5', which is missing as all other checkpoints are: bring "
                         "one back, or begin anew in another --output");
  write_bytes(run / "checkpoints/step-00000008.h5", "");
  CHECK(RunFolder(run.path(), Resume::yes).warning() ==
        latest + " names 'step-00000012.h5', which is missing");
  fs::remove(latest);
  CHECK(RunFolder(run.path(), Resume::yes).warning().empty());
  fs::create_symlink("latest.h5", latest);  // in a circle
  CHECK(contains(RunFolder(run.path(), Resume::yes).warning(), "which is missing"));
  fs::remove(latest);
  fs::create_directory(latest);
  CHECK(contains(refusal(), "latest.h5 is neither a link to a checkpoint nor one: remove it"));
}

TEST_CASE("the configuration of a checkpoint that a run goes on from otherwise is kept") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const std::string before = read_bytes(place.folder / "run/config.toml");
  for (const char* rate : {"optimizer.rate_token=1e-3", "optimizer.rate_token=2e-3"}) {
    // Killed before its first checkpoint, both go on from step 4.
    Process process = place.start("run", {"--resume", "--set", rate, "--set", "train.checkpoint_every=100000",
                                          "--set", "schedule.steps=100000"});
    const size_t lines = place.metrics_lines("run");
    CHECK(wait_until(process, [&] { return place.metrics_lines("run") > lines; }));
    process.signal(SIGKILL);
    process.wait();
    CHECK(read_bytes(place.folder / "run/config-until-step-4.toml") == before);
    CHECK(read_bytes(place.folder / "run/config.toml") != before);
  }
}

TEST_CASE("run folder: what was set aside before stays") {
  const TemporaryFolder run;
  fs::create_directories(run / "checkpoints");
  const RunFolder folder(run.path(), Resume::yes);
  for (const char* bytes : {"first", "second", "third"}) {
    write_bytes(run / "checkpoints/step-00000007.h5", bytes);
    CHECK(folder.set_aside_later(3).size() == 1);
  }
  CHECK(read_bytes(run / "checkpoints/superseded-step-00000007.h5") == "first");
  CHECK(read_bytes(run / "checkpoints/superseded-2-step-00000007.h5") == "second");
  CHECK(read_bytes(run / "checkpoints/superseded-3-step-00000007.h5") == "third");
}

TEST_CASE("a finished run whose link is lost, or names a damaged file, has it again by --resume") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=12"}) == 0);
  const std::string latest = place.folder / "run/checkpoints/latest.h5";
  write_bytes(place.folder / "run/checkpoints/step-00000010.h5", "damaged");
  for (const char* target : {"", "step-00000010.h5"}) {
    fs::remove(latest);
    if (*target != '\0') fs::create_symlink(target, latest);
    CHECK(place.train("run", {"--resume", "--set", "schedule.steps=12"}) == 0);
    CHECK(fs::read_symlink(latest) == "step-00000012.h5");
  }
}

TEST_CASE("run folder: checkpoints alone are a run, which is not begun again unasked") {
  const TemporaryFolder run;
  CHECK_NOTHROW(RunFolder(run.path(), Resume::no));  // an empty folder may be given
  fs::create_directories(run / "checkpoints");
  CHECK_NOTHROW(RunFolder(run.path(), Resume::no));
  write_bytes(run / "checkpoints/step-00000001.h5", "");
  CHECK(contains(message_of<InputError>([&] { RunFolder(run.path(), Resume::no); }),
                 run.path() + " holds a run already; go on with it by --resume"));
}

TEST_CASE("a copied run whose link became a file goes on, and has a link again") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=2"}) == 0);
  const std::string checkpoints = place.folder / "run/checkpoints/";
  const std::string bytes = read_bytes(checkpoints + "step-00000002.h5");
  fs::remove(checkpoints + "latest.h5");
  write_bytes(checkpoints + "latest.h5", bytes.substr(0, bytes.size() / 2));
  fs::rename(checkpoints + "step-00000002.h5", checkpoints + "elsewhere");
  const auto before = contents_of(place.folder / "run");
  check_refused(place, place.train("run", {"--resume", "--set", "schedule.steps=4"}), 2, "latest.h5");
  CHECK(contents_of(place.folder / "run") == before);
  fs::rename(checkpoints + "elsewhere", checkpoints + "step-00000002.h5");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=3"}) == 0);  // by the one that is whole
  CHECK_MESSAGE(contains(place.error(), "going on from another checkpoint"), place.error());
  CHECK(fs::exists(checkpoints + "damaged-latest.h5"));
  fs::remove(checkpoints + "latest.h5");
  fs::remove(checkpoints + "step-00000003.h5");
  write_bytes(checkpoints + "latest.h5", bytes);
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=4"}) == 0);
  CHECK(fs::read_symlink(checkpoints + "latest.h5") == "step-00000004.h5");
  // It alone was copied: it is a run, and is kept under the name of its step.
  fs::remove_all(place.folder / "run");
  fs::create_directories(checkpoints);
  write_bytes(checkpoints + "latest.h5", bytes);
  check_refused(place, place.train("run"), 2, "holds a run already");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=3"}) == 0);
  CHECK(fs::read_symlink(checkpoints + "latest.h5") == "step-00000003.h5");
  CHECK(read_bytes(checkpoints + "step-00000002.h5") == bytes);
}

TEST_CASE("run folder: held until it is let go") {
  const TemporaryFolder run;
  const auto message = [&] { return message_of<InputError>([&] { RunFolder(run.path(), Resume::yes); }); };
  {
    const RunFolder first(run.path(), Resume::yes);
    CHECK(contains(message(), run.path() + " is in use by another train"));
  }
  CHECK(message() == "no exception");
}

TEST_CASE("a run whose lost folder another train has taken ends, and leaves that one's files alone") {
  const TrainingPlace place;
  // Steps of some milliseconds, so that it is halted within one, and not while it writes.
  Process process = place.start("run", {"--set", "schedule.steps=100000", "--set", "train.batch_tokens=9600",
                                        "--set", "train.checkpoint_every=100000"});
  REQUIRE(wait_until(process, [&] { return place.metrics_lines("run") >= 2; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));
  process.signal(SIGSTOP);
  fs::rename(place.folder / "run", place.folder / "moved");
  const RunFolder other(place.folder / "run", Resume::no);
  process.signal(SIGCONT);
  check_refused(place, process.wait(), 1, "was lost, and another train writes there now: this one ends");
  CHECK(fs::is_empty(place.folder / "run"));
}

TEST_CASE("a run that goes back to an earlier checkpoint keeps the later ones by another name") {
  const TrainingPlace place;
  const Words often = {"--set", "train.checkpoint_every=4", "--set", "schedule.steps=12"};
  CHECK(place.train("run", often) == 0);
  const std::string checkpoints = place.folder / "run/checkpoints/";
  fs::remove(checkpoints + "latest.h5");
  fs::create_symlink("step-00000004.h5", checkpoints + "latest.h5");
  const Words back = {"--resume", "--set", "train.keep=1", "--set", "schedule.steps=7"};
  CHECK(place.train("run", back) == 0);
  CHECK_MESSAGE(contains(place.error(), "superseded-step-00000012.h5; remove it"), place.error());
  CHECK(fs::read_symlink(checkpoints + "latest.h5") == "step-00000007.h5");
  CHECK(fs::exists(checkpoints + "step-00000007.h5"));
  CHECK(place.metrics_lines("run") == 7 + 1);
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=8"}) == 0);
  CHECK_MESSAGE(contains(place.error(), "latest.h5, step 7"), place.error());
}

TEST_CASE("resumed settings: what may change is listed, what may not is named with both values") {
  apps::Config stored;
  CHECK(apps::check_same_run(stored, stored).empty());
  apps::Config wanted = stored;
  wanted.schedule.steps = 2000;
  wanted.train.micro_tokens = 2048;
  CHECK(apps::check_same_run(stored, wanted) ==
        std::vector<std::string>{"schedule.steps = 2000 (was 1000)", "train.micro_tokens = 2048 (was 4096)"});
  wanted.train.seed = 7;
  CHECK(message_of<InputError>([&] { apps::check_same_run(stored, wanted); }) ==
        "train.seed is 7, but 1 in the run's checkpoint; a run goes on with the same train.seed");
  wanted = stored;
  wanted.data_weights = {{"code", 1.0}};
  CHECK(contains(message_of<InputError>([&] { apps::check_same_run(stored, wanted); }),
                 "but absent in the run's checkpoint"));
  CHECK(
      contains(message_of<InputError>([&] { apps::check_same_run(wanted, stored); }), "code is absent, but"));
}

TEST_CASE("train says device, dtype, threads, seed and build first") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=3", "--set", "train.seed=5"}) == 0);
  const std::vector<std::string> lines = lines_of(place.error());
  REQUIRE(lines.size() > 3);
  for (const char* part : {"device cpu", "f32", " threads", "seed 5"})
    CHECK_MESSAGE(contains(lines[0], part), lines[0]);
  CHECK_MESSAGE(lines[1].starts_with("dlcm "), lines[1]);
  CHECK_MESSAGE(contains(lines[1], ", commit: "), lines[1]);
  CHECK(place.metrics_lines("run") == 4);  // a line a step, one of the evaluation
  CHECK(fs::exists(place.folder / "run/checkpoints/step-00000003.h5"));
  // Without held-out shards, the note on it comes later.
  fs::remove(place.folder / "shards/heldout-00000.h5");
  CHECK(place.train("other", {"--set", "schedule.steps=3"}) == 0);
  CHECK(lines_of(place.error())[0].starts_with("device cpu"));
}

TEST_CASE("a run in use is refused") {
  const TrainingPlace place;
  Process first = place.start("run", {"--set", "schedule.steps=100000"});
  REQUIRE(wait_until(first, [&] { return place.metrics_lines("run") > 0; }));
  Process second("train", place.command("run", {"--resume"}), place.folder / "second.txt");
  CHECK(second.wait() == 2);
  CHECK(contains(read_bytes(place.folder / "second.txt"), "in use"));
}

TEST_CASE("an existing run is refused without --resume and left as it is") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const auto before = contents_of(place.folder / "run");
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 2);
  CHECK_MESSAGE(contains(place.error(), "--resume"), place.error());
  CHECK(contents_of(place.folder / "run") == before);
  // Done, it stays as it is when resumed.
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=4"}) == 0);
  CHECK(contains(place.error(), "all 4 steps are done"));
  CHECK(contents_of(place.folder / "run") == before);
  // Another model or seed is refused by the key.
  for (const char* change : {"train.seed=2", "model.token.width=16", "model.boundary.predictor=\"fixed\"",
                             "train.batch_tokens=64", "mup.enabled=false"}) {
    CHECK(place.train("run", {"--resume", "--set", "schedule.steps=4", "--set", change}) == 2);
    const std::string key = std::string(change).substr(0, std::string(change).find('='));
    CHECK_MESSAGE(contains(place.error(), "train: " + key), place.error());
    CHECK(contents_of(place.folder / "run") == before);
  }
  // With a longer schedule it goes on.
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=6"}) == 0);
  CHECK(contains(place.error(), "schedule.steps = 6"));
  CHECK(fs::exists(place.folder / "run/checkpoints/step-00000006.h5"));
  CHECK(contains(read_bytes(place.folder / "run/config.toml"), "steps = 6"));
}

TEST_CASE("a folder that cannot be written is named") {
  const TrainingPlace place;
  write_bytes(place.folder / "file", "precious");
  check_refused(place, place.train("file/run"), 1, "file/run");
  check_refused(place, place.train("file"), 2, "file");
  CHECK(read_bytes(place.folder / "file") == "precious");
  if (geteuid() == 0) {
    MESSAGE("root may write anywhere: read-only folders are not tried");
    return;
  }
  fs::create_directories(place.folder / "locked");
  REQUIRE(chmod((place.folder / "locked").c_str(), 0555) == 0);
  check_refused(place, place.train("locked/run"), 1, "locked/run");
}

// A small file system in memory while it lives.
class SmallDisk {
 public:
  SmallDisk(std::string path, uintmax_t bytes) : path_(std::move(path)) {
    fs::create_directories(path_);
    const std::string options = "size=" + std::to_string(bytes);
    mounted_ = mount("tmpfs", path_.c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

TEST_CASE("a full disk costs checkpoints, not the run; the newest stays whole") {
  const TrainingPlace place;
  CHECK(place.train("elsewhere", {"--set", "schedule.steps=1"}) == 0);
  const uintmax_t checkpoint_bytes = fs::file_size(place.folder / "elsewhere/checkpoints/step-00000001.h5");
  const std::string disk = place.folder / "disk";
  const SmallDisk mounted(disk, 8 * checkpoint_bytes);  // of the 30 that the run would write
  if (!mounted.mounted()) {
    MESSAGE("no small file system can be mounted here: a full disk is not tried");
    return;
  }
  const int code = place.train("disk/run", {"--set", "train.checkpoint_every=1"});
  const data::Checkpoint saved =
      data::read_checkpoint(data::newest_checkpoint(disk + "/run"), data::CheckpointPart::everything);
  CHECK(saved.header.step >= 1);
  CHECK(saved.header.step < 30);
  CHECK_FALSE(holds_temporary(disk + "/run"));
  check_refused(place, code, 1, "no checkpoint of step 30: ");
  CHECK_MESSAGE(contains(place.error(), "train: warning: no checkpoint of step "), place.error());
  CHECK(place.metrics_lines("disk/run") == 30 + 5);  // all its steps and evaluations
}

TEST_CASE("a disk that was full and has room again takes the checkpoint") {
  const TrainingPlace place;
  const std::string disk = place.folder / "disk";
  const SmallDisk mounted(disk, 4 << 20);
  if (!mounted.mounted()) return;  // said above
  Process process = place.start("disk/run", {"--set", "schedule.steps=80", "--set", "train.keep=1"});
  REQUIRE(wait_until(process, [&] { return place.metrics_lines("disk/run") >= 5; }));
  write_bytes(disk + "/filler", std::string(size_t{4} << 20, 'x'));  // as much as there is room for
  REQUIRE(wait_until(process, [&] { return contains(place.error(), "; it is tried again"); }));
  fs::remove(disk + "/filler");
  CHECK_MESSAGE(process.wait() == 0, place.error());
  CHECK(fs::read_symlink(disk + "/run/checkpoints/latest.h5") == "step-00000080.h5");
  CHECK(place.metrics_lines("disk/run") == 80 + 12);
  CHECK(lines_of(read_bytes(disk + "/run/samples.jsonl")).size() == 12);
}

// As `ulimit -f`: it comes after the disk space was found to be there, in the middle of HDF5's writing.
TEST_CASE("a limit on the size of files costs the checkpoint; the one before stays whole") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=3"}) == 0);
  const std::map<std::string, std::string> before = contents_of(place.folder / "run/checkpoints");
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{before.begin()->second.size() / 2, limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  Process process = place.start("run", {"--resume", "--set", "schedule.steps=6"});
  setrlimit(RLIMIT_FSIZE, &limit);
  check_refused(place, process.wait(), 1, "File too large");
  CHECK(contents_of(place.folder / "run/checkpoints") == before);
}

}  // namespace
}  // namespace dlcm::test
