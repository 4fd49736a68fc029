#include "data/input_stream.h"

#include <doctest/doctest.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::data {
namespace {

using namespace dlcm::test;

std::string zstd_of(const std::string& text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

std::string gzip_of(const TemporaryFolder& folder, const std::string& text) {
  const gzFile file = gzopen((folder / "packed").c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  return read_bytes(folder / "packed");
}

// Reads `step` bytes at most at a time.
std::string read_all(const std::string& path, size_t step) {
  const std::unique_ptr<InputStream> input = open_input(path);
  std::string text, part(step, '\0');
  while (const size_t got = input->read(part.data(), part.size())) {
    CHECK(got <= step);
    text.append(part, 0, got);
  }
  CHECK(input->read(part.data(), part.size()) == 0);  // the end stays the end
  return text;
}

TEST_CASE("input stream: plain, gzip and zstd give the same bytes, however few are read at once") {
  const TemporaryFolder folder;
  const std::string text = std::string(5000, 'a') + "end";  // packed, a few bytes stand for thousands
  for (const std::string& bytes : {text, gzip_of(folder, text), zstd_of(text)}) {
    write_bytes(folder / "input", bytes);
    for (const size_t step : {1, 3, 4096, 1 << 20}) CHECK(read_all(folder / "input", step) == text);
  }
}

TEST_CASE("input stream: files shorter than the bytes that tell compressed ones") {
  const TemporaryFolder folder;
  for (const std::string text : {"", "a", "ab", "\x28\xb5\x2f", "abcd"}) {
    write_bytes(folder / "input", text);
    CHECK(read_all(folder / "input", 2) == text);
  }
}

TEST_CASE("input stream: members one after another, and an empty one") {
  const TemporaryFolder folder;
  const std::string gzip = gzip_of(folder, "one") + gzip_of(folder, "") + gzip_of(folder, "two");
  for (const std::string& bytes : {gzip, zstd_of("one") + zstd_of("") + zstd_of("two")}) {
    write_bytes(folder / "input", bytes);
    CHECK(read_all(folder / "input", 2) == "onetwo");
  }
}

TEST_CASE("input stream: what ends early or is something else is named") {
  const TemporaryFolder folder;
  const auto message = [](const std::string& path) {
    return message_of<InputError>([&] { read_all(path, 100); });
  };
  const std::string path = folder / "input";
  for (const std::string& bytes : {gzip_of(folder, "some text"), zstd_of("some text")}) {
    write_bytes(path, bytes.substr(0, bytes.size() - 1));
    CHECK(contains(message(path), path + "': the "));
    CHECK(contains(message(path), "data end early: the file is truncated"));
    write_bytes(path, bytes + "trailing text");
    CHECK(contains(message(path), path + "': damaged "));
  }
  CHECK(contains(message(folder / "none"), "cannot read '" + (folder / "none")));
  write_bytes(folder / "a.gz", zstd_of("some text"));
  CHECK(contains(message(folder / "a.gz"), "is named .gz but does not hold gzip data"));
}

}  // namespace
}  // namespace dlcm::data
