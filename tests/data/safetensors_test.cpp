#include "data/safetensors.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include <doctest/doctest.h>

#include "tests/data/safetensors_bytes.h"
#include "tests/data/temporary_folder.h"
#include "tests/paths.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

using Named = std::vector<std::pair<std::string, Tensor>>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::string golden(const std::string& name) {
  return source_folder() + "/tests/goldens/" + name;
}

template <class T>
void check_tensor(const Tensor& found, const Shape& shape, const std::vector<T>& values) {
  REQUIRE(found.dtype() == DTypeOf<T>::value);
  CHECK(found.shape() == shape);
  CHECK(found.to_vector<T>() == values);
}

std::vector<uint16_t> bits_of(const Tensor& tensor) {
  std::vector<uint16_t> bits;
  for (const Bf16 value : tensor.to_vector<Bf16>()) bits.push_back(value.bits);
  return bits;
}

// The same bytes, whatever the dtype.
bool same_bytes(const Tensor& a, const Tensor& b) {
  const auto text = [](const Tensor& tensor) {
    return std::string(static_cast<const char*>(tensor.raw_data()), tensor.bytes());
  };
  return a.dtype() == b.dtype() && a.shape() == b.shape() && text(a) == text(b);
}

// Numbers 0, 1, 2, ... of any dtype.
Tensor counted(const Shape& shape, DType dtype) {
  std::vector<float> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 200);
  return Tensor::from(shape, values).to(dtype);
}

}  // namespace

TEST_CASE("safetensors: a file of the library, tensor by tensor") {
  const SafetensorsReader file(golden("library.safetensors"));
  CHECK(file.tensors().size() == 16);
  CHECK(file.metadata() == SafetensorsMetadata{{"format", "pt"}});
  check_tensor<float>(file.read("model.embed_tokens.weight"), {3, 2}, {-1, -0.75, -0.5, -0.25, 0, 0.25});
  check_tensor<float>(file.read("scalar"), {}, {-7.5});
  check_tensor<float>(file.read("empty"), {2, 0, 3}, {});
  check_tensor<double>(file.read("double"), {3}, {3.141592653589793, -1e300, 5e-324});
  check_tensor<float>(file.read("half"), {6}, {1, -2, 65504, 0x1p-24f, kInfinity, -0.0f});
  check_tensor<uint8_t>(file.read("bytes"), {3}, {0, 127, 255});
  check_tensor<uint16_t>(file.read("u16"), {2}, {0, 65535});
  check_tensor<int32_t>(file.read("i32"), {1, 2}, {std::numeric_limits<int32_t>::min(), 2147483647});
  check_tensor<uint32_t>(file.read("u32"), {2, 1}, {0, 4294967295});
  check_tensor<int64_t>(file.read("i64"), {2},
                        {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()});
  check_tensor<float>(file.read("a \"name\"\twith \\ and \xc3\xa9"), {1}, {1});
  CHECK(bits_of(file.read("brain")) == std::vector<uint16_t>{0, 0x8000, 0x3fc0, 0xff80, 0x7f80, 0x0080});
}

TEST_CASE("safetensors: floating tensors of the library as float32") {
  const SafetensorsReader file(golden("library.safetensors"));
  check_tensor<float>(file.read_f32("scalar"), {}, {-7.5});
  check_tensor<float>(file.read_f32("empty"), {2, 0, 3}, {});
  check_tensor<float>(file.read_f32("double"), {3}, {3.14159274f, -kInfinity, 0});
  check_tensor<float>(file.read_f32("brain"), {2, 3}, {0, -0.0f, 1.5, -kInfinity, kInfinity, 0x1p-126f});
  check_tensor<float>(file.read_f32("half"), {6}, {1, -2, 65504, 0x1p-24f, kInfinity, -0.0f});
  CHECK(std::signbit(file.read_f32("brain").to_vector<float>()[1]));
}

TEST_CASE("safetensors: types without a counterpart are listed, and refused by name when they are read") {
  const std::string path = golden("library.safetensors");
  const SafetensorsReader file(path);
  const std::pair<const char*, const char*> refused[] = {
      {"flags", "BOOL"}, {"signed", "I8"}, {"i16", "I16"}, {"u64", "U64"}};
  for (const auto& [name, type] : refused) {
    CHECK(std::string(safetensors_name(file.info(name).type)) == type);
    CHECK(message_of<InputError>([&, n = name] { file.read(n); }) ==
          concat("'", path, "': tensor '", name, "' is ", type, ", which this program does not read"));
  }
  CHECK(message_of<InputError>([&] { file.read_f32("i32"); }) ==
        "'" + path + "': tensor 'i32' is I32, expected F32, BF16, F16 or F64");
  CHECK(message_of<InputError>([&] { file.read("none"); }) == "'" + path + "' has no tensor 'none'");
}

TEST_CASE("safetensors: all the library's types are listed, those of less than a byte too") {
  const TemporaryFolder folder;
  std::string header = "{";
  int64_t offset = 0;
  for (int i = 0; i <= static_cast<int>(SafetensorsType::u64); ++i) {
    const auto type = static_cast<SafetensorsType>(i);
    const int64_t end = offset + 4 * safetensors_bits(type) / 8;
    header += concat(i ? "," : "", "\"t", i, "\":{\"dtype\":\"", safetensors_name(type),
                     "\",\"shape\":[2,2],\"data_offsets\":[", offset, ",", end, "]}");
    offset = end;
  }
  write_bytes(folder / "x", safetensors_file(header + "}", std::string(static_cast<size_t>(offset), '\0')));
  const SafetensorsReader file(folder / "x");
  CHECK(file.tensors().size() == 22);
  CHECK(file.info("t1").type == SafetensorsType::f4);
  CHECK(file.info("t1").bytes == 2);
  CHECK(file.info("t18").bytes == 32);
  CHECK(contains(message_of<InputError>([&] { file.read("t1"); }), "is F4"));
}

// check_safetensors.py has the library load the file that this leaves.
TEST_CASE("safetensors: written byte for byte as the library writes it") {
  const TemporaryFolder folder;
  const char* kept = std::getenv("DLCM_WRITTEN_SAFETENSORS");
  const std::string path = kept != nullptr ? kept : folder / "written.safetensors";
  const SafetensorsReader library(golden("written.safetensors"));
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, info] : library.tensors()) {
    entries.push_back({name, library.read(name).dtype(), info.shape});
  }
  write_safetensors(path, entries, library.metadata(),
                    [&](const std::string& name) { return library.read(name); });
  CHECK(read_bytes(path) == read_bytes(library.path()));
}

TEST_CASE("safetensors: all dtypes and shapes come back as they were") {
  const TemporaryFolder folder;
  const Shape shapes[] = {{}, {1}, {0}, {5}, {3, 0, 2}, {2, 3, 4}, {1, 1, 1, 1, 7}};
  const DType dtypes[] = {DType::f32, DType::f64, DType::bf16, DType::i32,
                          DType::i64, DType::u8,  DType::u16,  DType::u32};
  Named tensors;
  std::vector<SafetensorsEntry> entries;
  for (const Shape& shape : shapes) {
    for (const DType dtype : dtypes) {
      tensors.emplace_back(concat("t", tensors.size()), counted(shape, dtype));
      entries.push_back({tensors.back().first, dtype, shape});
    }
  }
  const std::string path = folder / "x.safetensors";
  write_safetensors(path, entries, {{"a", "b"}, {"c", ""}},
                    [&](const std::string& name) { return tensors[std::stoul(name.substr(1))].second; });
  const SafetensorsReader file(path);
  CHECK(file.metadata() == SafetensorsMetadata{{"a", "b"}, {"c", ""}});
  REQUIRE(file.tensors().size() == tensors.size());
  for (const auto& [name, tensor] : tensors) CHECK(same_bytes(file.read(name), tensor));
}

TEST_CASE("safetensors: tensors longer than a piece of the conversion") {
  const TemporaryFolder folder;
  const Tensor values = counted({3, 65537}, DType::f32);
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64}) {
    write_safetensors(folder / "x", {{"a", Tensor::zeros({3})}, {"b", values}}, dtype);
    const SafetensorsReader file(folder / "x");
    CHECK(file.read("b").dtype() == dtype);
    CHECK(same_bytes(file.read_f32("b"), values));
  }
}

TEST_CASE("safetensors: floating tensors are written in the dtype that was asked for, others as they are") {
  const TemporaryFolder folder;
  const Named tensors = {{"f", Tensor::from<float>({2}, {1.00390625f, -3})},
                         {"d", Tensor::from<double>({1}, {0.1})},
                         {"i", Tensor::from<int32_t>({1}, {1 << 30})}};
  write_safetensors(folder / "x", tensors, DType::bf16);
  const SafetensorsReader rounded(folder / "x");
  CHECK(rounded.metadata() == kPyTorchMetadata);
  CHECK(rounded.info("f").type == SafetensorsType::bf16);
  check_tensor<float>(rounded.read_f32("f"), {2}, {1, -3});  // a tie goes to the even one
  check_tensor<int32_t>(rounded.read("i"), {1}, {1 << 30});
  write_safetensors(folder / "x", tensors, DType::f32);
  const SafetensorsReader single(folder / "x");
  check_tensor<float>(single.read("f"), {2}, {1.00390625f, -3});
  check_tensor<float>(single.read("d"), {1}, {0.1f});
  CHECK_THROWS_AS(write_safetensors(folder / "x", tensors, DType::i32), Error);
}

TEST_CASE("safetensors: views are written by what they show") {
  const TemporaryFolder folder;
  const Tensor whole = counted({4, 6}, DType::f32);
  write_safetensors(
      folder / "x",
      {{"rows", whole.slice(1, 3)}, {"none", whole.slice(2, 2)}, {"flat", whole.slice(3, 4).view({2, 3})}},
      DType::f32);
  const SafetensorsReader file(folder / "x");
  check_tensor<float>(file.read("rows"), {2, 6}, {6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17});
  check_tensor<float>(file.read("none"), {0, 6}, {});
  check_tensor<float>(file.read("flat"), {2, 3}, {18, 19, 20, 21, 22, 23});
}

TEST_CASE("safetensors: a file without tensors") {
  const TemporaryFolder folder;
  write_safetensors(folder / "x", {}, DType::f32);
  const SafetensorsReader file(folder / "x");
  CHECK(file.tensors().empty());
  CHECK(file.metadata() == kPyTorchMetadata);
  CHECK(std::filesystem::file_size(folder / "x") % 8 == 0);
  write_safetensors(folder / "x", {}, DType::f32, {});
  CHECK(read_bytes(folder / "x") == safetensors_file("{}      ", ""));
  CHECK(SafetensorsReader(folder / "x").metadata().empty());
}

TEST_CASE("safetensors: what cannot be written is an Error and leaves the old file") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  const Tensor one = Tensor::full({1}, 1);
  write_safetensors(path, {{"a", one}}, DType::f32);
  const std::string before = read_bytes(path);
  const auto refused = [&](const Named& tensors, const SafetensorsMetadata& metadata) {
    return message_of<Error>([&] { write_safetensors(path, tensors, DType::f32, metadata); });
  };
  CHECK(refused({{"a", one}, {"b", one}, {"a", one}}, {}) ==
        "cannot write '" + path + "': two tensors are named 'a'");
  CHECK(refused({{"__metadata__", one}}, {}) ==
        "cannot write '" + path + "': a tensor cannot be named '__metadata__'");
  CHECK(contains(refused({{"a\xff", one}}, {}), "is not UTF-8 at byte 1"));
  CHECK(contains(refused({{"a", one}}, {{"a", "\x80"}}), "is not UTF-8 at byte 0"));
  const auto other_source = [&](const Tensor& given) {
    return message_of<Error>([&] {
      write_safetensors(path, {{"a", DType::f32, {1}}}, {}, [&](const std::string&) { return given; });
    });
  };
  CHECK(other_source(Tensor::zeros({2})) ==
        "cannot write '" + path + "': tensor 'a' is [2] of f32, announced were [1] of f32");
  CHECK(contains(other_source(Tensor()), "tensor 'a' is undefined"));
  CHECK(contains(other_source(Tensor::zeros({1}, DType::i32)), "is [1] of i32, announced were [1] of f32"));
  CHECK(read_bytes(path) == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("safetensors: a file that is cut after it was opened") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  write_safetensors(path, {{"a", counted({8}, DType::f32)}}, DType::f32);
  const SafetensorsReader file(path);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  CHECK(contains(message_of<InputError>([&] { file.read("a"); }), "'" + path + "' ends at byte "));
}
