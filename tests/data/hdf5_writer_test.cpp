#include <numeric>

#include <doctest/doctest.h>

#include "data/hdf5_file.h"
#include "tensor/random.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

using Sizes = std::vector<int64_t>;
using Datasets = std::vector<std::pair<std::string, Sizes>>;

struct Space {
  uint64_t planned = 0;   // taken before the first dataset
  uint64_t reserved = 0;  // in all
  uint64_t written = 0;
  double share() const { return static_cast<double>(reserved) / static_cast<double>(written); }
};

// A file of these datasets and `texts` attributes of `text_bytes` bytes each.
Space write(const Datasets& datasets, int texts, size_t text_bytes) {
  const TemporaryFolder folder;
  Hdf5Writer writer(folder / "x.h5");
  for (int i = 0; i < texts; ++i) writer.attribute(concat("text", i), std::string(text_bytes, 'x'));
  for (const auto& [name, sizes] : datasets) writer.plan(name, ElementType::f32, sizes);
  writer.reserve_planned();
  Space space;
  space.planned = writer.reserved_bytes();
  for (const auto& [name, sizes] : datasets) {
    const int64_t count = std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
    const std::vector<float> values(static_cast<size_t>(count), 1.0f);
    writer.dataset(name, sizes, values.data());
  }
  writer.finish();
  space.reserved = writer.reserved_bytes();
  writer.publish();
  space.written = std::filesystem::file_size(folder / "x.h5");
  return space;
}

// The checkpoint of a model of one layer each, of width `d`.
Datasets tiny_model(int64_t d) {
  std::vector<std::pair<std::string, Sizes>> parameters = {{"embedding", {257, d}},
                                                           {"boundary/q_proj", {d, d}},
                                                           {"boundary/k_proj", {d, d}},
                                                           {"smoothing/gate", {1}},
                                                           {"unembedding", {257, d}}};
  for (const char* stack : {"encoder", "backbone", "decoder"}) {
    const std::string layer = std::string(stack) + "/layers/0/";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      parameters.emplace_back(layer + "attention/" + name, Sizes{d, d});
    }
    for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
      parameters.emplace_back(layer + "mlp/" + name, Sizes{d, d});
    }
    for (const char* name : {"attention_norm", "mlp_norm"}) parameters.emplace_back(layer + name, Sizes{d});
    parameters.emplace_back(std::string(stack) + "/norm", Sizes{d});
  }
  Datasets datasets;
  for (const auto& [name, sizes] : parameters) {
    datasets.emplace_back("/model/" + name, sizes);
    datasets.emplace_back("/optimizer/" + name + "/m", sizes);
    datasets.emplace_back("/optimizer/" + name + "/v", sizes);
  }
  return datasets;
}

TEST_CASE("hdf5 reader: ranges of chunks larger than HDF5's own cache") {
  const TemporaryFolder folder;
  constexpr int64_t kCount = 3'000'000;
  std::vector<uint16_t> values(kCount);
  for (int64_t i = 0; i < kCount; ++i) values[static_cast<size_t>(i)] = static_cast<uint16_t>(i * 7);
  {
    Hdf5Writer writer(folder / "x.h5");
    writer.growing_dataset("/tokens", ElementType::u16, 1 << 20);  // 2 MiB
    writer.append("/tokens", values.data(), kCount);
    writer.finish();
    writer.publish();
  }
  const Hdf5Reader reader(folder / "x.h5");
  std::vector<uint16_t> part(1000);
  for (int64_t first = 0; first + 1000 <= kCount; first += 99'000) {
    reader.read_range("/tokens", first, 1000, part.data());
    CHECK(std::equal(part.begin(), part.end(), values.begin() + first));
  }
}

}  // namespace

TEST_CASE("hdf5 writer: a tiny model's checkpoint reserves what it writes and less than twice as much") {
  for (const int64_t width : {1, 8, 16, 64}) {
    const Space space = write(tiny_model(width), 9, 300);
    INFO("width ", width, ": reserved ", space.reserved, ", written ", space.written);
    CHECK(space.reserved >= space.written);
    CHECK(space.share() < 2);
    CHECK(space.planned == space.reserved);  // all of it before the first dataset
  }
}

TEST_CASE("hdf5 writer: whatever the datasets and attributes, the disk space taken is enough") {
  uint64_t draws = 0;
  const auto random = [&](uint64_t below) {
    return random_bits(11, RandomStream::tests, 6, draws++) % below;
  };
  for (int trial = 0; trial < 40; ++trial) {
    const uint64_t fan = 1 + random(trial % 2 == 0 ? 3 : 20);
    const uint64_t count = 1 + random(trial % 4 == 0 ? 9 : 60);
    Datasets datasets;
    for (uint64_t i = 0; i < count; ++i) {
      std::string name;
      for (uint64_t depth = random(4); depth > 0; --depth) name += concat("/group", random(fan));
      const int64_t longest = random(10) == 0 ? 300000 : 100;
      datasets.emplace_back(concat(name, "/", std::string(random(30), 'd'), i),
                            Sizes{1 + static_cast<int64_t>(random(static_cast<uint64_t>(longest)))});
    }
    const Space space = write(datasets, static_cast<int>(random(20)), random(random(4) == 0 ? 70000 : 500));
    INFO("trial ", trial, ": reserved ", space.reserved, ", written ", space.written);
    CHECK(space.reserved >= space.written);
  }
  // A group of nine is the first that HDF5 gives an index.
  Datasets nines;
  for (int group = 0; group < 40; ++group) {
    for (int i = 0; i < 9; ++i) nines.emplace_back(concat("/", group, "/", i), Sizes{1});
  }
  const Space space = write(nines, 0, 0);
  CHECK(space.reserved >= space.written);
  CHECK(space.share() < 2);
}

TEST_CASE("hdf5 writer: lists of integers and growing datasets take enough disk space, too") {
  const TemporaryFolder folder;
  for (const int64_t row : {0, 16}) {
    for (const int rounds : {0, 1, 3, 100, 2000}) {
      for (const size_t integers : {0, 10, 5000, 20000}) {
        Hdf5Writer writer(folder / "x.h5");
        for (const char* name : {"a", "b", "c"}) writer.attribute(name, std::vector<int64_t>(integers, 1));
        writer.growing_dataset("/grows", ElementType::f32, row > 0 ? 4 : 64, row);
        const std::vector<float> values(64, 1.0f);
        for (int round = 0; round < rounds; ++round) writer.append("/grows", values.data(), 64);
        writer.finish();
        const uint64_t reserved = writer.reserved_bytes();
        writer.publish();
        const uint64_t written = std::filesystem::file_size(folder / "x.h5");
        INFO("rows of ", row, ", ", rounds, " rounds, ", integers, " integers");
        CHECK(reserved >= written);
      }
    }
  }
}
