#include "data/checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>

#include "data/atomic_file.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr char kModel[] = "/model/";
constexpr char kOptimizer[] = "/optimizer/";
const char* const kHeaderNames[] = {"format",      "version",       "config", "step",
                                    "tokens_seen", "loader_cursor", "seed"};

bool is_header_name(const std::string& name) {
  return std::find(std::begin(kHeaderNames), std::end(kHeaderNames), name) != std::end(kHeaderNames);
}

void require_matching_moments(const Checkpoint& checkpoint) {
  for (const NamedTensors* moments : {&checkpoint.moment_m, &checkpoint.moment_v}) {
    if (checkpoint.moment_m.empty() && checkpoint.moment_v.empty()) return;
    DLCM_CHECK(moments->size() == checkpoint.model.size(), "checkpoint: ", moments->size(), " moments for ",
               checkpoint.model.size(), " parameters");
    std::map<std::string, Shape> shapes;
    for (const auto& [name, tensor] : *moments) shapes.emplace(name, tensor.shape());
    for (const auto& [name, tensor] : checkpoint.model) {
      const auto found = shapes.find(name);
      DLCM_CHECK(found != shapes.end() && found->second == tensor.shape(), "checkpoint: parameter '", name,
                 "' has no moment of shape ", tensor.shape());
    }
  }
}

// All datasets to write: name in the file and values.
std::vector<std::pair<std::string, const Tensor*>> all_datasets(const Checkpoint& checkpoint) {
  std::vector<std::pair<std::string, const Tensor*>> all;
  for (const auto& [name, tensor] : checkpoint.model) all.emplace_back(kModel + name, &tensor);
  for (const auto& [name, tensor] : checkpoint.moment_m) all.emplace_back(kOptimizer + name + "/m", &tensor);
  for (const auto& [name, tensor] : checkpoint.moment_v) all.emplace_back(kOptimizer + name + "/v", &tensor);
  return all;
}

// A scalar parameter is stored with one dimension: datasets of rank 0 cannot be chunked.
std::vector<int64_t> stored_sizes(const Tensor& tensor) {
  return tensor.rank() == 0 ? std::vector<int64_t>{1} : tensor.shape().sizes();
}

void write_header(Hdf5Writer& writer, const CheckpointHeader& header) {
  writer.attribute("format", std::string(kCheckpointFormat));
  writer.attribute("version", kCheckpointVersion);
  writer.attribute("config", header.config);
  writer.attribute("step", header.step);
  writer.attribute("tokens_seen", header.tokens_seen);
  writer.attribute("loader_cursor", header.loader_cursor);
  writer.attribute("seed", header.seed);
  for (const auto& [name, value] : header.extra) {
    DLCM_CHECK(!is_header_name(name), "checkpoint: '", name, "' is not a name for a further attribute");
    writer.attribute(name, value);
  }
}

CheckpointHeader read_header(const Hdf5Reader& file) {
  file.require_format("a checkpoint", kCheckpointFormat, kCheckpointVersion);
  CheckpointHeader header;
  header.config = file.text_attribute("config");
  header.step = file.integer_attribute("step");
  header.tokens_seen = file.integer_attribute("tokens_seen");
  DLCM_CHECK_INPUT(header.step >= 0 && header.tokens_seen >= 0, "'", file.path(),
                   "': attributes 'step' = ", header.step, " and 'tokens_seen' = ", header.tokens_seen,
                   " must not be negative");
  header.loader_cursor = file.integers_attribute("loader_cursor");
  header.seed = file.integer_attribute("seed");
  for (const std::string& name : file.attribute_names()) {
    if (!is_header_name(name) && file.is_text_attribute(name)) header.extra[name] = file.text_attribute(name);
  }
  return header;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 4; ++i) text += concat(i == 0 ? "" : ", ", names[i]);
  return names.size() > 4 ? concat(text, " and ", names.size() - 4, " more") : text;
}

std::string step_name(int64_t step) {
  char name[40];
  std::snprintf(name, sizeof(name), "step-%08lld.h5", static_cast<long long>(step));
  return name;
}

}  // namespace

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  require_matching_moments(checkpoint);
  const auto datasets = all_datasets(checkpoint);
  Hdf5Writer writer(path);
  write_header(writer, checkpoint.header);
  for (const auto& [name, tensor] : datasets) {
    DLCM_CHECK(tensor->defined() && tensor->dtype() == DType::f32, "checkpoint: '", name,
               "' is not a float32 tensor");
    writer.plan(name, ElementType::f32, stored_sizes(*tensor));
  }
  writer.reserve_planned();
  for (const auto& [name, tensor] : datasets) {
    const Tensor host = tensor->to(Device::cpu());
    writer.dataset(name, stored_sizes(host), host.data<float>());
  }
  writer.finish();
  writer.publish();
}

CheckpointReader::CheckpointReader(const std::string& path) : file_(path), header_(read_header(file_)) {
  for (const std::string& dataset : file_.datasets()) {
    if (dataset.starts_with(kOptimizer)) has_optimizer_ = true;
    if (!dataset.starts_with(kModel)) continue;
    const DatasetInfo info = file_.info(dataset);
    DLCM_CHECK_INPUT(info.type == ElementType::f32, "'", path, "': dataset '", dataset, "' holds ",
                     element_name(info.type), ", expected float32");
    parameters_.emplace_back(dataset.substr(sizeof(kModel) - 1), Shape(info.sizes));
  }
  DLCM_CHECK_INPUT(!parameters_.empty(), "'", path, "' holds no parameters: it has no datasets in '/model'");
}

void CheckpointReader::read_into(const std::string& dataset, const Tensor& destination) const {
  DLCM_CHECK(destination.dtype() == DType::f32, "checkpoint: '", dataset, "' is read into ",
             destination.dtype());
  DLCM_CHECK_INPUT(file_.has_dataset(dataset), "'", path(), "' has no dataset '", dataset, "'");
  const DatasetInfo info = file_.info(dataset);
  DLCM_CHECK_INPUT(info.type == ElementType::f32, "'", path(), "': dataset '", dataset, "' holds ",
                   element_name(info.type), ", expected float32");
  DLCM_CHECK_INPUT(info.sizes == stored_sizes(destination), "'", path(), "': dataset '", dataset,
                   "' has shape ", Shape(info.sizes), ", expected ", destination.shape());
  if (destination.device().is_cpu()) {
    file_.read(dataset, destination.data<float>());
    return;
  }
  const Tensor host = Tensor::empty(destination.shape());
  file_.read(dataset, host.data<float>());
  destination.copy_from(host);
}

void CheckpointReader::read_parameter(const std::string& name, const Tensor& destination) const {
  read_into(kModel + name, destination);
}

void CheckpointReader::read_moments(const std::string& name, const Tensor& m, const Tensor& v) const {
  read_into(kOptimizer + name + "/m", m);
  read_into(kOptimizer + name + "/v", v);
}

void CheckpointReader::require_parameters(const std::vector<std::string>& names) const {
  std::set<std::string> expected(names.begin(), names.end());
  std::vector<std::string> unknown;
  for (const auto& [name, shape] : parameters_) {
    if (expected.erase(name) == 0) unknown.push_back(name);
  }
  const std::vector<std::string> missing(expected.begin(), expected.end());
  DLCM_CHECK_INPUT(missing.empty() && unknown.empty(), "'", path(), "' is not a checkpoint of this model:",
                   missing.empty() ? "" : concat(" missing ", join(missing), ";"),
                   unknown.empty() ? "" : concat(" unknown ", join(unknown), ";"),
                   " give the configuration that it was trained with");
}

Checkpoint read_checkpoint(const std::string& path, CheckpointPart part) {
  const CheckpointReader reader(path);
  const bool everything = part == CheckpointPart::everything;
  DLCM_CHECK_INPUT(!everything || reader.has_optimizer(), "'", path,
                   "' holds no optimizer moments: it has no datasets in '/optimizer'");
  Checkpoint checkpoint;
  checkpoint.header = reader.header();
  for (const auto& [name, shape] : reader.parameters()) {
    checkpoint.model.emplace_back(name, Tensor::empty(shape));
    reader.read_parameter(name, checkpoint.model.back().second);
    if (!everything) continue;
    checkpoint.moment_m.emplace_back(name, Tensor::empty(shape));
    checkpoint.moment_v.emplace_back(name, Tensor::empty(shape));
    reader.read_moments(name, checkpoint.moment_m.back().second, checkpoint.moment_v.back().second);
  }
  return checkpoint;
}

std::string checkpoint_path(const std::string& run_folder, int64_t step) {
  return (fs::path(run_folder) / "checkpoints" / step_name(step)).string();
}

int64_t step_of_checkpoint(const std::string& path) {
  const std::string name = fs::path(path).filename().string();
  long long step = -1;
  int length = 0;
  const bool read = std::sscanf(name.c_str(), "step-%lld.h5%n", &step, &length) == 1;
  return read && step >= 0 && static_cast<size_t>(length) == name.size() ? step : -1;
}

void link_latest_checkpoint(const std::string& run_folder, int64_t step) {
  replace_link((fs::path(run_folder) / "checkpoints" / "latest.h5").string(), step_name(step));
}

std::string newest_checkpoint(const std::string& file_or_run_folder) {
  std::error_code error;
  const fs::path path(file_or_run_folder);
  DLCM_CHECK_INPUT(fs::exists(path, error), "there is no file or folder '", file_or_run_folder, "'");
  if (!fs::is_directory(path, error)) return file_or_run_folder;
  const fs::path folder = path / "checkpoints";
  DLCM_CHECK_INPUT(fs::is_directory(folder, error), "'", file_or_run_folder,
                   "' is not the folder of a run (train --output): it has no folder 'checkpoints'");
  const fs::path latest = folder / "latest.h5";
  DLCM_CHECK_INPUT(fs::symlink_status(latest, error).type() != fs::file_type::not_found, "'", folder.string(),
                   "' has no 'latest.h5': the run has not written a checkpoint yet");
  DLCM_CHECK_INPUT(fs::exists(latest, error), "'", latest.string(), "' names '",
                   fs::read_symlink(latest, error).string(),
                   "', which is missing: bring it back, or name another checkpoint in that folder");
  return latest.string();
}

}  // namespace dlcm::data
