#include "data/open_files.h"

#include <algorithm>
#include <numeric>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "data/heldout.h"
#include "data/loader.h"
#include "data/step_reader.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace fs = std::filesystem;

namespace {

// Fewer descriptors for this process, until the end of the scope.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t count) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit lowered{count, before_.rlim_max};
    DLCM_CHECK(setrlimit(RLIMIT_NOFILE, &lowered) == 0, "setrlimit failed");
  }
  ~FewDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

constexpr int32_t kShardTokens = 7;

// Documents of 3 and 4 tokens, numbered through from `first`.
void write_shard(const std::string& path, int32_t first) {
  std::vector<int32_t> tokens(kShardTokens);
  std::iota(tokens.begin(), tokens.end(), first);
  ShardWriter writer(path, {100000, "numbers", ""});
  writer.add(std::span(tokens).first(3), 3);
  writer.add(std::span(tokens).subspan(3), 4);
  writer.finish();
  writer.publish();
}

std::string shard_path(const TemporaryFolder& folder, const char* kind, int32_t number) {
  return folder / concat(kind, "-", 10000 + number, ".h5");
}

void collect(const std::vector<int32_t>& tokens, std::vector<int32_t>& all) {
  all.insert(all.end(), tokens.begin(), tokens.end());
}

}  // namespace

TEST_CASE("open files: more shards than the process may have descriptors") {
  constexpr int32_t kShards = 100, kHeldout = 40, kFirstHeldout = 50000;
  const TemporaryFolder folder;
  for (int32_t i = 0; i < kShards; ++i) {
    write_shard(shard_path(folder, "train", i), i * kShardTokens);
    if (i < kHeldout) write_shard(shard_path(folder, "heldout", i), kFirstHeldout + i * kShardTokens);
  }
  const FewDescriptors limit(64);
  CHECK(PooledFile::most_open() == 32);
  LoaderOptions options;
  options.folder = folder.path();
  options.context = 4;
  options.batch_tokens = kShards * kShardTokens / 10;
  Loader loader(options);
  HeldoutReader heldout({folder.path(), 4, 35, -1});
  std::vector<int32_t> expected(kShards * kShardTokens);
  std::iota(expected.begin(), expected.end(), 0);
  std::vector<int32_t> expected_heldout(kHeldout * kShardTokens);
  std::iota(expected_heldout.begin(), expected_heldout.end(), kFirstHeldout);
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::vector<int32_t> trained, evaluated;
    for (int step = 0; step < 10; ++step) {  // side by side, as in training
      for (const Piece& piece : loader.next_step()) collect(piece.tokens, trained);
      if (const auto batch = heldout.next()) collect(batch->batch.tokens.to_vector<int32_t>(), evaluated);
    }
    while (const auto batch = heldout.next()) collect(batch->batch.tokens.to_vector<int32_t>(), evaluated);
    std::sort(trained.begin(), trained.end());
    CHECK(trained == expected);
    CHECK(evaluated == expected_heldout);
    CHECK(PooledFile::open_now() == 32);
    heldout.restart();
  }
}

TEST_CASE("open files: the least recently used is closed first, and a reader that is gone counts no more") {
  const TemporaryFolder folder;
  const FewDescriptors limit(40);
  const auto most = static_cast<int32_t>(PooledFile::most_open());
  CHECK(most == 20);
  std::vector<ShardReader> readers;
  for (int32_t i = 0; i <= most; ++i) {
    write_shard(shard_path(folder, "train", i), i);
    readers.emplace_back(shard_path(folder, "train", i));
    readers[0].read(0, 0, 1);  // in use all the time
  }
  CHECK(PooledFile::open_now() == 20);
  // The names are gone: what is open is read on, what is closed is not.
  for (int32_t i = 0; i <= most; ++i) fs::remove(shard_path(folder, "train", i));
  CHECK(readers[0].read(0, 0, 3) == std::vector<int32_t>{0, 1, 2});
  CHECK(contains(message_of<InputError>([&] { readers[1].read(0, 0, 3); }), "10001.h5' is gone"));
  CHECK(readers.back().read(0, 0, 1) == std::vector<int32_t>{most});
  readers.clear();
  CHECK(PooledFile::open_now() == 0);
}

TEST_CASE("open files: a shard that changed while it was closed is refused, a link is followed once") {
  const TemporaryFolder folder;
  write_shard(folder / "a.h5", 1);
  write_shard(folder / "b.h5", 2);
  fs::create_symlink("a.h5", folder / "link.h5");
  write_shard(folder / "c.h5", 3);
  write_shard(folder / "d.h5", 4);
  const ShardReader changed(folder / "c.h5"), linked(folder / "link.h5");
  {
    const FewDescriptors limit(40);
    std::vector<ShardReader> others;
    while (others.size() < PooledFile::most_open()) others.emplace_back(folder / "d.h5");  // closes both
  }
  fs::remove(folder / "link.h5");
  fs::create_symlink("b.h5", folder / "link.h5");
  CHECK(linked.read(0, 0, 1) == std::vector<int32_t>{1});
  const auto message = [&] { return message_of<InputError>([&] { changed.read(0, 0, 1); }); };
  write_shard(folder / "c.h5", 3);  // replaced, if only by its like
  CHECK(contains(message(), "c.h5' has changed since this program verified it"));
  std::string bytes = read_bytes(folder / "c.h5");
  write_bytes(folder / "c.h5", bytes + "x");
  CHECK(contains(message(), "c.h5' has changed"));
  fs::remove(folder / "c.h5");
  CHECK(contains(message(), "c.h5' is gone"));
}

TEST_CASE("open files: a shard that is lost is an error of the step that needs it, and the position stays") {
  constexpr int32_t kShards = 30;
  const TemporaryFolder folder;
  for (int32_t i = 0; i < kShards; ++i) write_shard(shard_path(folder, "train", i), i * kShardTokens);
  const FewDescriptors limit(40);
  LoaderOptions options;
  options.folder = folder.path();
  options.context = 4;
  options.batch_tokens = 2 * kShardTokens;
  Loader loader(options);  // leaves the last 20 open
  for (int32_t i = 0; i < 5; ++i) fs::remove(shard_path(folder, "train", i));
  StepReader reader(loader);
  int64_t steps = 0;
  std::vector<int64_t> before;
  const auto read_all = [&] {
    for (; steps < kShards; ++steps) {
      before = reader.cursor();
      reader.next_step();
    }
  };
  CHECK(contains(message_of<InputError>(read_all), ".h5' is gone"));
  CHECK(steps < kShards / 2);  // within an epoch
  CHECK(reader.cursor() == before);
  CHECK(contains(message_of<InputError>(read_all), ".h5' is gone"));
  CHECK(reader.cursor() == before);
}
