// Files of tensors in the safetensors format (github.com/huggingface/safetensors), as Hugging Face's models
// are published in: 8 bytes with the length of the header (little-endian), the header, the tensors' bytes.
// The header is JSON,
//   {"__metadata__": {"format": "pt"}, "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
// of at most 100,000,000 bytes, beginning with '{', perhaps with spaces behind it. Offsets count from the end
// of the header; the tensors cover all bytes that follow it, without holes or overlap. Elements are
// little-endian, row-major. Folders with several such files: data/safetensors_model.h.
#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/positioned_file.h"
#include "tensor/tensor.h"

namespace dlcm::data {

static_assert(std::endian::native == std::endian::little,
              "elements are read and written as they lie in memory");

inline constexpr uint64_t kSafetensorsMaxHeader = 100'000'000;  // bytes

// In the order of the format's own library, which stores the last ones first.
enum class SafetensorsType : uint8_t {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};
const char* safetensors_name(SafetensorsType type);  // "BOOL", "F8_E5M2", "BF16", ...
int64_t safetensors_bits(SafetensorsType type);      // of one element
SafetensorsType safetensors_type(DType dtype);       // the one that holds the same values

struct SafetensorsInfo {
  SafetensorsType type = SafetensorsType::f32;
  Shape shape;
  uint64_t offset = 0;  // of the first byte, from the end of the header
  uint64_t bytes = 0;
};

using SafetensorsMetadata = std::map<std::string, std::string>;

struct SafetensorsHeader {
  std::map<std::string, SafetensorsInfo> tensors;  // by name
  SafetensorsMetadata metadata;
  uint64_t data_offset = 0;  // of the first tensor's bytes in the file
};

// Opening reads and checks the header and no tensor, so memory does not depend on the file's size. Any number
// of threads may read at a time. What is wrong with a file is an InputError of one line that names the file
// and, where it is one tensor, the tensor. Refused beside what the format forbids: fields of a tensor that it
// does not know.
class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const std::map<std::string, SafetensorsInfo>& tensors() const { return header_.tensors; }
  const SafetensorsMetadata& metadata() const { return header_.metadata; }
  // Throws InputError where the file has no such tensor.
  const SafetensorsInfo& info(const std::string& name) const;

  // A tensor on the CPU, with the type that it has in the file, F16 as float32. Of U8, U16, F16, BF16, I32,
  // U32, F32, F64 and I64; others have no counterpart: InputError.
  Tensor read(const std::string& name) const;
  // The same as float32: of F32, BF16 and F16 the same values, of F64 the nearest. Others: InputError.
  Tensor read_f32(const std::string& name) const;

 private:
  PositionedFile file_;
  SafetensorsHeader header_;
};

// A tensor that is to be written.
struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
};
// Called once for each entry, in the order of the file: its tensor, on any device, of that shape and of that
// dtype; where both are floating it may be another, and is converted (to bf16: rounded to nearest).
using SafetensorsSource = std::function<Tensor(const std::string& name)>;

// What Hugging Face's loaders ask for.
inline const SafetensorsMetadata kPyTorchMetadata = {{"format", "pt"}};

// Writes the file atomically (data/atomic_file.h), one tensor after the other, byte for byte as the format's
// own library does: ordered by type, the last in SafetensorsType first, then by name; a header filled with
// spaces to a multiple of 8 bytes. (Metadata of several keys, which the library has in any order, is sorted.)
// Throws Error: also for names that are not UTF-8, occur twice or are "__metadata__", and for a source that
// gives something else.
void write_safetensors(const std::string& path, std::vector<SafetensorsEntry> entries,
                       const SafetensorsMetadata& metadata, const SafetensorsSource& source);

// Likewise of tensors at hand. Floating ones become `floating`, others stay what they are.
void write_safetensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                       DType floating, const SafetensorsMetadata& metadata = kPyTorchMetadata);

}  // namespace dlcm::data
