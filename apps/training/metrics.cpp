#include "apps/training/metrics.h"

#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "apps/common/json.h"
#include "data/atomic_file.h"

namespace dlcm::apps {
namespace {

// Whether the line is whole and belongs to a step that is kept.
bool kept(const std::string& line, int64_t last_step) {
  const std::optional<int64_t> step = json_whole_number(line, "step");
  return step && *step <= last_step;
}

}  // namespace

std::string without_later_lines(const std::string& path, int64_t last_step) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return path;  // a device's bytes may have no end
  std::ifstream in(path);
  if (!in) return path;
  std::string text;
  bool all_kept = true;
  for (std::string line; std::getline(in, line);) {
    const bool keeps = !in.eof() && kept(line, last_step);  // at the end of the file where it was cut
    if (keeps) text += line + '\n';
    all_kept = all_kept && keeps;
  }
  if (!all_kept) data::write_file(path, text);
  return path;
}

MetricsLog::MetricsLog(const std::string& path, int64_t last_step)
    : file_(without_later_lines(path, last_step)) {}

void MetricsLog::write(int64_t step, const Fields& fields) {
  JsonObject object;
  object.add("step", step);
  for (const auto& [name, value] : fields) {
    std::visit([&, &key = name](const auto& any) { object.add(key, any); }, value);
  }
  file_.write(object.text() + '\n');
}

}  // namespace dlcm::apps
