#include "apps/training/run_folder.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <sstream>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
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

void make_checkpoints_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder / "checkpoints", error);
  DLCM_CHECK(!error, (folder / "checkpoints").string(), ": the folder cannot be made: ", error.message());
}

fs::path latest_link(const fs::path& folder) {
  return folder / "checkpoints" / "latest.h5";
}

bool holds_run(const fs::path& folder) {
  std::error_code error;  // what cannot be looked at is there
  return fs::exists(folder / "config.toml", error) || fs::exists(folder / "metrics.jsonl", error) ||
         fs::symlink_status(latest_link(folder), error).type() != fs::file_type::not_found ||
         !step_files(folder).empty();
}

// The text of what is wrong with latest.h5, as a link that leads nowhere.
std::string broken_link(const fs::path& link) {
  std::error_code error;
  if (!fs::is_symlink(link, error) || fs::exists(link, error)) return "";
  return concat(link.string(), " names '", fs::read_symlink(link, error).string(), "', which is missing");
}

void rename_within(const fs::path& path, const std::string& name) {
  std::error_code error;
  fs::rename(path, path.parent_path() / name, error);
  DLCM_CHECK(!error, path.string(), ": cannot be renamed to ", name, ": ", error.message());
}

// KIND-NAME, or KIND-2-NAME and so on: what was set aside before stays.
std::string set_aside(const fs::path& path, const std::string& kind) {
  std::error_code error;
  const std::string behind = "-" + path.filename().string();
  std::string name = kind + behind;
  for (int copy = 2; fs::exists(path.parent_path() / name, error); ++copy) {
    name = concat(kind, "-", copy, behind);
  }
  rename_within(path, name);
  return name;
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
  DLCM_CHECK_INPUT(!fs::exists(path, error) || fs::is_directory(path, error), "--output ", path,
                   " is a file, expected a folder");
  fs::create_directories(path, error);
  DLCM_CHECK(!error, path, ": the folder cannot be made: ", error.message());
  const bool held = hold();
  DLCM_CHECK(descriptor_.value >= 0, path, ": the folder cannot be opened: ", std::strerror(errno));
  DLCM_CHECK_INPUT(held, path, " is in use by another train; wait for it or give another --output");
  if (resume == Resume::no) {
    DLCM_CHECK_INPUT(!holds_run(path), path,
                     " holds a run already; go on with it by --resume or give another --output");
    return;
  }
  const fs::path latest = latest_link(path);
  const bool odd = fs::exists(latest, error) && !fs::is_regular_file(latest, error);
  DLCM_CHECK_INPUT(!odd, latest.string(), " is neither a link to a checkpoint nor one: remove it");
  warning_ = broken_link(latest);
  DLCM_CHECK_INPUT(warning_.empty() || !step_files(path).empty(), warning_,
                   " as all other checkpoints are: bring one back, or begin anew in another --output");
}

void RunFolder::Descriptor::close() {
  if (value >= 0) ::close(value);
  value = -1;
}

bool RunFolder::hold() {
  descriptor_.close();
  descriptor_.value = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return descriptor_.value >= 0 &&
         (::flock(descriptor_.value, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK);
}

void RunFolder::hold_again() {
  const std::lock_guard lock(mutex_);
  struct stat held {
  }, named{};
  if (::stat(path_.c_str(), &named) != 0) return;  // restore() may make it, and who writes there finds out
  const bool is_held = descriptor_.value >= 0 && ::fstat(descriptor_.value, &held) == 0 &&
                       held.st_ino == named.st_ino && held.st_dev == named.st_dev;
  DLCM_CHECK(is_held || hold() || descriptor_.value < 0, path_,
             " was lost, and another train writes there now: this one ends");
}

std::vector<std::string> RunFolder::candidates() const {
  std::error_code error;
  const fs::path latest = latest_link(path_);
  std::vector<std::string> paths;
  if (fs::exists(latest, error)) paths.push_back(latest.string());
  for (std::string& file : step_files(path_)) {
    if (paths.empty() || !fs::equivalent(file, latest, error)) paths.push_back(std::move(file));
  }
  return paths;
}

void RunFolder::begin(const Config& config, const std::string& before, int64_t changed_at) const {
  const fs::path folder(path_);
  make_checkpoints_folder(folder);
  if (!before.empty()) {
    data::write_file((folder / concat("config-until-step-", changed_at, ".toml")).string(), before);
  }
  data::write_file((folder / "config.toml").string(), to_toml(config));
}

std::vector<std::string> RunFolder::checkpoints() const {
  return step_files(path_);
}

std::vector<std::string> RunFolder::set_aside_later(int64_t step) const {
  std::vector<std::string> names;
  for (const fs::path file : step_files(path_)) {
    if (data::step_of_checkpoint(file.string()) <= step) break;
    names.push_back(set_aside(file, "superseded"));
  }
  return names;
}

void RunFolder::restore(const Config& config) const {
  make_checkpoints_folder(path_);
  const std::string path = (fs::path(path_) / "config.toml").string();
  if (!fs::exists(path)) data::write_file(path, to_toml(config));
  if (!fs::exists(fs::path(path_) / data::kTokenizerFile)) copy_tokenizer();
}

void RunFolder::take_tokenizer(const std::string& data_folder) {
  data_folder_ = data_folder;
  copy_tokenizer();
}

void RunFolder::copy_tokenizer() const {
  const std::string file = (fs::path(data_folder_) / data::kTokenizerFile).string();
  if (!data_folder_.empty() && fs::exists(file)) data::copy_tokenizer(file, path_);
}

bool RunFolder::names(int64_t step) const {
  std::error_code error;
  return fs::equivalent(latest_link(path_), data::checkpoint_path(path_, step), error);
}

// Killed in between, the folder has no link, and the run goes on from its latest step.
void RunFolder::link_latest(int64_t step) const {
  const fs::path latest = latest_link(path_);
  std::error_code error;
  if (fs::symlink_status(latest, error).type() == fs::file_type::regular) {
    std::string own;
    try {
      own = fs::path(data::checkpoint_path(path_, data::CheckpointReader(latest.string()).header().step))
                .filename()
                .string();
    } catch (const InputError&) {
    }
    if (own.empty()) {
      set_aside(latest, "damaged");
    } else if (fs::exists(latest.parent_path() / own, error)) {
      data::remove_durably(latest.string());
    } else {
      rename_within(latest, own);
    }
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
    DLCM_CHECK_INPUT(!must_stay(key), key, " is ", is, ", but ", was,
                     " in the run's checkpoint; a run goes on with the same ", key);
    changed.push_back(concat(key, " = ", is, " (was ", was, ")"));
  }
  return changed;
}

}  // namespace dlcm::apps
