#include "apps/training/metrics.h"

#include <cmath>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tensor/check.h"
#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

using namespace dlcm::test;

TEST_CASE("metrics: a line a step; numbers come back to the bit, those that are not finite are null") {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  MetricsLog log(path, 0);
  log.write(1, {{"tokens_seen", int64_t{8192}},
                {"loss", 0.1},
                {"rate_token", 3e-3},
                {"peak_bytes", int64_t{1'000'000'000'000'000}}});
  log.write(2, {{"loss", std::nan("")}, {"aux_loss", -INFINITY}, {"boundary_rate", 1.0}});
  log.sync();
  CHECK(read_bytes(path) ==
        "{\"step\":1,\"tokens_seen\":8192,\"loss\":0.1,\"rate_token\":0.003,"
        "\"peak_bytes\":1000000000000000}\n"
        "{\"step\":2,\"loss\":null,\"aux_loss\":null,\"boundary_rate\":1.0}\n");
}

TEST_CASE("metrics: lines after the checkpoint and a line that was cut are dropped, the others stay") {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  const std::string kept =
      "{\"step\":1,\"loss\":0.1}\n{\"step\":2,\"loss\":5}\n{\"step\":2,\"heldout_loss\":5}\n";
  write_bytes(path, kept + "{\"step\":3,\"loss\":5}\n{\"step\":2,\"lo");
  { const MetricsLog log(path, 2); }
  CHECK(read_bytes(path) == kept);
  MetricsLog log(path, 2);
  log.write(3, {{"loss", 4.0}});
  CHECK(read_bytes(path) == kept + "{\"step\":3,\"loss\":4.0}\n");
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("metrics: a file that cannot be made is named") {
  const TemporaryFolder folder;
  CHECK(contains(message_of<Error>([&] { const MetricsLog log(folder / "no/metrics.jsonl", 0); }),
                 folder / "no/metrics.jsonl: cannot be written"));
}

TEST_CASE("metrics: lines that the disk does not take are written later; a lost file is begun anew") {
  const TemporaryFolder folder;
  const std::string path = folder / "metrics.jsonl";
  MetricsLog log(path, 0);
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/full", path);
  log.write(1, {});
  CHECK(log.failure() == path + ": cannot be written: No space left on device");
  log.write(2, {});
  std::filesystem::remove(path);
  log.write(3, {});
  CHECK(log.failure().empty());
  CHECK(read_bytes(path) == "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
  std::filesystem::remove(path);
  CHECK(message_of<Error>([&] { log.sync(); }) == "no exception");  // what is lost need not reach the disk
  log.write(4, {});
  CHECK(read_bytes(path) == "{\"step\":4}\n");
  std::filesystem::remove(path);
  log.retry();
  log.sync();
  CHECK(read_bytes(path).empty());
}

// A device may be endless to read, and opening a pipe may wait for its other end.
TEST_CASE("metrics: what is no regular file is not read; a pipe that nobody reads is an error") {
  const TemporaryFolder folder;
  std::filesystem::create_symlink("/dev/zero", folder / "device");
  MetricsLog log(folder / "device", 0);
  log.write(1, {});
  log.sync();
  CHECK(log.failure().empty());
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(contains(message_of<Error>([&] { const MetricsLog unread(pipe, 0); }), pipe + ": cannot be written"));
}

}  // namespace
}  // namespace dlcm::apps
