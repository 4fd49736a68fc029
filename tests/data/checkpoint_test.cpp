#include "data/checkpoint.h"

#include <algorithm>
#include <chrono>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tensor/random.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace fs = std::filesystem;

namespace {

Tensor numbers(Shape shape, uint64_t seed) {
  Tensor tensor = Tensor::empty(std::move(shape));
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    tensor.data<float>()[i] = random_uniform(seed, RandomStream::tests, 0, static_cast<uint64_t>(i));
  }
  return tensor;
}

Checkpoint some_checkpoint(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.header = {"[model]\nkind = \"dlcm\"\n", step, step * 8192, {1, -1, 3}, 17,
                       {{"tokenizer", "bytes"}}};
  const std::pair<const char*, Shape> shapes[] = {{"embedding", {257, 24}},
                                                  {"encoder/layers/0/attention/q_proj", {24, 24}},
                                                  {"encoder/layers/0/attention_norm", {24}},
                                                  {"boundary/q_proj", {300, 301}},
                                                  {"smoothing/gate", {1}}};
  const auto seed = static_cast<uint64_t>(step);
  for (const auto& [name, shape] : shapes) {
    checkpoint.model.emplace_back(name, numbers(shape, seed));
    checkpoint.moment_m.emplace_back(name, numbers(shape, seed + 1));
    checkpoint.moment_v.emplace_back(name, numbers(shape, seed + 2));
  }
  return checkpoint;
}

void check_equal(NamedTensors expected, const NamedTensors& found) {
  std::sort(expected.begin(), expected.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].first == expected[i].first);
    CHECK(found[i].second.shape() == expected[i].second.shape());
    CHECK(found[i].second.to_vector<float>() == expected[i].second.to_vector<float>());
  }
}

size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("checkpoint: what is written is read, bit for bit") {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  Checkpoint expected = some_checkpoint(3);
  expected.header.config += std::string(100000, '#');  // larger than HDF5's compact attributes
  expected.header.loader_cursor.assign(9000, 5);
  write_checkpoint(path, expected);
  const Checkpoint found = read_checkpoint(path, CheckpointPart::everything);
  CHECK(found.header.config == expected.header.config);
  CHECK(found.header.step == 3);
  CHECK(found.header.tokens_seen == 3 * 8192);
  CHECK(found.header.loader_cursor == expected.header.loader_cursor);
  CHECK(found.header.seed == 17);
  CHECK(found.header.extra == expected.header.extra);
  check_equal(expected.model, found.model);
  check_equal(expected.moment_m, found.moment_m);
  check_equal(expected.moment_v, found.moment_v);
  CHECK(read_checkpoint(path, CheckpointPart::model).moment_m.empty());
  const Hdf5Reader file(path);
  CHECK(file.has_dataset("/optimizer/encoder/layers/0/attention/q_proj/v"));
  for (const std::string& name : file.datasets()) CHECK(file.info(name).checksummed);
}

TEST_CASE("checkpoint: reading in place checks names and shapes") {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  Checkpoint checkpoint = some_checkpoint(1);
  checkpoint.moment_m.clear();
  checkpoint.moment_v.clear();
  checkpoint.header.loader_cursor.clear();
  write_checkpoint(path, checkpoint);
  const CheckpointReader reader(path);
  CHECK(!reader.has_optimizer());
  CHECK(reader.header().loader_cursor.empty());
  const Tensor gate = Tensor::zeros({1});
  reader.read_parameter("smoothing/gate", gate);
  CHECK(gate.item() == checkpoint.model[4].second.item());
  CHECK(contains(message_of<InputError>([&] { reader.read_parameter("embedding", gate); }),
                 "'/model/embedding' has shape [257, 24], expected [1]"));
  CHECK(contains(message_of<InputError>([&] { reader.read_parameter("other", gate); }),
                 "no dataset '/model/other'"));
  CHECK(contains(message_of<InputError>([&] {
                   reader.require_parameters({"embedding", "head"});
                 }),
                 "missing head; unknown"));
  CHECK(contains(message_of<InputError>([&] { read_checkpoint(path, CheckpointPart::everything); }),
                 "/optimizer"));
}

TEST_CASE("checkpoint: the writer refuses moments that do not match") {
  const TemporaryFolder folder;
  Checkpoint checkpoint = some_checkpoint(1);
  checkpoint.moment_v.pop_back();
  CHECK_THROWS_AS(write_checkpoint(folder / "c.h5", checkpoint), Error);
  CHECK(files_in(folder.path()) == 0);
}

TEST_CASE("checkpoint: a flipped bit anywhere is noticed, and the file named") {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  Checkpoint checkpoint = some_checkpoint(2);
  checkpoint.model.erase(checkpoint.model.begin() + 3);
  checkpoint.moment_m.erase(checkpoint.moment_m.begin() + 3);
  checkpoint.moment_v.erase(checkpoint.moment_v.begin() + 3);
  write_checkpoint(path, checkpoint);
  const std::string whole = read_bytes(path);
  for (size_t i = 0; i < 240; ++i) {
    const uint64_t random = random_bits(5, RandomStream::tests, 2, i);
    const size_t position = i < 120 ? whole.size() * i / 120 : random % whole.size();
    std::string damaged = whole;
    damaged[position] = static_cast<char>(damaged[position] ^ (1 << (random >> 61)));
    write_bytes(path, damaged);
    const std::string message = message_of<InputError>([&] { const CheckpointReader reader(path); });
    INFO("byte ", position, " of ", whole.size(), ": ", message);
    CHECK(contains(message, path));
  }
  for (size_t i = 1; i < 24; ++i) {
    write_bytes(path, whole.substr(0, whole.size() * i / 24));
    CHECK(contains(message_of<InputError>([&] { const CheckpointReader reader(path); }), "truncated"));
  }
}

TEST_CASE("checkpoint: a full disk is one error, and nothing is lost") {
  const TemporaryFolder folder;
  if (mount("dlcm-test", folder.path().c_str(), "tmpfs", 0, "size=2800k") != 0) {
    MESSAGE("skipped: mounting a small tmpfs is not permitted here");
    return;
  }
  const std::string path = folder / "step.h5";
  write_checkpoint(path, some_checkpoint(1));  // about 1.7 MB
  const std::string message =
      message_of<Error>([&] { write_checkpoint(folder / "other.h5", some_checkpoint(2)); });
  CHECK(contains(message, "other.h5': No space left on device"));
  const std::string replacing = message_of<Error>([&] { write_checkpoint(path, some_checkpoint(3)); });
  CHECK(contains(replacing, "step.h5': No space left on device"));
  CHECK(files_in(folder.path()) == 1);
  CHECK(read_checkpoint(path, CheckpointPart::everything).header.step == 1);
  CHECK(umount(folder.path().c_str()) == 0);
}

TEST_CASE("checkpoint: a tiny one fits on a disk of twice its size") {
  Checkpoint tiny = some_checkpoint(1);
  for (NamedTensors* tensors : {&tiny.model, &tiny.moment_m, &tiny.moment_v}) {
    for (auto& [name, tensor] : *tensors) tensor = numbers({16, 16}, 1);
  }
  const TemporaryFolder elsewhere, folder;
  write_checkpoint(elsewhere / "c.h5", tiny);
  const auto bytes = fs::file_size(elsewhere / "c.h5");
  const std::string size = concat("size=", 2 * bytes);
  if (mount("dlcm-test", folder.path().c_str(), "tmpfs", 0, size.c_str()) != 0) {
    MESSAGE("skipped: mounting a small tmpfs is not permitted here");
    return;
  }
  CHECK_NOTHROW(write_checkpoint(folder / "c.h5", tiny));
  CHECK(fs::file_size(folder / "c.h5") == bytes);
  CHECK(umount(folder.path().c_str()) == 0);
}

TEST_CASE("checkpoint: no folder, no permission, a folder in its place") {
  const TemporaryFolder folder;
  const Checkpoint checkpoint = some_checkpoint(1);
  CHECK(contains(message_of<Error>([&] { write_checkpoint(folder / "no/c.h5", checkpoint); }),
                 "there is no folder"));
  CHECK(contains(message_of<Error>([&] { write_checkpoint(folder.path(), checkpoint); }), "it is a folder"));
  if (geteuid() == 0) {
    MESSAGE("skipped: the superuser is permitted everything");
    return;
  }
  fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
  CHECK(contains(message_of<Error>([&] { write_checkpoint(folder / "c.h5", checkpoint); }),
                 "Permission denied"));
  fs::permissions(folder.path(), fs::perms::owner_all);
}

TEST_CASE("checkpoint: a user names a file or a run; what is missing is said") {
  const TemporaryFolder run;
  const auto message = [&](const std::string& path) {
    return message_of<InputError>([&] { newest_checkpoint(path); });
  };
  CHECK(contains(message(run / "no"), "there is no file or folder"));
  CHECK(contains(message(run.path()), "no folder 'checkpoints'"));
  fs::create_directory(run / "checkpoints");
  CHECK(contains(message(run.path()), "has no 'latest.h5'"));
  link_latest_checkpoint(run.path(), 7);
  CHECK(contains(message(run.path()), "step-00000007.h5', which is missing"));
  for (const int64_t step : {7, 8}) {
    write_checkpoint(checkpoint_path(run.path(), step), some_checkpoint(step));
    link_latest_checkpoint(run.path(), step);
    CHECK(CheckpointReader(newest_checkpoint(run.path())).header().step == step);
  }
  CHECK(newest_checkpoint(run / "checkpoints/step-00000007.h5") == run / "checkpoints/step-00000007.h5");
  CHECK(fs::read_symlink(run / "checkpoints/latest.h5") == "step-00000008.h5");
  CHECK(files_in(run / "checkpoints") == 3);
}

TEST_CASE("checkpoint: a kill at any moment leaves the newest complete one readable") {
  const TemporaryFolder run;
  fs::create_directory(run / "checkpoints");
  const auto write = [&](int64_t step) {
    write_checkpoint(checkpoint_path(run.path(), step % 3), some_checkpoint(step));
    link_latest_checkpoint(run.path(), step % 3);
  };
  const auto start = std::chrono::steady_clock::now();
  write(0);
  const std::chrono::duration<double, std::micro> one_write = std::chrono::steady_clock::now() - start;
  bool left_temporary = false;
  for (int round = 0; round < 12 || (round < 60 && !left_temporary); ++round) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      for (int64_t step = 1; true; ++step) write(step);
    }
    usleep(static_cast<useconds_t>(one_write.count() * (0.3 + 0.17 * (round % 12))));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const Checkpoint found = read_checkpoint(newest_checkpoint(run.path()), CheckpointPart::everything);
    check_equal(some_checkpoint(found.header.step).model, found.model);
    for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
      left_temporary |= contains(entry.path().string(), ".tmp-");
    }
  }
  CHECK(left_temporary);  // else the kills came at no interesting moment
  write(1);
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    CHECK(!contains(entry.path().string(), ".tmp-"));
  }
}
