#include "apps/training/run_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "data/atomic_file.h"
#include "data/checkpoint.h"
#include "data/tokenizer.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> step_files(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "checkpoints", error)) {
    if (data::step_of_checkpoint(entry.path().string()) >= 0) files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end(), [](const std::string& a, const std::string& b) {
    return data::step_of_checkpoint(a) > data::step_of_checkpoint(b);
  });
  return files;
}

// Empty where there is none.
std::string latest_step_file(const fs::path& folder) {
  const std::vector<std::string> files = step_files(folder);
  return files.empty() ? "" : files.front();
}

void make_checkpoints_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "checkpoints", error);
  DLCM_CHECK(!error, (folder / "checkpoints").string(), ": the folder cannot be made: ", error.message());
}

fs::path latest_link(const fs::path& folder) {
  return folder / "checkpoints" / "latest.h5";
}

bool holds_run(const fs::path& folder) {
  return fs::exists(folder / "config.toml") || fs::exists(folder / "metrics.jsonl") ||
         fs::is_symlink(latest_link(folder)) || fs::exists(latest_link(folder)) ||
         !latest_step_file(folder).empty();
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
      const std::string value = line.substr(equals + 3);
      values[table + "." + line.substr(0, equals)] = value.substr(0, value.find("  #"));
    }
  }
  return values;
}

bool must_stay(const std::string& key) {
  return key.starts_with("model.") || key.starts_with("mup.") || key.starts_with("data.weights") ||
         key == "train.context" || key == "train.batch_tokens" || key == "train.seed" || key == "train.dtype";
}

}  // namespace

RunFolder::RunFolder(const std::string& path, Resume resume) : path_(path) {
  std::error_code error;
  DLCM_CHECK_INPUT(!fs::exists(path) || fs::is_directory(path), "--output ", path,
                   " is a file, expected a folder");
  fs::create_directories(path, error);
  DLCM_CHECK(!error, path, ": the folder cannot be made: ", error.message());
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DLCM_CHECK(descriptor_ >= 0, path, ": the folder cannot be opened: ", std::strerror(errno));
  const bool taken = ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  DLCM_CHECK_INPUT(!taken, path, " is in use by another train; wait for it or give another --output");
  if (resume == Resume::no) {
    DLCM_CHECK_INPUT(!holds_run(path), path,
                     " holds a run already; go on with it by --resume or give another --output");
    return;
  }
  const bool linked = fs::exists(latest_link(path));
  checkpoint_ = linked ? data::newest_checkpoint(path) : latest_step_file(path);
  if (linked && !fs::is_symlink(latest_link(path)))
    copied_step_ = data::CheckpointReader(checkpoint_).header().step;
}

RunFolder::~RunFolder() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void RunFolder::begin(const Config& config, int64_t changed_at) const {
  const fs::path folder(path_);
  make_checkpoints_folder(folder);
  if (changed_at >= 0 && fs::exists(folder / "config.toml")) {
    std::error_code error;
    fs::rename(folder / "config.toml", folder / concat("config-until-step-", changed_at, ".toml"), error);
    DLCM_CHECK(!error, path_, ": config.toml cannot be renamed: ", error.message());
  }
  data::write_file((folder / "config.toml").string(), to_toml(config));
}

std::vector<std::string> RunFolder::checkpoints() const {
  return step_files(path_);
}

void RunFolder::restore(const Config& config) const {
  make_checkpoints_folder(path_);
  const std::string path = (fs::path(path_) / "config.toml").string();
  if (!fs::exists(path)) data::write_file(path, to_toml(config));
}

void RunFolder::take_tokenizer(const std::string& data_folder) const {
  const std::string file = (fs::path(data_folder) / data::kTokenizerFile).string();
  if (fs::exists(file)) data::copy_tokenizer(file, path_);
}

// Killed in between, the folder has no link, and the run goes on from its latest step.
void RunFolder::link_latest(int64_t step) {
  if (copied_step_ >= 0) {
    const std::string named = data::checkpoint_path(path_, copied_step_);
    std::error_code error;
    if (fs::exists(named)) {
      fs::remove(latest_link(path_), error);
    } else {
      fs::rename(latest_link(path_), named, error);
    }
    DLCM_CHECK(!error, latest_link(path_).string(), ": cannot be replaced by a link: ", error.message());
    copied_step_ = -1;
  }
  data::link_latest_checkpoint(path_, step);
}

std::vector<std::string> check_same_run(const Config& stored, const Config& wanted) {
  std::map<std::string, std::string> before = lines_of(to_toml(stored));
  std::map<std::string, std::string> now = lines_of(to_toml(wanted));
  for (const auto& [key, value] : before) now.try_emplace(key);  // weights of domains may be left out
  std::vector<std::string> changed;
  for (const auto& [key, value] : now) {
    const std::string& old = before[key];
    if (old == value) continue;
    const std::string is = value.empty() ? "absent" : value;
    const std::string was = old.empty() ? "absent" : old;
    DLCM_CHECK_INPUT(!must_stay(key), "--resume: ", key, " is ", is, ", but ", was,
                     " in the run's checkpoint; a run goes on with the same ", key);
    changed.push_back(concat(key, " = ", is, " (was ", was, ")"));
  }
  return changed;
}

}  // namespace dlcm::apps
