#include "data/safetensors_model.h"

#include <filesystem>
#include <utility>

#include "data/json_events.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr char kWeightMap[] = "weight_map";
constexpr uint64_t kMaxIndexBytes = kSafetensorsMaxHeader;

// "weight_map" of an index: tensor and file. Whatever else the index says is passed over.
class IndexHandler final : public JsonHandler {
 public:
  explicit IndexHandler(const std::string& path) : path_(path) {}

  // Throws InputError where the index has none.
  std::map<std::string, std::string> weight_map() && {
    DLCM_CHECK_INPUT(has_map_, "'", path_, "' has no '", kWeightMap, "': it is not an index of a model");
    return std::move(map_);
  }

  void object_begins() override { enter("an object", true); }
  void object_ends() override { leave(); }
  void array_begins() override { enter("an array", false); }
  void array_ends() override { leave(); }
  void key(const std::string& name) override;
  void text(const std::string& value) override;
  void whole_number(uint64_t) override { other("a number"); }
  void other(const char* kind) override;

 private:
  void enter(const char* kind, bool is_object);
  void leave();
  bool at_map() const { return depth_ == 1 && key_ == kWeightMap; }  // its value is next

  const std::string& path_;
  std::map<std::string, std::string> map_;
  std::string key_;  // of the index, or the tensor
  int64_t depth_ = 0;
  bool in_map_ = false;
  bool has_map_ = false;
};

void IndexHandler::enter(const char* kind, bool is_object) {
  if (in_map_ || (depth_ == 0 && !is_object) || (at_map() && !is_object)) other(kind);
  if (at_map()) in_map_ = has_map_ = true;
  ++depth_;
}

void IndexHandler::leave() {
  --depth_;
  in_map_ = false;  // nothing is entered within it
}

void IndexHandler::key(const std::string& name) {
  if (in_map_) {
    DLCM_CHECK_INPUT(!map_.contains(name), "'", path_, "': tensor ", shown_name(name), " occurs twice");
  } else if (depth_ == 1) {
    DLCM_CHECK_INPUT(name != kWeightMap || !has_map_, "'", path_, "': '", kWeightMap, "' occurs twice");
  } else {
    return;
  }
  key_ = name;
}

void IndexHandler::text(const std::string& value) {
  if (!in_map_) return other("a string");
  const bool is_name = !value.empty() && value != "." && value != ".." &&
                       value.find('/') == std::string::npos && value.find('\0') == std::string::npos;
  DLCM_CHECK_INPUT(is_name, "'", path_, "': tensor ", shown_name(key_), " is in ", shown_name(value),
                   ", expected the name of a file beside the index");
  map_.emplace(key_, value);
}

void IndexHandler::other(const char* kind) {
  DLCM_CHECK_INPUT(depth_ > 0, "'", path_, "' is ", kind, ", expected an object");
  DLCM_CHECK_INPUT(!in_map_, "'", path_, "': tensor ", shown_name(key_), " is in ", kind,
                   ", expected the name of a file");
  DLCM_CHECK_INPUT(!at_map(), "'", path_, "': '", kWeightMap, "' is ", kind, ", expected an object");
}

std::map<std::string, std::string> read_index(const std::string& path) {
  const PositionedFile file(path);
  DLCM_CHECK_INPUT(file.bytes() <= kMaxIndexBytes, "'", path, "' has ", file.bytes(),
                   " bytes, expected an index of at most ", kMaxIndexBytes);
  IndexHandler handler(path);
  read_json(file.text(0, file.bytes()), concat("'", path, "'"), handler);
  return std::move(handler).weight_map();
}

// The file or index that the user means.
std::string model_file(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  for (const char* name : {kSingleFile, kIndexFile}) {
    const fs::path file = fs::path(path) / name;
    if (fs::exists(file, error)) return file.string();
  }
  throw InputError(concat("'", path, "' holds neither '", kSingleFile, "' nor '", kIndexFile, "'"));
}

}  // namespace

SafetensorsModel::SafetensorsModel(const std::string& path) : path_(model_file(path)) {
  if (path_.ends_with(".json")) {
    open_index();
    return;
  }
  const auto& file = *files_.emplace(path_, std::make_unique<SafetensorsReader>(path_)).first->second;
  for (const auto& [name, info] : file.tensors()) files_of_.emplace(name, &file);
}

void SafetensorsModel::open_index() {
  for (const auto& [name, shard] : read_index(path_)) {
    const SafetensorsReader& file = open_shard(shard, name);
    DLCM_CHECK_INPUT(file.tensors().contains(name), "'", file.path(), "' has no tensor ", shown_name(name),
                     ", but '", path_, "' says so");
    files_of_.emplace(name, &file);
  }
}

const SafetensorsReader& SafetensorsModel::open_shard(const std::string& shard, const std::string& tensor) {
  std::unique_ptr<SafetensorsReader>& file = files_[shard];
  if (file == nullptr) {
    const fs::path path = fs::path(path_).parent_path() / shard;
    std::error_code error;
    DLCM_CHECK_INPUT(fs::exists(path, error), "'", path.string(), "' is missing: '", path_,
                     "' says that tensor ", shown_name(tensor), " is in it");
    try {
      file = std::make_unique<SafetensorsReader>(path.string());
    } catch (const InputError& reason) {
      throw InputError(
          concat(reason.what(), "; '", path_, "' says that tensor ", shown_name(tensor), " is in it"));
    }
  }
  return *file;
}

std::vector<std::string> SafetensorsModel::names() const {
  std::vector<std::string> names;
  for (const auto& [name, file] : files_of_) names.push_back(name);
  return names;
}

const SafetensorsReader& SafetensorsModel::file_of(const std::string& name) const {
  const auto found = files_of_.find(name);
  DLCM_CHECK_INPUT(found != files_of_.end(), "'", path_, "' has no tensor ", shown_name(name));
  return *found->second;
}

}  // namespace dlcm::data
