#include "apps/training/run_folder.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

#include <unistd.h>

#include "data/atomic_file.h"
#include "data/checkpoint.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

bool holds_run(const fs::path& folder) {
  return fs::exists(folder / "config.toml") || fs::exists(folder / "metrics.jsonl") ||
         fs::exists(folder / "checkpoints");
}

// "table.key" to the text of its value, for every line of a configuration that this program wrote.
std::map<std::string, std::string> lines_of(const std::string& toml) {
  std::map<std::string, std::string> values;
  std::istringstream in(toml);
  std::string table;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("[")) {
      table = line.substr(1, line.find(']') - 1);
    } else if (const size_t equals = line.find(" = "); equals != std::string::npos) {
      values[table + "." + line.substr(0, equals)] = line.substr(equals + 3);
    }
  }
  return values;
}

bool must_stay(const std::string& key) {
  return key.starts_with("model.") || key.starts_with("mup.") || key.starts_with("data.weights") ||
         key == "train.context" || key == "train.batch_tokens" || key == "train.seed" || key == "train.dtype";
}

}  // namespace

std::string prepare_run_folder(const std::string& folder, Resume resume) {
  const fs::path path(folder);
  std::error_code error;
  fs::create_directories(path, error);
  DLCM_CHECK(!error, folder, ": the folder cannot be made: ", error.message());
  const bool has_checkpoint = fs::exists(path / "checkpoints" / "latest.h5");
  if (resume == Resume::no) {
    DLCM_CHECK_INPUT(!holds_run(path), folder,
                     " holds a run already; go on with it by --resume or give another --output");
  } else if (has_checkpoint) {
    return data::newest_checkpoint(folder);
  }
  fs::create_directories(path / "checkpoints", error);
  DLCM_CHECK(!error, (path / "checkpoints").string(), ": the folder cannot be made: ", error.message());
  return "";
}

void write_config_file(const std::string& folder, const Config& config) {
  data::AtomicFile file(folder + "/config.toml");
  const std::string text = to_toml(config);
  for (size_t written = 0; written < text.size();) {
    const ssize_t count = ::write(file.descriptor(), text.data() + written, text.size() - written);
    DLCM_CHECK(count > 0, file.path(), ": cannot be written: ", std::strerror(errno));
    written += static_cast<size_t>(count);
  }
  file.finish();
  file.publish();
}

std::vector<std::string> check_same_run(const Config& stored, const Config& wanted) {
  std::map<std::string, std::string> before = lines_of(to_toml(stored));
  const std::map<std::string, std::string> now = lines_of(to_toml(wanted));
  std::vector<std::string> changed;
  for (const auto& [key, value] : now) {
    const std::string& old = before[key];
    if (old == value) continue;
    DLCM_CHECK_INPUT(!must_stay(key), "--resume: ", key, " is ", value, ", but ",
                     old.empty() ? "absent" : old, " in the run's checkpoint; a run goes on with the same ",
                     key);
    changed.push_back(concat(key, " = ", value, " (was ", old, ")"));
  }
  return changed;
}

}  // namespace dlcm::apps
