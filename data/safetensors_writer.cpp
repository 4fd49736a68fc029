#include <algorithm>
#include <numeric>
#include <string_view>
#include <tuple>

#include "data/atomic_file.h"
#include "data/json_events.h"
#include "data/safetensors_header.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

uint64_t entry_bytes(const SafetensorsEntry& entry) {
  return static_cast<uint64_t>(entry.shape.numel()) * dtype_size(entry.dtype);
}

void sort_entries(std::vector<SafetensorsEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tuple(safetensors_type(b.dtype), std::string_view(a.name)) <
           std::tuple(safetensors_type(a.dtype), std::string_view(b.name));
  });
}

void check_names(const std::string& path, const std::vector<SafetensorsEntry>& entries) {
  std::vector<std::string_view> names;
  for (const SafetensorsEntry& entry : entries) names.emplace_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  DLCM_CHECK(twice == names.end(), "cannot write '", path, "': two tensors are named ", shown_name(*twice));
  DLCM_CHECK(!std::binary_search(names.begin(), names.end(), kMetadataName), "cannot write '", path,
             "': a tensor cannot be named '", kMetadataName, "'");
}

std::string metadata_json(const SafetensorsMetadata& metadata) {
  std::string text = "{";
  for (const auto& [key, value] : metadata) {
    text += concat(text.size() > 1 ? "," : "", json_string(key), ":", json_string(value));
  }
  return text + "}";
}

std::string entry_json(const SafetensorsEntry& entry, uint64_t offset) {
  std::string shape;
  for (const int64_t size : entry.shape.sizes()) shape += concat(shape.empty() ? "" : ",", size);
  return concat(json_string(entry.name), R"(:{"dtype":")", safetensors_name(safetensors_type(entry.dtype)),
                R"(","shape":[)", shape, R"(],"data_offsets":[)", offset, ",", offset + entry_bytes(entry),
                "]}");
}

// Its length and the header itself.
std::string header_text(const std::string& path, const std::vector<SafetensorsEntry>& entries,
                        const SafetensorsMetadata& metadata) {
  std::string json = "{";
  if (!metadata.empty()) json += concat('"', kMetadataName, "\":", metadata_json(metadata));
  uint64_t offset = 0;
  for (const SafetensorsEntry& entry : entries) {
    json += concat(json.size() > 1 ? "," : "", entry_json(entry, offset));
    offset += entry_bytes(entry);
  }
  json += '}';
  json.resize((json.size() + 7) / 8 * 8, ' ');  // so that tensors can be used where a file is mapped
  const uint64_t length = json.size();
  DLCM_CHECK(length <= kSafetensorsMaxHeader, "cannot write '", path, "': its header would have ", length,
             " bytes, allowed are ", kSafetensorsMaxHeader);
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + json;
}

// On the CPU, in the dtype that the file has.
Tensor tensor_of(const std::string& path, const SafetensorsEntry& entry, const SafetensorsSource& source) {
  const Tensor tensor = source(entry.name);
  DLCM_CHECK(tensor.defined(), "cannot write '", path, "': tensor ", shown_name(entry.name), " is undefined");
  const bool convertible = is_floating(tensor.dtype()) && is_floating(entry.dtype);
  DLCM_CHECK(tensor.shape() == entry.shape && (tensor.dtype() == entry.dtype || convertible),
             "cannot write '", path, "': tensor ", shown_name(entry.name), " is ", tensor.shape(), " of ",
             tensor.dtype(), ", announced were ", entry.shape, " of ", entry.dtype);
  return tensor.to(Device::cpu()).to(entry.dtype);
}

}  // namespace

void write_safetensors(const std::string& path, std::vector<SafetensorsEntry> entries,
                       const SafetensorsMetadata& metadata, const SafetensorsSource& source) {
  check_names(path, entries);
  sort_entries(entries);
  const std::string header = header_text(path, entries, metadata);
  AtomicFile file(path);
  file.reserve(std::accumulate(entries.begin(), entries.end(), uint64_t{header.size()},
                               [](uint64_t bytes, const auto& entry) { return bytes + entry_bytes(entry); }));
  file.write(header);
  for (const SafetensorsEntry& entry : entries) {
    const Tensor tensor = tensor_of(path, entry, source);
    file.write({static_cast<const char*>(tensor.raw_data()), tensor.bytes()});
  }
  file.finish();
  file.publish();
}

void write_safetensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       DType floating, const SafetensorsMetadata& metadata) {
  DLCM_CHECK(is_floating(floating), "write_safetensors: floating tensors as ", floating);
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, const Tensor*> by_name;
  for (const auto& [name, tensor] : tensors) {
    entries.push_back({name, is_floating(tensor.dtype()) ? floating : tensor.dtype(), tensor.shape()});
    by_name.emplace(name, &tensor);
  }
  write_safetensors(path, std::move(entries), metadata,
                    [&](const std::string& name) { return *by_name.at(name); });
}

}  // namespace dlcm::data
