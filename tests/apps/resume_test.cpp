// The program `train` as a user runs it: stopped, killed, resumed, and given bad input.
#include <csignal>
#include <map>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/checkpoint.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "tensor/random.h"
#include "tests/data/temporary_folder.h"
#include "tests/op_check.h"
#include "tests/process.h"

namespace dlcm {
namespace {

namespace fs = std::filesystem;
using test::contains;
using test::Process;
using test::read_bytes;
using test::TemporaryFolder;

using Words = std::vector<std::string>;

void make_shard(const std::string& path, uint64_t seed, int64_t documents) {
  const data::ByteTokenizer tokenizer;
  data::ShardWriter writer(path, {tokenizer.vocab_size(), tokenizer.identity(), "random words"});
  for (int64_t document = 0; document < documents; ++document) {
    std::vector<int32_t> tokens = {256};
    const uint64_t index = static_cast<uint64_t>(document);
    const uint64_t length = 5 + random_bits(seed, RandomStream::tests, index, 0) % 60;
    for (uint64_t t = 1; t <= length; ++t)
      tokens.push_back(static_cast<int32_t>('a' + random_bits(seed, RandomStream::tests, index, t) % 26));
    tokens.push_back(256);
    writer.add(tokens, static_cast<int64_t>(length));
  }
  writer.finish();
  writer.publish();
}

constexpr char kConfig[] = R"([model.token]
width = 8
heads = 2
kv_heads = 1
ff = 8
encoder_layers = 1
decoder_layers = 1
[model.concept]
width = 12
heads = 2
kv_heads = 1
ff = 12
layers = 1
[schedule]
steps = 30
warmup = 3
[train]
context = 32
batch_tokens = 96
micro_tokens = 48
evaluate_every = 7
checkpoint_every = 10
)";

// Shards, a configuration, and runs in folders beside them.
struct Place {
  TemporaryFolder folder;

  Place() {
    fs::create_directories(folder / "shards");
    make_shard(folder / "shards/train-00000.h5", 1, 40);
    make_shard(folder / "shards/train-00001.h5", 2, 40);
    make_shard(folder / "shards/heldout-00000.h5", 3, 5);
    test::write_bytes(folder / "config.toml", kConfig);
  }

  Words command(const std::string& run, const Words& more = {}) const {
    Words words = {"--config", folder / "config.toml", "--data", folder / "shards", "--output", folder / run};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Process start(const std::string& run, const Words& more = {}) const {
    return Process("train", command(run, more), folder / "stderr.txt");
  }
  int train(const std::string& run, const Words& more = {}) const { return start(run, more).wait(); }
  std::string error() const { return read_bytes(folder / "stderr.txt"); }
  std::string metrics(const std::string& run) const { return read_bytes(folder / run + "/metrics.jsonl"); }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// A line of metrics.jsonl without the value of `key`.
std::string without(std::string line, const std::string& key) {
  const size_t begin = line.find("\"" + key + "\"");
  if (begin == std::string::npos) return line;
  return line.erase(begin, line.find_first_of(",}", begin) - begin);
}

std::vector<std::string> comparable(const std::string& metrics) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_of(metrics))
    lines.push_back(without(without(line, "tokens_per_second"), "peak_bytes"));
  return lines;
}

void check_equal(const data::NamedTensors& found, const data::NamedTensors& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(expected[i].first);
    CHECK(found[i].first == expected[i].first);
    CHECK(test::bit_equal(found[i].second, expected[i].second));
  }
}

// Final weights, moments and metrics of two runs are the same.
void check_same_run(const Place& place, const std::string& found, const std::string& expected) {
  const auto last = [&](const std::string& run) {
    return data::read_checkpoint(data::newest_checkpoint(place.folder / run),
                                 data::CheckpointPart::everything);
  };
  const data::Checkpoint a = last(found), b = last(expected);
  CHECK(a.header.step == b.header.step);
  CHECK(a.header.tokens_seen == b.header.tokens_seen);
  CHECK(a.header.loader_cursor == b.header.loader_cursor);
  check_equal(a.model, b.model);
  check_equal(a.moment_m, b.moment_m);
  check_equal(a.moment_v, b.moment_v);
  CHECK(comparable(place.metrics(found)) == comparable(place.metrics(expected)));
}

// Every file below a folder, by name.
std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().string()] = read_bytes(entry.path().string());
  return files;
}

size_t count_of(const std::string& text, char wanted) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), wanted));
}

// Polls until the condition holds or the process has ended; whether it holds.
template <class Condition>
bool wait_until(Process& process, const Condition& condition) {
  while (!condition()) {
    if (!process.running()) return condition();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

// A temporary file of a checkpoint that is being written, or was when the run was killed.
bool holds_temporary(const std::string& run_folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_folder + "/checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".step-") && contains(name, ".tmp-")) return true;
  }
  return false;
}

TEST_CASE("train says device, dtype, threads, seed and build first") {
  const Place place;
  CHECK(place.train("run", {"--set", "schedule.steps=3", "--set", "train.seed=5"}) == 0);
  const std::vector<std::string> lines = lines_of(place.error());
  REQUIRE(lines.size() > 3);
  for (const char* part : {"device cpu", "f32", " threads", "seed 5"})
    CHECK_MESSAGE(contains(lines[0], part), lines[0]);
  CHECK_MESSAGE(contains(lines[1], "dlcm"), lines[1]);
  CHECK(lines_of(place.metrics("run")).size() == 4);  // a line a step, one of the evaluation
  CHECK(fs::exists(place.folder / "run/checkpoints/step-00000003.h5"));
  // Without held-out shards, the note on it comes later.
  fs::remove(place.folder / "shards/heldout-00000.h5");
  CHECK(place.train("other", {"--set", "schedule.steps=3"}) == 0);
  CHECK(lines_of(place.error())[0].starts_with("device cpu"));
}

TEST_CASE("a run stopped by signals and resumed is the unbroken run") {
  const Place place;
  CHECK(place.train("unbroken") == 0);
  int64_t stops = 0;
  for (int life = 0; life < 30; ++life) {
    const size_t wanted =
        count_of(fs::exists(place.folder / "run/metrics.jsonl") ? place.metrics("run") : "", '\n') + 2 +
        static_cast<size_t>(life % 3);
    Process process = place.start("run", life == 0 ? Words{} : Words{"--resume"});
    const bool reached = wait_until(process, [&] {
      return fs::exists(place.folder / "run/metrics.jsonl") && count_of(place.metrics("run"), '\n') >= wanted;
    });
    if (reached) process.signal(life % 2 == 0 ? SIGINT : SIGTERM);
    CHECK(process.wait() == 0);
    if (!contains(place.error(), "saved, go on with --resume")) break;
    ++stops;
  }
  CHECK(stops >= 2);
  check_same_run(place, "run", "unbroken");
}

TEST_CASE("a run killed at any moment and resumed is the unbroken run") {
  const Place place;
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

TEST_CASE("a run killed while it writes checkpoints is the unbroken run") {
  const Place place;
  CHECK(place.train("unbroken") == 0);
  int killed_while_writing = 0;
  for (int life = 0; life < 20 && killed_while_writing < 4; ++life) {
    Process process = place.start("run", {"--resume", "--set", "train.checkpoint_every=1"});
    const size_t before =
        count_of(fs::exists(place.folder / "run/metrics.jsonl") ? place.metrics("run") : "", '\n');
    if (!wait_until(process, [&] {
          return holds_temporary(place.folder / "run") &&
                 (life == 0 || count_of(place.metrics("run"), '\n') > before);
        }))
      break;  // it was too quick and has ended
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
  const Place place;
  CHECK(place.train("unbroken") == 0);
  CHECK(place.train("run", {"--set", "schedule.steps=20"}) == 0);
  fs::remove(place.folder / "run/checkpoints/latest.h5");
  SUBCASE("missing") {}
  SUBCASE("broken") {
    fs::create_symlink("step-00000099.h5", place.folder / "run/checkpoints/latest.h5");
  }
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=20"}) == 0);
  CHECK_MESSAGE(contains(place.error(), "all 20 steps are done"), place.error());
}

TEST_CASE("a run in use is refused, and a hang-up saves it") {
  const Place place;
  Process first = place.start("run", {"--set", "schedule.steps=100000"});
  REQUIRE(wait_until(first, [&] { return fs::exists(place.folder / "run/metrics.jsonl"); }));
  Process second("train", place.command("run", {"--resume"}), place.folder / "second.txt");
  CHECK(second.wait() == 2);
  CHECK(contains(read_bytes(place.folder / "second.txt"), "in use"));
  first.signal(SIGHUP);
  CHECK(first.wait() == 0);
  CHECK(fs::exists(place.folder / "run/checkpoints/latest.h5"));
}

TEST_CASE("other settings on resume keep the configuration of before; fewer steps than done are refused") {
  const Place place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const std::string before = read_bytes(place.folder / "run/config.toml");
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=3"}) == 2);
  CHECK(read_bytes(place.folder / "run/config.toml") == before);
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=6"}) == 0);
  CHECK(read_bytes(place.folder / "run/config-until-step-4.toml") == before);
}

TEST_CASE("an existing run is refused without --resume and left as it is") {
  const Place place;
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 0);
  const auto before = contents(place.folder / "run");
  CHECK(place.train("run", {"--set", "schedule.steps=4"}) == 2);
  CHECK_MESSAGE(contains(place.error(), "--resume"), place.error());
  CHECK(contents(place.folder / "run") == before);
  SUBCASE("a run that is done stays as it is when resumed") {
    CHECK(place.train("run", {"--resume", "--set", "schedule.steps=4"}) == 0);
    CHECK(contains(place.error(), "all 4 steps are done"));
    CHECK(contents(place.folder / "run") == before);
  }
  SUBCASE("another model or seed is refused by the key") {
    for (const char* change : {"train.seed=2", "model.token.width=16", "model.boundary.predictor=\"fixed\"",
                               "train.batch_tokens=64", "mup.enabled=false"}) {
      CHECK(place.train("run", {"--resume", "--set", "schedule.steps=4", "--set", change}) == 2);
      const std::string key = std::string(change).substr(0, std::string(change).find('='));
      CHECK_MESSAGE(contains(place.error(), "--resume: " + key), place.error());
      CHECK(contents(place.folder / "run") == before);
    }
  }
  SUBCASE("a longer schedule goes on") {
    CHECK(place.train("run", {"--resume", "--set", "schedule.steps=6"}) == 0);
    CHECK(contains(place.error(), "schedule.steps = 6"));
    CHECK(fs::exists(place.folder / "run/checkpoints/step-00000006.h5"));
    CHECK(contains(read_bytes(place.folder / "run/config.toml"), "steps = 6"));
  }
}

TEST_CASE("a second signal ends the run at once") {
  const Place place;
  // Steps that take long, so that the second signal finds the first one's step under way.
  Process process =
      place.start("run", {"--set", "train.batch_tokens=40000", "--set", "train.micro_tokens=4096"});
  REQUIRE(wait_until(process, [&] {
    return fs::exists(place.folder / "run/metrics.jsonl") && count_of(place.metrics("run"), '\n') > 0;
  }));
  process.signal(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(30));  // two of a kind at once would be one
  process.signal(SIGTERM);
  CHECK(process.wait() == 128 + SIGTERM);
  CHECK_FALSE(fs::exists(place.folder / "run/checkpoints/latest.h5"));
}

// The program ended with the code and said why in one line.
void check_refused(const Place& place, int found, int expected, const std::string& part) {
  const std::string error = place.error();
  CHECK_MESSAGE(found == expected, error);
  CHECK_MESSAGE(contains(error, part), error);
  int complaints = 0;
  for (const std::string& line : lines_of(error))
    complaints += line.starts_with("train: ") && !line.starts_with("train: note:") ? 1 : 0;
  CHECK_MESSAGE(complaints == 1, error);
  CHECK_MESSAGE(lines_of(error).back().starts_with("train: "), error);
}

// Where the first values of a tensor lie in a file.
size_t offset_of(const std::string& bytes, const Tensor& tensor) {
  const std::string first(static_cast<const char*>(tensor.raw_data()), std::min<size_t>(32, tensor.bytes()));
  const size_t offset = bytes.find(first);
  REQUIRE(offset != std::string::npos);
  return offset;
}

// Byte offset of the tokens' chunk: somewhere in the file's ids, found by their values.
size_t offset_of_tokens(const std::string& bytes) {
  for (size_t i = 0; i + 8 < bytes.size(); ++i) {
    bool letters = true;
    for (size_t j = 0; j < 8; ++j)
      letters = letters && (j % 2 == 0 ? bytes[i + j] >= 'a' && bytes[i + j] <= 'z' : bytes[i + j] == 0);
    if (letters) return i;
  }
  return 0;
}

TEST_CASE("bad shards are refused by name") {
  const Place place;
  const std::string shard = place.folder / "shards/train-00001.h5";
  const std::string bytes = read_bytes(shard);
  const auto refused = [&](int code, const std::string& part) {
    check_refused(place, place.train("run"), code, part);
    CHECK_FALSE(fs::exists(place.folder / "run"));  // so that the command can be given again
  };
  test::write_bytes(shard, bytes.substr(0, bytes.size() / 2));
  refused(2, "train-00001.h5");
  test::write_bytes(shard, "");
  refused(2, "train-00001.h5");
  test::write_bytes(shard, "once upon a time");
  refused(2, "train-00001.h5");
  std::string flipped = bytes;
  const size_t place_of_tokens = offset_of_tokens(bytes);
  REQUIRE(place_of_tokens > 0);
  flipped[place_of_tokens + 2] ^= 1;
  test::write_bytes(shard, flipped);
  check_refused(place, place.train("flipped"), 2, "train-00001.h5");
  test::write_bytes(shard, bytes);
  const std::string heldout = place.folder / "shards/heldout-00000.h5";
  test::write_bytes(heldout, "once upon a time");
  refused(2, "heldout-00000.h5");
  fs::remove_all(place.folder / "shards");
  refused(2, "shards");
  fs::create_directories(place.folder / "shards");
  refused(2, "shards");
}

TEST_CASE("bad checkpoints are refused by name and nothing else is touched") {
  const Place place;
  CHECK(place.train("run", {"--set", "schedule.steps=2"}) == 0);
  const std::string checkpoint = place.folder / "run/checkpoints/step-00000002.h5";
  const std::string bytes = read_bytes(checkpoint);
  const auto refused = [&] {
    const auto before = contents(place.folder / "run");
    check_refused(place, place.train("run", {"--resume"}), 2, "checkpoints");
    CHECK(contents(place.folder / "run") == before);
  };
  test::write_bytes(checkpoint, bytes.substr(0, bytes.size() / 3));
  refused();
  test::write_bytes(checkpoint, "");
  refused();
  fs::copy_file(place.folder / "shards/train-00000.h5", checkpoint, fs::copy_options::overwrite_existing);
  refused();
  test::write_bytes(checkpoint, bytes);
  const data::Checkpoint whole = data::read_checkpoint(checkpoint, data::CheckpointPart::everything);
  for (const data::NamedTensors& tensors : {whole.model, whole.moment_m, whole.moment_v}) {
    for (const size_t index : {size_t{0}, tensors.size() - 1}) {
      std::string flipped = bytes;
      flipped[offset_of(bytes, tensors[index].second) + 5] ^= 0x10;
      test::write_bytes(checkpoint, flipped);
      refused();
    }
  }
  test::write_bytes(checkpoint, bytes);
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=3"}) == 0);
}

TEST_CASE("bad configurations and command lines are refused by key") {
  const Place place;
  const auto refused = [&](const std::string& change, const std::string& part) {
    CAPTURE(change);
    check_refused(place, place.train("run", {"--set", change}), 2, part);
    CHECK_FALSE(fs::exists(place.folder / "run"));
  };
  refused("model.token.widht=8", "model.token.widht");
  refused("model.token.width=0", "model.token.width");
  refused("model.token.width=9", "model.token");
  refused("model.token.width=9223372036854775807", "model.token.width");
  refused("model.token.width=99999999999999999999999", "model.token.width");
  refused("train.context=-3", "train.context");
  refused("optimizer.rate_token=junk", "optimizer.rate_token");
  refused("train.batch_tokens", "train.batch_tokens");
  test::write_bytes(place.folder / "config.toml", "[model\nkind = ");
  check_refused(place, place.train("run"), 2, "config.toml");
  test::write_bytes(place.folder / "config.toml", std::string("[model]\nkind = \"\xff\xfe\"\n"));
  check_refused(place, place.train("run"), 2, "config.toml");
  fs::remove(place.folder / "config.toml");
  check_refused(place, place.train("run"), 2, "config.toml");
  CHECK_FALSE(fs::exists(place.folder / "run"));
}

TEST_CASE("a folder that cannot be written is named") {
  const Place place;
  test::write_bytes(place.folder / "file", "precious");
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

TEST_CASE("a full disk ends the run; its last checkpoint stays whole") {
  const Place place;
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
  check_refused(place, code, 1, "checkpoints");
}

}  // namespace
}  // namespace dlcm
