#include "apps/inspect/describe.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iomanip>
#include <sstream>

#include "apps/common/loaded_model.h"
#include "apps/hugging_face/names.h"
#include "data/checkpoint.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kShownDocuments = 3;
constexpr int64_t kShownTokens = 160;
constexpr size_t kShownBytes = 80;
constexpr size_t kShownConfigLines = 12;

std::string size_text(int64_t bytes) {
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  std::ostringstream text;
  text << std::setprecision(unit == 0 ? 15 : 4) << value << " " << units[unit];
  return text.str();
}

std::string shape_text(const std::vector<int64_t>& sizes) {
  return Shape(sizes).to_string();
}

// One line: control characters and broken characters escaped.
std::string printable(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const size_t valid = data::first_invalid_utf8(text);
    for (const char c : text.substr(0, valid)) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        line += "\\n";
      } else if (byte < 0x20 || byte == 0x7f) {
        line += ' ';
      } else {
        line += c;
      }
    }
    if (valid < text.size()) line += "\xEF\xBF\xBD";
    text.remove_prefix(std::min(text.size(), valid + 1));
  }
  return line;
}

void print_datasets(std::ostream& out, const data::Hdf5Reader& file) {
  for (const std::string& name : file.datasets()) {
    const data::DatasetInfo info = file.info(name);
    out << "  " << std::left << std::setw(14) << name << " " << std::setw(8) << data::element_name(info.type)
        << " " << std::setw(14) << shape_text(info.sizes) << " " << size_text(info.stored_bytes)
        << (info.checksummed ? "" : ", no checksum") << "\n";
  }
}

// The ids themselves without a tokenizer.
std::string text_of(const std::vector<int32_t>& ids, const data::Tokenizer* tokenizer) {
  std::string text;
  for (const int32_t id : ids) {
    if (tokenizer != nullptr) {
      text += tokenizer->decode(id);
    } else {
      text += concat(text.empty() ? "" : " ", id);
    }
  }
  return text;
}

void print_documents(std::ostream& out, const data::ShardReader& shard, const std::string& path) {
  const auto tokenizer =
      data::find_tokenizer(shard.header().tokenizer, shard.header().vocab_size, data::tokenizer_places(path));
  if (tokenizer == nullptr) out << "  no text, as its tokenizer.json does not lie beside it: ids\n";
  for (int64_t i = 0; i < std::min(kShownDocuments, shard.documents()); ++i) {
    const int64_t shown = std::min(kShownTokens, shard.document_tokens(i));
    const std::string text = text_of(shard.read(i, 0, shown), tokenizer.get());
    const std::string_view prefix = data::utf8_prefix(text, kShownBytes);
    const bool whole = prefix.size() == text.size() && shown == shard.document_tokens(i);
    out << "  document " << i << " (" << shard.document_tokens(i) << " tokens): " << printable(prefix)
        << (whole ? "" : " ...") << "\n";
  }
}

void describe_shard(std::ostream& out, const data::Hdf5Reader& file) {
  const data::ShardReader shard(file.path());
  shard.verify();
  const data::ShardHeader& header = shard.header();
  int64_t bytes = 0, longest = 0;
  for (int64_t i = 0; i < shard.documents(); ++i) {
    bytes += shard.document_bytes(i);
    longest = std::max(longest, shard.document_tokens(i));
  }
  out << "token shard: " << shard.documents() << " documents, " << shard.tokens() << " tokens, " << bytes
      << " bytes of text\n";
  out << "  vocab_size " << header.vocab_size << ", tokenizer " << header.tokenizer << "\n";
  out << "  source " << printable(header.source) << "\n";
  if (shard.documents() > 0) {
    out << "  tokens per document: "
        << static_cast<double>(shard.tokens()) / static_cast<double>(shard.documents()) << " on average, "
        << longest
        << " at most; bytes per token: " << static_cast<double>(bytes) / static_cast<double>(shard.tokens())
        << "\n";
  }
  print_datasets(out, file);
  print_documents(out, shard, file.path());
}

void print_config(std::ostream& out, const std::string& config) {
  std::istringstream lines(config);
  std::string line;
  size_t count = 0;
  while (std::getline(lines, line)) {
    if (++count <= kShownConfigLines) out << "    " << printable(line) << "\n";
  }
  if (count > kShownConfigLines) out << "    ... " << count - kShownConfigLines << " more lines\n";
}

void print_parameter(std::ostream& out, const std::string& name, const Tensor& values) {
  double squares = 0;
  int64_t unusable = 0;
  for (int64_t i = 0; i < values.numel(); ++i) {
    const double value = values.data<float>()[i];
    if (!std::isfinite(value)) ++unusable;
    squares += value * value;
  }
  const double count = std::max<double>(1, static_cast<double>(values.numel()));
  out << "  " << std::left << std::setw(44) << name << " " << std::setw(16) << values.shape().to_string()
      << " rms " << std::sqrt(squares / count);
  if (unusable > 0) out << ", " << unusable << " values are not finite";
  out << "\n";
}

void describe_checkpoint(std::ostream& out, const data::Hdf5Reader& file) {
  const data::CheckpointReader checkpoint(file.path());
  const data::CheckpointHeader& header = checkpoint.header();
  int64_t parameters = 0;
  for (const auto& [name, shape] : checkpoint.parameters()) parameters += shape.numel();
  out << "checkpoint: step " << header.step << ", tokens_seen " << header.tokens_seen << ", " << parameters
      << " parameters in " << checkpoint.parameters().size() << " tensors, seed " << header.seed << "\n";
  out << "  optimizer moments: " << (checkpoint.has_optimizer() ? "yes" : "no") << "\n";
  for (const auto& [name, value] : header.extra) {
    out << "  " << name << " " << printable(data::utf8_prefix(value, kShownBytes)) << "\n";
  }
  out << "  config:\n";
  print_config(out, header.config);
  for (const auto& [name, shape] : checkpoint.parameters()) {
    const Tensor values = Tensor::empty(shape);
    checkpoint.read_parameter(name, values);
    print_parameter(out, name, values);
  }
  for (const std::string& name : file.datasets()) file.verify(name);
}

}  // namespace

void describe_folder(std::ostream& out, const std::string& folder) {
  const LoadedModel loaded = load_model(folder);                     // which checks every tensor
  if (!loaded.folder->tokenizer_file.empty()) tokenizer_of(loaded);  // and this what text needs
  const std::vector<nn::Parameter*> parameters = loaded.model->parameters();
  int64_t count = 0;
  for (const nn::Parameter* parameter : parameters) count += parameter->shape().numel();
  const bool is_dlcm = loaded.config.model.kind == ModelKind::dlcm;
  out << folder << ": model folder: " << (is_dlcm ? kDlcmArchitecture : kQwen3Architecture) << ", " << count
      << " parameters in " << parameters.size() << " tensors\n";
  out << "  tokenizer " << (loaded.tokenizer.empty() ? "none" : loaded.tokenizer) << "; texts end with";
  for (const int32_t id : loaded.folder->ends) out << " " << id;
  out << (loaded.folder->ends.empty() ? " nothing" : "") << "\n  config:\n";
  print_config(out, to_toml(loaded.config));
  for (const nn::Parameter* parameter : parameters)
    print_parameter(out, parameter->path(), parameter->value());
}

void describe_file(std::ostream& out, const std::string& path, const std::string& name) {
  const data::Hdf5Reader file(path);
  const std::string format = file.has_attribute("format") ? file.text_attribute("format") : "";
  out << name << ": " << size_text(static_cast<int64_t>(std::filesystem::file_size(path))) << ", ";
  if (format == data::kShardFormat) {
    describe_shard(out, file);
  } else if (format == data::kCheckpointFormat) {
    describe_checkpoint(out, file);
  } else {
    throw InputError(concat("'", path, "': attribute 'format' is '", format, "', expected '",
                            data::kShardFormat, "' or '", data::kCheckpointFormat, "'"));
  }
  out << (file.sealed()
              ? "  whole: its checksum is right\n"
              : "  readable, but it has no seal: only what carries a checksum of HDF5 was checked\n");
}

}  // namespace dlcm::apps
