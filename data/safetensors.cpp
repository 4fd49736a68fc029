#include "data/safetensors.h"

#include <algorithm>

#include "data/half.h"
#include "data/json_events.h"
#include "data/safetensors_header.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

struct TypeFacts {
  const char* name;
  int64_t bits;
};
constexpr TypeFacts kTypes[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}};
static_assert(std::size(kTypes) == static_cast<size_t>(SafetensorsType::u64) + 1);

constexpr DType kDTypes[] = {DType::f32, DType::f64, DType::bf16, DType::i32,
                             DType::i64, DType::u8,  DType::u16,  DType::u32};

// Where the bytes of a tensor lie.
struct StoredTensor {
  const PositionedFile& file;
  uint64_t offset;
  const SafetensorsInfo& info;
};

Tensor read_as_stored(const StoredTensor& stored, DType dtype) {
  Tensor tensor = Tensor::empty(stored.info.shape, dtype);
  stored.file.read(stored.offset, tensor.raw_data(), stored.info.bytes);
  return tensor;
}

// A piece at a time, so that the only large memory is the result.
template <class Stored, class Convert>
Tensor read_converted(const StoredTensor& stored, const Convert& convert) {
  constexpr int64_t kPiece = 64 << 10;  // elements
  const Tensor tensor = Tensor::empty(stored.info.shape, DType::f32);
  auto* out = tensor.data<float>();
  std::vector<Stored> piece(static_cast<size_t>(std::min(tensor.numel(), kPiece)));
  for (int64_t first = 0; first < tensor.numel(); first += kPiece) {
    const int64_t count = std::min(kPiece, tensor.numel() - first);
    stored.file.read(stored.offset + static_cast<uint64_t>(first) * sizeof(Stored), piece.data(),
                     static_cast<size_t>(count) * sizeof(Stored));
    std::transform(piece.data(), piece.data() + count, out + first, convert);
  }
  return tensor;
}

}  // namespace

const char* safetensors_name(SafetensorsType type) {
  return kTypes[static_cast<size_t>(type)].name;
}

int64_t safetensors_bits(SafetensorsType type) {
  return kTypes[static_cast<size_t>(type)].bits;
}

SafetensorsType safetensors_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return SafetensorsType::f32;
    case DType::f64:
      return SafetensorsType::f64;
    case DType::bf16:
      return SafetensorsType::bf16;
    case DType::i32:
      return SafetensorsType::i32;
    case DType::i64:
      return SafetensorsType::i64;
    case DType::u8:
      return SafetensorsType::u8;
    case DType::u16:
      return SafetensorsType::u16;
    case DType::u32:
      return SafetensorsType::u32;
  }
  throw Error("safetensors_type: not a dtype");
}

SafetensorsReader::SafetensorsReader(const std::string& path)
    : file_(path), header_(read_safetensors_header(file_)) {}

const SafetensorsInfo& SafetensorsReader::info(const std::string& name) const {
  const auto found = header_.tensors.find(name);
  DLCM_CHECK_INPUT(found != header_.tensors.end(), "'", path(), "' has no tensor ", shown_name(name));
  return found->second;
}

Tensor SafetensorsReader::read(const std::string& name) const {
  const SafetensorsInfo& info = this->info(name);
  if (info.type == SafetensorsType::f16) return read_f32(name);
  const auto* dtype = std::find_if(std::begin(kDTypes), std::end(kDTypes),
                                   [&](DType candidate) { return safetensors_type(candidate) == info.type; });
  DLCM_CHECK_INPUT(dtype != std::end(kDTypes), "'", path(), "': tensor ", shown_name(name), " is ",
                   safetensors_name(info.type), ", which this program does not read");
  return read_as_stored({file_, header_.data_offset + info.offset, info}, *dtype);
}

Tensor SafetensorsReader::read_f32(const std::string& name) const {
  const SafetensorsInfo& info = this->info(name);
  const StoredTensor stored{file_, header_.data_offset + info.offset, info};
  switch (info.type) {
    case SafetensorsType::f32:
      return read_as_stored(stored, DType::f32);
    case SafetensorsType::bf16:
      return read_converted<Bf16>(stored, [](Bf16 value) { return static_cast<float>(value); });
    case SafetensorsType::f16:
      return read_converted<uint16_t>(stored, float_of_half);
    case SafetensorsType::f64:
      return read_converted<double>(stored, [](double value) { return static_cast<float>(value); });
    default:
      break;
  }
  throw InputError(concat("'", path(), "': tensor ", shown_name(name), " is ", safetensors_name(info.type),
                          ", expected F32, BF16, F16 or F64"));
}

}  // namespace dlcm::data
