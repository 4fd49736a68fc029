#include "tests/apps/training_place.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "data/checkpoint.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "tensor/random.h"
#include "tests/op_check.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;

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

// Documents of 5 to 64 random letters.
void write_random_shard(const std::string& path, uint64_t seed, int64_t documents) {
  const data::ByteTokenizer tokenizer;
  data::ShardWriter writer(path, {tokenizer.vocab_size(), tokenizer.identity(), "random letters"});
  for (int64_t document = 0; document < documents; ++document) {
    std::vector<int32_t> tokens = {tokenizer.begin_id()};
    const uint64_t index = static_cast<uint64_t>(document);
    const uint64_t length = 5 + random_bits(seed, RandomStream::tests, index, 0) % 60;
    for (uint64_t t = 1; t <= length; ++t)
      tokens.push_back(static_cast<int32_t>('a' + random_bits(seed, RandomStream::tests, index, t) % 26));
    tokens.push_back(tokenizer.end_id());
    writer.add(tokens, static_cast<int64_t>(length));
  }
  writer.finish();
  writer.publish();
}

// A line of metrics.jsonl without the value of `key`.
std::string without(std::string line, const std::string& key) {
  const size_t begin = line.find("\"" + key + "\"");
  if (begin == std::string::npos) return line;
  return line.erase(begin, line.find_first_of(",}", begin) - begin);
}

// Without times and memory.
std::string comparable_line(std::string line) {
  for (const char* key :
       {"tokens_per_second", "matrix_share", "loader_wait", "checkpoint_seconds", "peak_bytes"}) {
    line = without(line, key);
  }
  return line;
}

std::vector<std::string> comparable(const std::string& metrics) {
  std::vector<std::string> lines;
  for (const std::string& line : lines_of(metrics)) lines.push_back(comparable_line(line));
  return lines;
}

void check_equal(const data::NamedTensors& found, const data::NamedTensors& expected) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CAPTURE(expected[i].first);
    CHECK(found[i].first == expected[i].first);
    CHECK(bit_equal(found[i].second, expected[i].second));
  }
}

}  // namespace

TrainingPlace::TrainingPlace(DType dtype) {
  fs::create_directories(folder / "shards");
  write_random_shard(folder / "shards/train-00000.h5", 1, 40);
  write_random_shard(folder / "shards/train-00001.h5", 2, 40);
  write_random_shard(folder / "shards/heldout-00000.h5", 3, 5);
  write_bytes(folder / "config.toml", concat(kConfig, "dtype = \"", dtype, "\"\n"));
}

Words TrainingPlace::command(const std::string& run, const Words& more) const {
  Words words = {"--config", folder / "config.toml", "--data", folder / "shards", "--output", folder / run};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Process TrainingPlace::start(const std::string& run, const Words& more) const {
  return Process("train", command(run, more), folder / "stderr.txt");
}

std::map<int64_t, std::string> TrainingPlace::data_checksums(const std::string& run) const {
  std::map<int64_t, std::string> checksums;
  for (const std::string& line : lines_of(metrics(run))) {
    const nlohmann::json fields = nlohmann::json::parse(line);
    if (!fields.contains("data_crc32")) continue;
    const bool first = checksums.emplace(fields["step"], fields["data_crc32"]).second;
    CHECK_MESSAGE(first, "two lines of one step: ", line);
  }
  return checksums;
}

size_t TrainingPlace::metrics_lines(const std::string& run) const {
  const std::string text = metrics(run);
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::map<std::string, std::string> contents_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[entry.path().string()] = read_bytes(entry.path().string());
  return files;
}

bool holds_temporary(const std::string& run_folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(run_folder + "/checkpoints", error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".step-") && contains(name, ".tmp-")) return true;
  }
  return false;
}

bool wait_until(Process& process, const std::function<bool()>& condition) {
  while (!condition()) {
    if (!process.running()) return condition();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  return true;
}

void check_same_run(const TrainingPlace& place, const std::string& found, const std::string& expected) {
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
  const auto samples = [&](const std::string& run) {
    return read_bytes(place.folder / run + "/samples.jsonl");
  };
  CHECK(!samples(expected).empty());
  CHECK(samples(found) == samples(expected));
}

void check_refused(const TrainingPlace& place, int code, int expected, const std::string& part) {
  const std::string error = place.error();
  CHECK_MESSAGE(code == expected, error);
  CHECK_MESSAGE(contains(error, part), error);
  const std::vector<std::string> lines = lines_of(error);
  const auto complaints = std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
    return line.starts_with("train: ") && !line.starts_with("train: note:") &&
           !line.starts_with("train: warning:");
  });
  CHECK_MESSAGE(complaints == 1, error);
  REQUIRE_MESSAGE(!lines.empty(), "train: nothing on standard error");
  CHECK_MESSAGE(lines.back().starts_with("train: "), error);
}

}  // namespace dlcm::test
