#include "data/safetensors_model.h"

#include <doctest/doctest.h>

#include "tests/data/safetensors_bytes.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

constexpr char kIndex[] = "model.safetensors.index.json";

void write_one(const std::string& path, const std::string& name, float value) {
  write_safetensors(path, {{name, Tensor::full({2}, value)}}, DType::f32);
}

// Two shards with the tensors a and b, and an index with this weight map.
struct Shards {
  TemporaryFolder folder;
  explicit Shards(const std::string& weight_map) {
    write_one(folder / "1.safetensors", "a", 1);
    write_one(folder / "2.safetensors", "b", 2);
    write_bytes(folder / kIndex,
                R"({"metadata":{"total_size":16,"deep":[[{"weight_map":{}}]]},"weight_map":)" + weight_map +
                    R"(,"more":null})");
  }
};

std::string refusal(const std::string& path) {
  const std::string message = message_of<InputError>([&] { const SafetensorsModel model(path); });
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

// Of an index with this text alone in its folder.
std::string index_refusal(const std::string& text) {
  static const TemporaryFolder folder;
  write_bytes(folder / kIndex, text);
  const std::string start = "'" + (folder / kIndex) + "'";
  const std::string message = refusal(folder.path());
  CHECK(message.starts_with(start));
  return message.starts_with(start) ? message.substr(start.size()) : message;
}

std::string shard_refusal(const std::string& shard) {
  return index_refusal(R"({"weight_map":{"a":)" + shard + "}}");
}

}  // namespace

TEST_CASE("safetensors model: one file, by its name or its folder") {
  const TemporaryFolder folder;
  const std::string file = folder / "model.safetensors";
  write_one(file, "a", 3);
  write_bytes(folder / kIndex, "not looked at where there is a single file");
  for (const std::string& path : {file, folder.path()}) {
    const SafetensorsModel model(path);
    CHECK(model.path() == file);
    CHECK(model.names() == std::vector<std::string>{"a"});
    CHECK(model.has("a"));
    CHECK_FALSE(model.has("b"));
    CHECK(model.read("a").to_vector<float>() == std::vector<float>{3, 3});
    CHECK(message_of<InputError>([&] { model.read_f32("b"); }) == "'" + file + "' has no tensor 'b'");
  }
}

TEST_CASE("safetensors model: tensors over several files") {
  const Shards shards(R"({"b":"2.safetensors","a":"1.safetensors"})");
  for (const std::string& path : {shards.folder.path(), shards.folder / kIndex}) {
    const SafetensorsModel model(path);
    CHECK(model.names() == std::vector<std::string>{"a", "b"});
    CHECK(model.read("a").to_vector<float>() == std::vector<float>{1, 1});
    CHECK(model.read_f32("b").to_vector<float>() == std::vector<float>{2, 2});
    CHECK(model.info("b").shape == Shape{2});
    CHECK(model.file_of("b").path() == shards.folder / "2.safetensors");
    CHECK(contains(message_of<InputError>([&] { model.read("c"); }),
                   std::string(kIndex) + "' has no tensor 'c'"));
  }
}

TEST_CASE("safetensors model: an index in the current folder, and links to files elsewhere") {
  const Shards shards(R"({"a":"link.safetensors"})");
  std::filesystem::create_symlink(shards.folder / "1.safetensors", shards.folder / "link.safetensors");
  CHECK(SafetensorsModel(shards.folder.path()).read("a").to_vector<float>() == std::vector<float>{1, 1});
}

TEST_CASE("safetensors model: a tensor that its file or the index does not have") {
  const Shards lacking(R"({"a":"1.safetensors","c":"2.safetensors"})");
  CHECK(refusal(lacking.folder.path()) == "'" + (lacking.folder / "2.safetensors") +
                                              "' has no tensor 'c', but '" + (lacking.folder / kIndex) +
                                              "' says so");
  const Shards unnamed(R"({"a":"1.safetensors"})");
  CHECK(SafetensorsModel(unnamed.folder.path()).names() == std::vector<std::string>{"a"});
}

TEST_CASE("safetensors model: a file that is missing or damaged") {
  const Shards missing(R"({"a":"1.safetensors","c":"3.safetensors"})");
  CHECK(refusal(missing.folder.path()) == "'" + (missing.folder / "3.safetensors") + "' is missing: '" +
                                              (missing.folder / kIndex) + "' says that tensor 'c' is in it");
  const Shards damaged(R"({"a":"1.safetensors","b":"2.safetensors"})");
  const std::string named = "; '" + (damaged.folder / kIndex) + "' says that tensor 'b' is in it";
  write_bytes(damaged.folder / "2.safetensors", safetensors_file("{}", "x"));
  CHECK(refusal(damaged.folder.path()) == "'" + (damaged.folder / "2.safetensors") +
                                              "': 1 bytes behind the last tensor belong to none" + named);
  std::filesystem::remove(damaged.folder / "2.safetensors");
  std::filesystem::create_directory(damaged.folder / "2.safetensors");
  CHECK(refusal(damaged.folder.path()) ==
        "cannot read '" + (damaged.folder / "2.safetensors") + "': it is not a file" + named);
}

TEST_CASE("safetensors model: nothing to open") {
  const TemporaryFolder folder;
  CHECK(refusal(folder.path()) ==
        "'" + folder.path() + "' holds neither 'model.safetensors' nor 'model.safetensors.index.json'");
  CHECK(contains(refusal(folder / "none"), "cannot read '" + (folder / "none")));
  CHECK(contains(refusal(folder / "none.json"), "cannot read '" + (folder / "none.json")));
}

TEST_CASE("safetensors model: names of files that lead out of the folder") {
  for (const char* shard :
       {"../x.safetensors", "/etc/passwd", "a/b.safetensors", "", ".", "..", "a\\u0000b", "./a"}) {
    const std::string message = shard_refusal(concat("\"", shard, "\""));
    CHECK(message.starts_with(": tensor 'a' is in '"));
    CHECK(message.ends_with("', expected the name of a file beside the index"));
  }
}

TEST_CASE("safetensors model: an index that is none") {
  CHECK(index_refusal("{}") == " has no 'weight_map': it is not an index of a model");
  CHECK(index_refusal(R"({"metadata":{"weight_map":{"a":"b"}}})") ==
        " has no 'weight_map': it is not an index of a model");
  CHECK(index_refusal("[]") == " is an array, expected an object");
  CHECK(index_refusal("1") == " is a number, expected an object");
  CHECK(contains(index_refusal(""), " is not JSON: "));
  CHECK(contains(index_refusal("{\"weight_map\":{\"a\":"), " is not JSON: "));
  CHECK(contains(index_refusal("{\"metadata\":" + std::string(1'000'000, '[')), " is not JSON: "));
  for (const char* value : {"1", "null", "\"x\"", "[]", "-1"}) {
    CHECK(contains(index_refusal(concat("{\"weight_map\":", value, "}")), ": 'weight_map' is "));
  }
  for (const char* value : {"1", "null", "{}", "[]", "false"}) {
    CHECK(contains(shard_refusal(value), ": tensor 'a' is in "));
  }
  CHECK(index_refusal(R"({"weight_map":{"a":"x","a":"y"}})") == ": tensor 'a' occurs twice");
  CHECK(index_refusal(R"({"weight_map":{},"weight_map":{}})") == ": 'weight_map' occurs twice");
}
