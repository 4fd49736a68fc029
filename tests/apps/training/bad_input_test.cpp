// The program `train` given damaged or wrong input: refused by name, nothing written.
#include <algorithm>

#include <doctest/doctest.h>

#include "data/checkpoint.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "tests/apps/training_place.h"

namespace dlcm::test {
namespace {

namespace fs = std::filesystem;

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
  const TrainingPlace place;
  const std::string shard = place.folder / "shards/train-00001.h5";
  const std::string bytes = read_bytes(shard);
  const auto refused = [&](int code, const std::string& part) {
    check_refused(place, place.train("run"), code, part);
    CHECK_FALSE(fs::exists(place.folder / "run"));  // so that the command can be given again
  };
  write_bytes(shard, bytes.substr(0, bytes.size() / 2));
  refused(2, "train-00001.h5");
  write_bytes(shard, "");
  refused(2, "train-00001.h5");
  write_bytes(shard, "once upon a time");
  refused(2, "train-00001.h5");
  std::string flipped = bytes;
  const size_t place_of_tokens = offset_of_tokens(bytes);
  REQUIRE(place_of_tokens > 0);
  flipped[place_of_tokens + 2] ^= 1;
  write_bytes(shard, flipped);
  check_refused(place, place.train("flipped"), 2, "train-00001.h5");
  write_bytes(shard, bytes);
  const std::string heldout = place.folder / "shards/heldout-00000.h5";
  write_bytes(heldout, "once upon a time");
  refused(2, "heldout-00000.h5");
  fs::remove_all(place.folder / "shards");
  refused(2, "shards");
  fs::create_directories(place.folder / "shards");
  refused(2, "shards");
}

TEST_CASE("shards in which nothing is to be predicted are refused before anything is written") {
  const TrainingPlace place;
  fs::remove(place.folder / "shards/train-00001.h5");
  const data::ByteTokenizer tokenizer;
  data::ShardWriter writer(place.folder / "shards/train-00000.h5",
                           {tokenizer.vocab_size(), tokenizer.identity(), "a token"});
  writer.add(std::vector<int32_t>{tokenizer.begin_id()}, 0);
  writer.finish();
  writer.publish();
  check_refused(place, place.train("run"), 2, "there is nothing to predict");
  CHECK_FALSE(fs::exists(place.folder / "run"));
}

TEST_CASE("bad checkpoints are refused by name and nothing else is touched") {
  const TrainingPlace place;
  CHECK(place.train("run", {"--set", "schedule.steps=2"}) == 0);
  const std::string checkpoint = place.folder / "run/checkpoints/step-00000002.h5";
  const std::string bytes = read_bytes(checkpoint);
  const auto refused = [&] {
    const auto before = contents_of(place.folder / "run");
    check_refused(place, place.train("run", {"--resume"}), 2, "checkpoints");
    CHECK(contents_of(place.folder / "run") == before);
  };
  write_bytes(checkpoint, bytes.substr(0, bytes.size() / 3));
  refused();
  write_bytes(checkpoint, "");
  refused();
  fs::copy_file(place.folder / "shards/train-00000.h5", checkpoint, fs::copy_options::overwrite_existing);
  refused();
  write_bytes(checkpoint, bytes);
  const data::Checkpoint whole = data::read_checkpoint(checkpoint, data::CheckpointPart::everything);
  for (const data::NamedTensors& tensors : {whole.model, whole.moment_m, whole.moment_v}) {
    for (const size_t index : {size_t{0}, tensors.size() - 1}) {
      std::string flipped = bytes;
      flipped[offset_of(bytes, tensors[index].second) + 5] ^= 0x10;
      write_bytes(checkpoint, flipped);
      refused();
    }
  }
  write_bytes(checkpoint, bytes);
  CHECK(place.train("run", {"--resume", "--set", "schedule.steps=3"}) == 0);
}

TEST_CASE("bad configurations and command lines are refused by key") {
  const TrainingPlace place;
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
  write_bytes(place.folder / "config.toml", "[model\nkind = ");
  check_refused(place, place.train("run"), 2, "config.toml");
  write_bytes(place.folder / "config.toml", std::string("[model]\nkind = \"\xff\xfe\"\n"));
  check_refused(place, place.train("run"), 2, "config.toml");
  fs::remove(place.folder / "config.toml");
  check_refused(place, place.train("run"), 2, "config.toml");
  CHECK_FALSE(fs::exists(place.folder / "run"));
}

}  // namespace
}  // namespace dlcm::test
