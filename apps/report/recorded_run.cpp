#include "apps/report/recorded_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "apps/report/json_lines.h"
#include "apps/training/run_logs.h"
#include "dlcm/language_model.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

// Its name and its folder.
std::pair<std::string, std::string> parted(const std::string& argument) {
  std::error_code error;
  const size_t equals = argument.find('=');
  if (equals != std::string::npos && equals > 0 && !fs::is_directory(argument, error)) {
    return {argument.substr(0, equals), argument.substr(equals + 1)};
  }
  const fs::path path = fs::weakly_canonical(argument, error);
  const std::string name = path.has_filename() ? path.filename() : path.parent_path().filename();
  return {name.empty() ? argument : name, argument};
}

int64_t parameters_of(const ModelConfig& config) {
  const std::unique_ptr<LanguageModel> model = make_model(config);
  int64_t count = 0;
  for (const nn::Parameter* parameter : model->parameters()) count += parameter->shape().numel();
  return count;
}

void read_config(RecordedRun& run) {
  const std::string path = (fs::path(run.folder) / "config.toml").string();
  std::error_code error;
  if (!fs::exists(path, error)) return;
  run.config = load_config(path).config;
  run.parameters = parameters_of(run.config->model);
}

bool is_of_concepts(std::string_view field) {
  for (const std::string_view begin :
       {"aux_loss", "boundary_", "tokens_per_concept", "rate_concept", "rate_boundary", "alpha",
        "heldout_tokens_per_concept", "heldout_boundary_rate"}) {
    if (field.starts_with(begin)) return true;
  }
  return false;
}

// Without a configuration: a model with concepts has never 0 tokens in each.
bool has_concepts(const RecordedRun& run) {
  if (run.config) return run.config->model.kind == ModelKind::dlcm;
  const Curve& tokens = run.metric("tokens_per_concept");
  return std::any_of(tokens.begin(), tokens.end(), [](const Point& point) { return point.y > 0; });
}

// Before the runs are read, which can take long.
void require_different_folders(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const std::string folder = parted(arguments[i]).second, earlier = parted(arguments[j]).second;
      std::error_code error;
      const bool is_same = folder == earlier || fs::equivalent(folder, earlier, error);
      DLCM_CHECK_INPUT(!is_same, "'", folder, "' is given twice",
                       folder == earlier ? "" : concat(", also as '", earlier, "'"), ": once is enough");
    }
  }
}

void make_names_unique(std::vector<RecordedRun>& runs) {
  std::map<std::string, int> count;
  for (const RecordedRun& run : runs) ++count[run.name];
  std::set<std::string> names;
  for (RecordedRun& run : runs) {
    if (count[run.name] > 1) run.name = concat(run.name, " (", run.folder, ")");
    DLCM_CHECK_INPUT(names.insert(run.name).second, "two runs are named '", run.name,
                     "': give them different names, NAME=RUN_DIR");
  }
}

}  // namespace

std::string of_domain(const std::string& field, const std::string& domain) {
  return concat(field, "/", domain);
}

const Curve& RecordedRun::metric(const std::string& field) const {
  static const Curve none;
  const auto found = metrics.find(field);
  return found == metrics.end() ? none : found->second;
}

double RecordedRun::last(const std::string& field) const {
  const Curve& curve = metric(field);
  const auto found =
      std::find_if(curve.rbegin(), curve.rend(), [](const Point& point) { return std::isfinite(point.y); });
  return found == curve.rend() ? std::numeric_limits<double>::quiet_NaN() : found->y;
}

std::vector<std::string> RecordedRun::domains() const {
  std::set<std::string> names;
  for (const auto& [field, curve] : metrics) {
    const size_t slash = field.find('/');
    if (field.starts_with("heldout_") && slash != std::string::npos) names.insert(field.substr(slash + 1));
  }
  return {names.begin(), names.end()};
}

RecordedRun read_run(const std::string& argument) {
  RecordedRun run;
  std::tie(run.name, run.folder) = parted(argument);
  const std::string metrics = (fs::path(run.folder) / kMetricsFile).string();
  const std::string samples = (fs::path(run.folder) / kSamplesFile).string();
  std::error_code error;
  DLCM_CHECK_INPUT(fs::is_regular_file(metrics, error), "'", run.folder,
                   "' holds no metrics.jsonl: give the --output folder of train");
  read_config(run);
  read_metrics_lines(metrics, [&](const MetricsLine& line) {
    for (const auto& [field, value] : line.fields) {
      run.metrics[field].push_back({static_cast<double>(line.step), value});
    }
    run.last_step = line.step;
  });
  run.has_concepts = has_concepts(run);
  if (!run.has_concepts)
    std::erase_if(run.metrics, [](const auto& item) { return is_of_concepts(item.first); });
  if (fs::is_regular_file(samples, error)) {
    read_sample_lines(samples, [&](RecordedSample sample) { run.samples.push_back(std::move(sample)); });
  }
  return run;
}

std::vector<RecordedRun> read_runs(const std::vector<std::string>& arguments) {
  require_different_folders(arguments);
  std::vector<RecordedRun> runs;
  for (const std::string& argument : arguments) runs.push_back(read_run(argument));
  make_names_unique(runs);
  return runs;
}

}  // namespace dlcm::apps
