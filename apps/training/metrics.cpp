#include "apps/training/metrics.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <unistd.h>

#include "apps/common/json.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// Whether the line is whole and belongs to a step that is kept.
bool kept(const std::string& line, int64_t last_step) {
  const std::optional<int64_t> step = json_whole_number(line, "step");
  return step && *step <= last_step;
}

void sync_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool synced = descriptor >= 0 && ::fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  DLCM_CHECK(synced, path, ": cannot be written to the disk: ", std::strerror(reason));
}

void drop_later_lines(const std::string& path, int64_t last_step) {
  std::ifstream in(path);
  if (!in) return;
  const std::string temporary = path + ".tmp";
  std::ofstream out(temporary, std::ios::trunc);
  for (std::string line; std::getline(in, line);) {
    if (kept(line, last_step)) out << line << '\n';
  }
  out.flush();
  DLCM_CHECK(out.good(), temporary, ": cannot be written: ", std::strerror(errno));
  out.close();
  sync_file(temporary);
  std::filesystem::rename(temporary, path);
}

}  // namespace

MetricsLog::MetricsLog(const std::string& path, int64_t last_step) : path_(path) {
  drop_later_lines(path, last_step);
  out_.open(path, std::ios::app);
  DLCM_CHECK(out_.good(), path, ": cannot be written: ", std::strerror(errno));
}

void MetricsLog::write(int64_t step, const Fields& fields) {
  JsonObject object;
  object.add("step", step);
  for (const auto& [name, value] : fields) {
    const bool whole = std::isfinite(value) && value == std::floor(value) && std::abs(value) < 9e15 &&
                       (name == "tokens_seen" || name == "predicted_tokens" || name == "peak_bytes" ||
                        name == "heldout_tokens");
    if (whole) {
      object.add(name, static_cast<int64_t>(value));
    } else {
      object.add(name, value);
    }
  }
  out_ << object.text() << '\n' << std::flush;
  DLCM_CHECK(out_.good(), path_, ": cannot be written: ", std::strerror(errno));
}

void MetricsLog::sync() const {
  sync_file(path_);
}

}  // namespace dlcm::apps
