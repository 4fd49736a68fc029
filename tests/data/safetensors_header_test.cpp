#include "data/safetensors_header.h"

#include <limits>

#include <doctest/doctest.h>

#include "tensor/random.h"
#include "tests/data/safetensors_bytes.h"
#include "tests/data/temporary_folder.h"
#include "tests/paths.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

// A file that is written over may be flushed to the disk as it is closed, which takes milliseconds: a new one
// is not.
void write_anew(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);
  write_bytes(path, bytes);
}

// What opening a file of these bytes says, without the path; the message must be one line that names it.
std::string refusal(const std::string& bytes) {
  static const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  write_anew(path, bytes);
  const std::string message = message_of<InputError>([&] { const SafetensorsReader file(path); });
  const std::string start = "'" + path + "'";
  if (message == "no exception") return message;
  CHECK(message.starts_with(start));
  CHECK(message.find('\n') == std::string::npos);
  CHECK(message.size() < 600);
  return message.starts_with(start) ? message.substr(start.size()) : message;
}

// Of this header, with 8 bytes of tensors.
std::string header_refusal(const std::string& header) {
  return refusal(safetensors_file(header, std::string(8, '\0')));
}

// Of one tensor with these fields.
std::string fields_refusal(const std::string& fields) {
  return header_refusal(R"({"a":{)" + fields + "}}");
}

std::string shape_refusal(const std::string& shape) {
  return fields_refusal(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,8])");
}

std::string offsets_refusal(const std::string& offsets) {
  return fields_refusal(R"("dtype":"F32","shape":[2],"data_offsets":)" + offsets);
}

// A tensor of bytes from `begin` to `end`.
std::string bytes_tensor(const std::string& name, int begin, int end) {
  return concat("\"", name, R"(":{"dtype":"U8","shape":[)", end - begin, R"(],"data_offsets":[)", begin, ",",
                end, "]}");
}

constexpr char kWhole[] =
    R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

}  // namespace

TEST_CASE("safetensors header: what is whole opens, with spaces behind it and in any order of tensors") {
  CHECK(header_refusal(kWhole) == "no exception");
  CHECK(header_refusal(std::string(kWhole) + "     ") == "no exception");
  CHECK(header_refusal("{" + bytes_tensor("b", 3, 8) + "," + bytes_tensor("a", 0, 3) + "}") ==
        "no exception");
  // Empty tensors before, between and behind others.
  CHECK(header_refusal("{" + bytes_tensor("a", 0, 0) + "," + bytes_tensor("b", 0, 8) + "," +
                       bytes_tensor("c", 8, 8) + "," + bytes_tensor("d", 0, 0) + "}") == "no exception");
  CHECK(refusal(safetensors_file("{}", "")) == "no exception");
}

TEST_CASE("safetensors header: a file that was cut anywhere") {
  const std::string whole = safetensors_file(kWhole, std::string(8, '\0'));
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    CAPTURE(bytes);
    const std::string message = refusal(whole.substr(0, bytes));
    if (bytes < 8) {
      CHECK(message ==
            concat(" has ", bytes, " bytes, expected a safetensors file: 8 bytes of header length first"));
    } else if (bytes < whole.size() - 8) {
      CHECK(message == concat(": the header has ", sizeof(kWhole) - 1, " bytes, but only ", bytes - 8,
                              " follow: it was cut, copy it again"));
    } else {
      CHECK(message == concat(": tensor 'a' ends at 8, but the file has only ", bytes + 8 - whole.size(),
                              " bytes behind its header: it was cut, copy it again"));
    }
  }
}

TEST_CASE("safetensors header: lengths that cannot be") {
  const std::string data(8, '\0');
  CHECK(refusal(safetensors_file("", data, 0)) == ": the header does not begin with '{'");
  CHECK(contains(refusal(safetensors_file(kWhole, data, 1)), " is not JSON: "));
  CHECK(contains(refusal(safetensors_file(kWhole, data, sizeof(kWhole) - 2)), " is not JSON: "));
  CHECK(contains(refusal(safetensors_file(kWhole, data, sizeof(kWhole))), " is not JSON: byte "));
  CHECK(contains(refusal(safetensors_file(kWhole, data, 1000)), "the header has 1000 bytes, but only "));
  CHECK(contains(refusal(safetensors_file(kWhole, data, 100'000'000)), "bytes, but only "));
  for (const uint64_t length :
       {uint64_t{100'000'001}, uint64_t{1} << 63, std::numeric_limits<uint64_t>::max(),
        std::numeric_limits<uint64_t>::max() - 7}) {
    CHECK(
        refusal(safetensors_file(kWhole, data, length)) ==
        concat(": the header has ", length, " bytes, expected at most 100000000: is it a safetensors file?"));
  }
}

TEST_CASE("safetensors header: what is no JSON object") {
  const std::string kNotJson = ": the header is not JSON: ";
  for (const char* header : {" {}", "[]", "null", "\"{\"", "\xef\xbb\xbf{}", "x"}) {
    CHECK(header_refusal(header) == ": the header does not begin with '{'");
  }
  for (const char* header :
       {"{", "{]", "{\"a\"}", "{\"a\":}", "{} {}", "{}x", "{\"a\":1 \"b\"", "{'a':1}", "{\"\xff\":1}"}) {
    CHECK(header_refusal(header).starts_with(header == std::string("{\"a\":1 \"b\"") ? ": tensor 'a' is"
                                                                                     : kNotJson));
  }
  CHECK(header_refusal(std::string("{}\0{}", 5)) == kNotJson + "byte 2 is zero");
  std::string deep = "{\"a\":{\"dtype\":";
  CHECK(header_refusal(deep + std::string(1'000'000, '[')) ==
        ": tensor 'a': field 'dtype' is an array, expected a string");
}

TEST_CASE("safetensors header: values of the wrong type") {
  const std::string kNoObject[] = {"1", "null", "true", "\"x\"", "[]", "-1", "0.5"};
  for (const std::string& value : kNoObject) {
    CHECK(contains(header_refusal("{\"a\":" + value + "}"), ": tensor 'a' is "));
    CHECK(contains(header_refusal("{\"__metadata__\":" + value + "}"), ": '__metadata__' is "));
  }
  for (const char* value : {"1", "null", "true", "{}", "[]", "-1", "0.5"}) {
    CHECK(contains(header_refusal(concat(R"({"__metadata__":{"k":)", value, "}}")), ": '__metadata__' has "));
    CHECK(contains(fields_refusal(concat("\"dtype\":", value)), ": tensor 'a': field 'dtype' is "));
  }
  for (const char* value : {"1", "null", "true", "{}", "\"x\"", "-1", "0.5"}) {
    CHECK(contains(shape_refusal(value), ": tensor 'a': field 'shape' is "));
    CHECK(contains(offsets_refusal(value), ": tensor 'a': field 'data_offsets' is "));
  }
  for (const char* value :
       {"[-1]", "[null]", "[true]", "[{}]", "[\"2\"]", "[[2]]", "[2.0]", "[2,-0]", "[1e400]"}) {
    const std::string message = shape_refusal(value);
    INFO(message);
    CHECK((contains(message, ": tensor 'a': field 'shape' holds ") || contains(message, "is not JSON")));
    CHECK(offsets_refusal(value) != "no exception");
  }
}

TEST_CASE("safetensors header: fields that are missing, unknown or there twice") {
  const std::string dtype = R"("dtype":"F32")", shape = R"("shape":[2])", offsets = R"("data_offsets":[0,8])";
  CHECK(fields_refusal(dtype + "," + shape + "," + offsets) == "no exception");
  CHECK(fields_refusal(offsets + "," + shape + "," + dtype) == "no exception");
  CHECK(fields_refusal(shape + "," + offsets) == ": tensor 'a' has no field 'dtype'");
  CHECK(fields_refusal(dtype + "," + offsets) == ": tensor 'a' has no field 'shape'");
  CHECK(fields_refusal(dtype + "," + shape) == ": tensor 'a' has no field 'data_offsets'");
  CHECK(fields_refusal("") == ": tensor 'a' has no field 'dtype'");
  for (const std::string& field : {dtype, shape, offsets}) {
    CHECK(contains(fields_refusal(field + "," + field), ": tensor 'a' has the field '"));
  }
  CHECK(contains(fields_refusal(dtype + R"(,"stride":[1])"), ": tensor 'a' has a field 'stride', expected "));
  for (const char* name : {"F128", "f32", "", "F32 ", "BOOLEAN"}) {
    CHECK(fields_refusal(concat(R"("dtype":")", name, "\"")) ==
          concat(": tensor 'a' has the unknown dtype '", name, "'"));
  }
}

TEST_CASE("safetensors header: tensors, metadata and their keys that are there twice") {
  CHECK(header_refusal("{" + bytes_tensor("a", 0, 4) + "," + bytes_tensor("a", 4, 8) + "}") ==
        ": tensor 'a' occurs twice");
  CHECK(header_refusal("{" + bytes_tensor("\\u0061", 0, 4) + "," + bytes_tensor("a", 4, 8) + "}") ==
        ": tensor 'a' occurs twice");
  CHECK(header_refusal(R"({"__metadata__":{},"__metadata__":{}})") == ": '__metadata__' occurs twice");
  CHECK(header_refusal(R"({"__metadata__":{"k":"1","k":"2"}})") == ": '__metadata__' has 'k' twice");
  // A tensor that took the name: its shape is no string.
  CHECK(contains(header_refusal("{" + bytes_tensor("__metadata__", 0, 8) + "}"),
                 ": '__metadata__' has an array"));
}

TEST_CASE("safetensors header: shapes that overflow or do not fit the bytes") {
  CHECK(shape_refusal("[2]") == "no exception");
  CHECK(shape_refusal("[1,2,1]") == "no exception");
  std::string many = "[2";
  for (int i = 1; i < 32; ++i) many += ",1";
  CHECK(shape_refusal(many + "]") == "no exception");
  CHECK(shape_refusal(many + ",1]") == ": tensor 'a': field 'shape' has more than 32 numbers");
  CHECK(shape_refusal("[3]") == ": tensor 'a' has 8 bytes, expected 12: its shape has 3 elements of F32");
  CHECK(shape_refusal("[]") == ": tensor 'a' has 8 bytes, expected 4: its shape has 1 elements of F32");
  CHECK(shape_refusal("[0]") == ": tensor 'a' has 8 bytes, expected 0: its shape has 0 elements of F32");
  // 2^32 x 2^32 is 0 in 64 bits; so are 2^62 x 4 bytes.
  CHECK(shape_refusal("[4294967296,4294967296]") == ": tensor 'a': the number of elements overflows");
  CHECK(shape_refusal("[4294967296,4294967296,0]") == ": tensor 'a': the number of elements overflows");
  CHECK(shape_refusal("[4611686018427387906]") == ": tensor 'a': the number of bytes overflows");
  CHECK(contains(shape_refusal("[0,4294967296,4294967296]"), "expected 0"));
  CHECK(contains(shape_refusal("[9223372036854775808]"), "which is too large"));
  CHECK(contains(shape_refusal("[18446744073709551618]"), "holds a number that is not whole or too large"));
  CHECK(fields_refusal(R"("dtype":"F4","shape":[3],"data_offsets":[0,8])") ==
        ": tensor 'a' has 12 bits, expected whole bytes");
}

TEST_CASE("safetensors header: offsets with holes, overlaps, past the end and the wrong way round") {
  CHECK(offsets_refusal("[0,8,8]") == ": tensor 'a': field 'data_offsets' has 3 numbers, expected 2");
  CHECK(offsets_refusal("[]") == ": tensor 'a': field 'data_offsets' has 0 numbers, expected 2");
  CHECK(offsets_refusal("[8,0]") == ": tensor 'a' ends at 0, before it begins at 8");
  CHECK(offsets_refusal("[1,9]") == ": tensor 'a' begins at 1, expected 0: there is a hole before it");
  CHECK(contains(offsets_refusal("[9223372036854775800,9223372036854775808]"), "which is too large"));
  CHECK(contains(offsets_refusal("[9223372036854775799,9223372036854775807]"), "there is a hole before it"));
  const auto two = [](int a_end, int b_begin, int b_end) {
    return header_refusal("{" + bytes_tensor("a", 0, a_end) + "," + bytes_tensor("b", b_begin, b_end) + "}");
  };
  CHECK(two(4, 4, 8) == "no exception");
  CHECK(two(4, 5, 8) == ": tensor 'b' begins at 5, expected 4: there is a hole before it");
  CHECK(two(4, 3, 8) == ": tensor 'b' begins at 3, expected 4: it overlaps another");
  CHECK(two(8, 0, 8) == ": tensor 'b' begins at 0, expected 8: it overlaps another");
  CHECK(two(4, 4, 9) ==
        ": tensor 'b' ends at 9, but the file has only 8 bytes behind its header: it was cut, copy it "
        "again");
  CHECK(two(4, 4, 7) == ": 1 bytes behind the last tensor belong to none");
  CHECK(header_refusal("{}") == ": 8 bytes behind the last tensor belong to none");
}

TEST_CASE("safetensors header: names from the file cannot break a message") {
  const std::string name = "a\\n\\u001b" + std::string(5000, 'x');
  CHECK(contains(header_refusal("{\"" + name + "\":1}"), ": tensor 'a  xxx"));
}

TEST_CASE("safetensors header: a thousand damaged files end in a tensor or in one InputError") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  const std::string whole = read_bytes(source_folder() + "/tests/goldens/library.safetensors");
  const std::string pieces = "{}[]\",:0129.-eEaF\\\n \xff";
  uint64_t draws = 0;
  const auto random = [&](uint64_t below) {
    return random_bits(17, RandomStream::tests, 9, draws++) % below;
  };
  int refused = 0;
  for (int trial = 0; trial < 1000; ++trial) {
    std::string bytes = whole;
    for (uint64_t changes = 1 + random(3); changes > 0; --changes) {
      const size_t place = random(bytes.size());
      const uint64_t kind = random(5);
      if (kind == 0) bytes[place] = static_cast<char>(random(256));
      if (kind == 1) bytes[place] = pieces[random(pieces.size())];
      if (kind == 2) bytes.erase(place, 1 + random(20));
      if (kind == 3) bytes.insert(place, bytes.substr(random(bytes.size()), random(40)));
      if (kind == 4) bytes[random(8)] = static_cast<char>(random(256));
      if (bytes.empty()) bytes = "x";
    }
    write_anew(path, bytes);
    const std::string message = message_of<InputError>([&] {
      const SafetensorsReader file(path);
      for (const auto& [name, info] : file.tensors()) file.read(name);
    });
    CHECK_FALSE(message.starts_with("another exception"));
    CHECK(message.find('\n') == std::string::npos);
    refused += message != "no exception" && !contains(message, "does not read");
  }
  CHECK(refused > 500);
}
