// Folders of tests/goldens/hugging_face, copied and changed.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/data/temporary_folder.h"
#include "tests/paths.h"

namespace dlcm::test {

inline std::string golden_folder(const std::string& name) {
  return source_folder() + "/tests/goldens/hugging_face/" + name;
}

// A copy that a test may damage.
class FolderCopy {
 public:
  explicit FolderCopy(const std::string& name) {
    std::filesystem::copy(golden_folder(name), folder_.path(), std::filesystem::copy_options::recursive);
  }
  std::string path() const { return folder_.path(); }
  std::string operator/(const std::string& name) const { return folder_ / name; }
  nlohmann::json json(const std::string& file) const {
    return nlohmann::json::parse(read_bytes(folder_ / file));
  }
  void write(const std::string& file, const nlohmann::json& json) const {
    write_bytes(folder_ / file, json.dump());
  }
  // One key of an object in a file.
  void set(const std::string& file, const std::string& key, const nlohmann::json& value) const {
    nlohmann::json changed = json(file);
    changed[key] = value;
    write(file, changed);
  }
  void remove(const std::string& file) const { std::filesystem::remove(folder_ / file); }

 private:
  TemporaryFolder folder_;
};

}  // namespace dlcm::test
