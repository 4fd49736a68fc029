#include "data/shard.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tensor/random.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

std::vector<int32_t> some_tokens(int64_t count, int64_t vocab_size, uint64_t seed) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t bits = random_bits(seed, RandomStream::tests, 0, static_cast<uint64_t>(i));
    tokens.push_back(static_cast<int32_t>(bits % static_cast<uint64_t>(vocab_size)));
  }
  return tokens;
}

void write_shard(const std::string& path, const std::vector<std::vector<int32_t>>& documents,
                 int64_t vocab_size = 257) {
  ShardWriter writer(path, {vocab_size, "bytes sha256=0", "a test"});
  for (const auto& document : documents) writer.add(document, static_cast<int64_t>(document.size()) + 7);
  writer.finish();
  writer.publish();
}

// A file like those of h5py by somebody else, with one thing wrong.
struct Foreign {
  std::string format = kShardFormat;
  int64_t version = 1;
  int64_t vocab_size = 257;
  std::vector<uint16_t> tokens = {256, 1, 256, 256, 2, 3, 256};
  std::vector<uint64_t> offsets = {0, 3, 7};
  std::vector<uint64_t> bytes = {1, 2};
  bool float_tokens = false, square_tokens = false, with_bytes = true, with_vocab = true, with_format = true;
};

std::string damage_message(const Foreign& f) {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  Hdf5Writer writer(path);
  if (f.with_format) writer.attribute("format", f.format);
  writer.attribute("version", f.version);
  if (f.with_vocab) writer.attribute("vocab_size", f.vocab_size);
  writer.attribute("tokenizer", std::string("bytes"));
  const std::vector<float> floats(f.tokens.begin(), f.tokens.end());
  const auto count = static_cast<int64_t>(f.tokens.size());
  if (f.float_tokens) {
    writer.dataset("/tokens", {count}, floats.data());
  } else if (f.square_tokens) {
    writer.dataset("/tokens", {1, count}, f.tokens.data());
  } else {
    writer.dataset("/tokens", {count}, f.tokens.data());
  }
  writer.dataset("/doc_offsets", {static_cast<int64_t>(f.offsets.size())}, f.offsets.data());
  if (f.with_bytes) writer.dataset("/doc_bytes", {static_cast<int64_t>(f.bytes.size())}, f.bytes.data());
  writer.finish();
  writer.publish();
  const std::string message = message_of<InputError>([&] { ShardReader(path).verify(); });
  CHECK((message == "no exception" || contains(message, path)));
  CHECK(!contains(message, "\n"));
  return message;
}

}  // namespace

TEST_CASE("shard: what is written is read, in both widths and over chunk edges") {
  const TemporaryFolder folder;
  for (const int64_t vocab_size : {257, 65536, 65537, 128815}) {
    std::vector<std::vector<int32_t>> documents;
    for (const int64_t length : {3, 1, 65536, 65535, 2, 70001}) {
      documents.push_back(some_tokens(length, vocab_size, static_cast<uint64_t>(length)));
    }
    const std::string path = folder / "s.h5";
    write_shard(path, documents, vocab_size);
    const ShardReader reader(path);
    CHECK(reader.documents() == 6);
    CHECK(reader.header().vocab_size == vocab_size);
    CHECK(reader.header().source == "a test");
    for (int64_t i = 0; i < 6; ++i) {
      const auto& expected = documents[static_cast<size_t>(i)];
      const auto length = static_cast<int64_t>(expected.size());
      CHECK(reader.document_tokens(i) == length);
      CHECK(reader.document_bytes(i) == length + 7);
      CHECK(reader.read(i, 0, length) == expected);
      CHECK(reader.read(i, length / 2, length) ==
            std::vector<int32_t>(expected.begin() + length / 2, expected.end()));
    }
    reader.verify();
    const Hdf5Reader file(path);
    CHECK(file.sealed());
    CHECK(file.info("/tokens").type == (vocab_size <= 65536 ? ElementType::u16 : ElementType::u32));
    for (const std::string& name : file.datasets()) CHECK(file.info(name).checksummed);
  }
}

TEST_CASE("shard: the content is that of tokens and documents, wherever they came from") {
  const TemporaryFolder folder;
  const std::string path = folder / "s.h5";
  const std::vector<int32_t> tokens = some_tokens(70000, 70000, 4);
  const auto written = [&](const std::string& source, size_t cut, int64_t vocab_size = 70000) {
    ShardWriter writer(path, {vocab_size, "t", source});
    writer.add(std::span(tokens).first(cut), 1);
    writer.add(std::span(tokens).subspan(cut), 1);
    writer.finish();
    writer.publish();
    const ShardReader reader(path);
    reader.verify();
    return std::pair(reader.content(), read_bytes(path));
  };
  const auto [content, file] = written("here", 30);
  CHECK(content.starts_with("crc32 tokens="));
  CHECK(written("there", 30).first == content);
  CHECK(written("there", 30).second != file);
  CHECK(written("here", 31).first != content);
  // A plain file: what its attribute says may be of before somebody changed it, so it is computed.
  written("here", 30);
  write_bytes(path, read_bytes(path).substr(512));
  CHECK(ShardReader(path).content() == content);
  for (const bool sealed : {true, false}) {
    Hdf5Writer writer(path);
    writer.attribute("format", std::string(kShardFormat));
    writer.attribute("version", kShardVersion);
    writer.attribute("vocab_size", int64_t{9});
    writer.attribute("tokenizer", std::string("t"));
    writer.attribute("content", std::string("crc32 tokens=00000000 doc_offsets=00000000"));
    const std::vector<uint16_t> ids = {1, 2};
    const std::vector<uint64_t> offsets = {0, 2}, bytes = {1};
    writer.dataset("/tokens", {2}, ids.data());
    writer.dataset("/doc_offsets", {2}, offsets.data());
    writer.dataset("/doc_bytes", {1}, bytes.data());
    writer.finish();
    writer.publish();
    if (!sealed) write_bytes(path, read_bytes(path).substr(512));
    const std::string message = message_of<InputError>([&] { ShardReader(path).verify(); });
    CHECK(contains(message, sealed ? "attribute 'content' is" : "no exception"));
  }
}

TEST_CASE("shard: equal documents give equal bytes, and no temporary is left") {
  const TemporaryFolder folder;
  write_shard(folder / "a.h5", {{1, 2, 3}});
  write_shard(folder / "b.h5", {{1, 2, 3}});
  CHECK(read_bytes(folder / "a.h5") == read_bytes(folder / "b.h5"));
  write_shard(folder / "a.h5", {{4}});  // replaces
  CHECK(ShardReader(folder / "a.h5").read(0, 0, 1) == std::vector<int32_t>{4});
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
  {
    ShardWriter writer(folder / "c.h5", {257, "bytes", ""});  // destroyed before it is published
    writer.add(std::vector<int32_t>{1}, 1);
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("shard: a flipped bit anywhere is noticed, and the file named") {
  const TemporaryFolder folder;
  const std::string path = folder / "s.h5";
  write_shard(path, {some_tokens(3000, 257, 1), some_tokens(70000, 257, 2), {5}});
  const std::string whole = read_bytes(path);
  std::vector<size_t> positions;
  for (size_t i = 0; i < 600; i += 7) positions.push_back(i);                  // seal, superblock
  for (size_t i = 0; i < 97; ++i) positions.push_back(whole.size() * i / 97);  // every region
  for (size_t i = 1; i < 40; ++i) positions.push_back(whole.size() - i * i);   // the end
  for (uint64_t i = 0; i < 60; ++i) {
    positions.push_back(random_bits(3, RandomStream::tests, 1, i) % whole.size());
  }
  for (const size_t position : positions) {
    std::string damaged = whole;
    damaged[position] = static_cast<char>(damaged[position] ^ (1 << (position % 8)));
    write_bytes(path, damaged);
    const std::string message = message_of<InputError>([&] { const ShardReader reader(path); });
    INFO("byte ", position, " of ", whole.size(), ": ", message);
    CHECK(contains(message, path));
  }
}

TEST_CASE("shard: damaged tokens are named by their dataset") {
  const TemporaryFolder folder;
  const std::string path = folder / "s.h5";
  const std::vector<int32_t> tokens(200, 97);
  write_shard(path, {tokens});
  std::string bytes = read_bytes(path);
  std::string wide;
  for (int i = 0; i < 64; ++i) wide += std::string(1, static_cast<char>(tokens[0])) + '\0';
  const size_t place = bytes.find(wide);
  REQUIRE(place != std::string::npos);
  bytes[place + 5] ^= 4;
  write_bytes(path, bytes);
  const std::string message = message_of<InputError>([&] { const ShardReader reader(path); });
  CHECK(contains(message, "damaged: checksum differs"));
  CHECK(contains(message, "; copy it again or write it anew"));
  CHECK(contains(message, "'/tokens'"));
  // Without a seal HDF5's own checksum is left, and tells when the tokens are read.
  write_bytes(path, bytes.substr(512));
  CHECK(contains(message_of<InputError>([&] { ShardReader(path).verify(); }), "'/tokens'"));
}

TEST_CASE("shard: truncated, empty, foreign and missing files") {
  const TemporaryFolder folder;
  const std::string path = folder / "s.h5";
  const auto message = [&] { return message_of<InputError>([&] { const ShardReader reader(path); }); };
  CHECK(contains(message(), "No such file"));
  write_shard(path, {some_tokens(3000, 257, 1)});
  const std::string whole = read_bytes(path);
  for (const size_t length : {size_t{1}, size_t{7}, size_t{8}, size_t{100}, size_t{511}, size_t{512},
                              size_t{600}, size_t{2000}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(path, whole.substr(0, length));
    INFO(length, ": ", message());
    CHECK(contains(message(), path));
    if (length >= 8) CHECK(contains(message(), "truncated"));
    if (length > 1024) {  // the same without the seal
      write_bytes(path, whole.substr(512, length - 512));
      CHECK(contains(message(), path));
    }
  }
  write_bytes(path, whole + "x");
  CHECK(contains(message(), "too many"));
  write_bytes(path, "");
  CHECK(contains(message(), "is empty"));
  write_bytes(path, "PK\x03\x04 some other file");
  CHECK(contains(message(), "not an HDF5 file"));
  CHECK(contains(message_of<InputError>([&] { const ShardReader reader(folder.path()); }), "is a folder"));
  std::filesystem::remove(path);
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);  // nobody writes to it: waiting would never end
  CHECK(contains(message(), "is not a regular file"));
  std::filesystem::remove(path);
  write_bytes(path, whole.substr(512));
  CHECK(ShardReader(path).documents() == 1);  // a plain HDF5 file
}

TEST_CASE("shard: wrong content names the dataset or attribute, what was expected and found") {
  CHECK(damage_message({}) == "no exception");
  Foreign f;
  f.with_format = false;
  CHECK(contains(damage_message(f),
                 "is not a token shard: it has no attribute 'format', expected 'dlcm-tokens'"));
  f = {}, f.format = "dlcm-checkpoint";
  CHECK(
      contains(damage_message(f),
               "is not a token shard: its attribute 'format' is 'dlcm-checkpoint', expected 'dlcm-tokens'"));
  f = {}, f.version = 2;
  CHECK(contains(damage_message(f), "'version' is 2"));
  f = {}, f.with_vocab = false;
  CHECK(contains(damage_message(f), "no attribute 'vocab_size'"));
  f = {}, f.vocab_size = int64_t{1} << 40;
  CHECK(contains(damage_message(f), "'vocab_size' is 1099511627776"));
  f = {}, f.vocab_size = 256;
  CHECK(contains(damage_message(f), "'/tokens': [0] is 256, vocab_size is 256"));
  f = {}, f.float_tokens = true;
  CHECK(contains(damage_message(f), "'/tokens' holds float32, expected uint16 or uint32"));
  f = {}, f.square_tokens = true;
  CHECK(contains(damage_message(f), "'/tokens' has shape [1, 7], expected 1 dimension"));
  f = {}, f.with_bytes = false;
  CHECK(contains(damage_message(f), "no dataset '/doc_bytes'"));
  f = {}, f.bytes = {1};
  CHECK(contains(damage_message(f), "'/doc_bytes' has 1 elements, expected 2"));
  f = {}, f.offsets = {0, 5, 3, 7}, f.bytes = {1, 2, 3};
  CHECK(contains(damage_message(f), "'/doc_offsets' does not increase: [2] is 3 after 5"));
  f = {}, f.offsets = {0, 3, 9};
  CHECK(contains(damage_message(f), "'/doc_offsets' ends with 9, dataset '/tokens' has 7"));
  f = {}, f.offsets = {1, 3, 7};
  CHECK(contains(damage_message(f), "begins with 1"));
  f = {}, f.offsets = {};
  CHECK(contains(damage_message(f), "'/doc_offsets' is empty"));
}

TEST_CASE("shard: the writer refuses what no shard may hold") {
  const TemporaryFolder folder;
  ShardWriter writer(folder / "s.h5", {257, "bytes", ""});
  CHECK_THROWS_AS(writer.add(std::vector<int32_t>{257}, 1), Error);
  CHECK_THROWS_AS(writer.add(std::vector<int32_t>{-1}, 1), Error);
  CHECK_THROWS_AS(writer.add(std::vector<int32_t>{}, 1), Error);
}
