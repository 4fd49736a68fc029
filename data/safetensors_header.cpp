#include "data/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <tuple>

#include "data/json_events.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr uint64_t kLengthBytes = sizeof(uint64_t);
constexpr size_t kMostNumbers = 32;  // dimensions: no library takes more
constexpr uint64_t kMaxOffset = std::numeric_limits<int64_t>::max();

std::optional<SafetensorsType> type_named(const std::string& name) {
  for (uint8_t i = 0; i <= static_cast<uint8_t>(SafetensorsType::u64); ++i) {
    const auto type = static_cast<SafetensorsType>(i);
    if (name == safetensors_name(type)) return type;
  }
  return std::nullopt;
}

// What the header says of one tensor, until its fields are complete.
struct TensorFields {
  std::optional<SafetensorsType> type;
  std::optional<std::vector<uint64_t>> shape, offsets;
};

// Builds the header from JSON. A tensor is checked as soon as it is complete, its place among the others
// later.
class HeaderHandler final : public JsonHandler {
 public:
  HeaderHandler(const std::string& path, SafetensorsHeader& header) : path_(path), header_(header) {}

  void object_begins() override;
  void object_ends() override;
  void array_begins() override;
  void array_ends() override { level_ = Level::tensor; }
  void key(const std::string& name) override;
  void text(const std::string& value) override;
  void whole_number(uint64_t value) override;
  void other(const char* kind) override { unexpected(kind); }

 private:
  enum class Level : uint8_t { outside, header, metadata, tensor, numbers };

  [[noreturn]] void unexpected(const char* found) const;
  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw InputError(concat("'", path_, "': ", parts...));
  }
  std::string tensor_place() const { return concat("tensor ", shown_name(name_)); }
  void begin_field(const std::string& field);
  void add_tensor();
  Shape checked_shape() const;
  uint64_t shape_bytes(const Shape& shape) const;

  const std::string& path_;
  SafetensorsHeader& header_;
  Level level_ = Level::outside;
  bool has_metadata_ = false;
  std::string name_;   // of the tensor, or kMetadataName
  std::string field_;  // of the tensor or the metadata
  TensorFields fields_;
};

void HeaderHandler::unexpected(const char* found) const {
  switch (level_) {
    case Level::outside:
      fail("the header is ", found, ", expected an object");
    case Level::header:
      fail(name_ == kMetadataName ? concat("'", name_, "'") : tensor_place(), " is ", found,
           ", expected an object");
    case Level::metadata:
      fail("'", kMetadataName, "' has ", found, " at ", shown_name(field_), ", expected a string");
    case Level::tensor:
      fail(tensor_place(), ": field '", field_, "' is ", found, ", expected ",
           field_ == "dtype" ? "a string" : "an array of whole numbers");
    case Level::numbers:
      break;
  }
  fail(tensor_place(), ": field '", field_, "' holds ", found, ", expected whole numbers");
}

void HeaderHandler::object_begins() {
  if (level_ == Level::outside) {
    level_ = Level::header;
  } else if (level_ == Level::header) {
    level_ = name_ == kMetadataName ? Level::metadata : Level::tensor;
    fields_ = {};
  } else {
    unexpected("an object");
  }
}

void HeaderHandler::object_ends() {
  if (level_ == Level::tensor) add_tensor();
  level_ = level_ == Level::header ? Level::outside : Level::header;
}

void HeaderHandler::array_begins() {
  if (level_ != Level::tensor || field_ == "dtype") unexpected("an array");
  (field_ == "shape" ? fields_.shape : fields_.offsets).emplace();
  level_ = Level::numbers;
}

void HeaderHandler::key(const std::string& name) {
  if (level_ == Level::tensor) return begin_field(name);
  if (level_ == Level::metadata) {
    field_ = name;
    if (header_.metadata.contains(name)) fail("'", kMetadataName, "' has ", shown_name(name), " twice");
    return;
  }
  name_ = name;
  if (name == kMetadataName) {
    if (std::exchange(has_metadata_, true)) fail("'", kMetadataName, "' occurs twice");
  } else if (header_.tensors.contains(name)) {
    fail(tensor_place(), " occurs twice");
  }
}

void HeaderHandler::begin_field(const std::string& field) {
  field_ = field;
  const bool is_dtype = field == "dtype";
  const bool is_shape = field == "shape";
  if (!is_dtype && !is_shape && field != "data_offsets") {
    fail(tensor_place(), " has a field ", shown_name(field),
         ", expected 'dtype', 'shape' and 'data_offsets'");
  }
  const bool seen = is_dtype   ? fields_.type.has_value()
                    : is_shape ? fields_.shape.has_value()
                               : fields_.offsets.has_value();
  if (seen) fail(tensor_place(), " has the field '", field, "' twice");
}

void HeaderHandler::text(const std::string& value) {
  if (level_ == Level::metadata) {
    header_.metadata.emplace(field_, value);
  } else if (level_ == Level::tensor && field_ == "dtype") {
    fields_.type = type_named(value);
    if (!fields_.type) fail(tensor_place(), " has the unknown dtype ", shown_name(value));
  } else {
    unexpected("a string");
  }
}

void HeaderHandler::whole_number(uint64_t value) {
  if (level_ != Level::numbers) unexpected("a number");
  if (value > kMaxOffset)
    fail(tensor_place(), ": field '", field_, "' holds ", value, ", which is too large");
  std::vector<uint64_t>& numbers = field_ == "shape" ? *fields_.shape : *fields_.offsets;
  if (numbers.size() == kMostNumbers)
    fail(tensor_place(), ": field '", field_, "' has more than ", kMostNumbers, " numbers");
  numbers.push_back(value);
}

// As the library does, the product is formed from the left: [0, 2^40, 2^40] has no elements, [2^40, 2^40, 0]
// overflows.
Shape HeaderHandler::checked_shape() const {
  int64_t elements = 1;
  for (const uint64_t size : *fields_.shape) {
    if (__builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements)) {
      fail(tensor_place(), ": the number of elements overflows");
    }
  }
  return Shape(std::vector<int64_t>(fields_.shape->begin(), fields_.shape->end()));
}

uint64_t HeaderHandler::shape_bytes(const Shape& shape) const {
  int64_t bits = 0;
  if (__builtin_mul_overflow(shape.numel(), safetensors_bits(*fields_.type), &bits)) {
    fail(tensor_place(), ": the number of bytes overflows");
  }
  if (bits % 8 != 0) fail(tensor_place(), " has ", bits, " bits, expected whole bytes");
  return static_cast<uint64_t>(bits / 8);
}

void HeaderHandler::add_tensor() {
  const char* missing = !fields_.type ? "dtype" : !fields_.shape ? "shape" : "data_offsets";
  if (!fields_.type || !fields_.shape || !fields_.offsets) {
    fail(tensor_place(), " has no field '", missing, "'");
  }
  const std::vector<uint64_t>& offsets = *fields_.offsets;
  if (offsets.size() != 2) {
    fail(tensor_place(), ": field 'data_offsets' has ", offsets.size(), " numbers, expected 2");
  }
  if (offsets[1] < offsets[0])
    fail(tensor_place(), " ends at ", offsets[1], ", before it begins at ", offsets[0]);
  SafetensorsInfo info;
  info.type = *fields_.type;
  info.shape = checked_shape();
  info.offset = offsets[0];
  info.bytes = offsets[1] - offsets[0];
  const uint64_t expected = shape_bytes(info.shape);
  if (info.bytes != expected) {
    fail(tensor_place(), " has ", info.bytes, " bytes, expected ", expected, ": its shape has ",
         info.shape.numel(), " elements of ", safetensors_name(info.type));
  }
  header_.tensors.emplace(name_, std::move(info));
}

// The tensors must cover the `available` bytes behind the header, each once.
void check_places(const std::string& path, const SafetensorsHeader& header, uint64_t available) {
  using Place =
      std::tuple<uint64_t, uint64_t, const std::string*>;  // an empty tensor before one that begins there
  std::vector<Place> places;
  places.reserve(header.tensors.size());
  for (const auto& [name, info] : header.tensors) places.emplace_back(info.offset, info.bytes, &name);
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  uint64_t end = 0;
  for (const auto& [offset, bytes, name] : places) {
    const auto place = [&, name = name] { return concat("'", path, "': tensor ", shown_name(*name)); };
    DLCM_CHECK_INPUT(offset == end, place(), " begins at ", offset, ", expected ", end, ": ",
                     offset < end ? "it overlaps another" : "there is a hole before it");
    end = offset + bytes;
    DLCM_CHECK_INPUT(end <= available, place(), " ends at ", end, ", but the file has only ", available,
                     " bytes behind its header: it was cut, copy it again");
  }
  DLCM_CHECK_INPUT(end == available, "'", path, "': ", available - end,
                   " bytes behind the last tensor belong to none");
}

uint64_t header_bytes(const PositionedFile& file) {
  const std::string place = concat("'", file.path(), "'");
  DLCM_CHECK_INPUT(file.bytes() >= kLengthBytes, place, " has ", file.bytes(),
                   " bytes, expected a safetensors file: 8 bytes of header length first");
  uint64_t length = 0;
  file.read(0, &length, sizeof(length));
  DLCM_CHECK_INPUT(length <= kSafetensorsMaxHeader, place, ": the header has ", length,
                   " bytes, expected at most ", kSafetensorsMaxHeader, ": is it a safetensors file?");
  DLCM_CHECK_INPUT(length <= file.bytes() - kLengthBytes, place, ": the header has ", length,
                   " bytes, but only ", file.bytes() - kLengthBytes, " follow: it was cut, copy it again");
  return length;
}

}  // namespace

SafetensorsHeader read_safetensors_header(const PositionedFile& file) {
  const uint64_t length = header_bytes(file);
  const std::string text = file.text(kLengthBytes, length);
  DLCM_CHECK_INPUT(text.starts_with('{'), "'", file.path(), "': the header does not begin with '{'");
  SafetensorsHeader header;
  header.data_offset = kLengthBytes + length;
  HeaderHandler handler(file.path(), header);
  read_json(text, concat("'", file.path(), "': the header"), handler);
  check_places(file.path(), header, file.bytes() - header.data_offset);
  return header;
}

}  // namespace dlcm::data
