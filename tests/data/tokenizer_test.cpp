#include "data/tokenizer.h"

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

TEST_CASE("tokenizer: bytes and back") {
  const ByteTokenizer tokenizer;
  std::string text;
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  std::vector<int32_t> ids = {7};
  tokenizer.encode(text, ids);
  REQUIRE(ids.size() == 257);
  std::string decoded;
  for (size_t i = 1; i < ids.size(); ++i) {
    CHECK(ids[i] == static_cast<int32_t>(i - 1));
    decoded += tokenizer.decode(ids[i]);
  }
  CHECK(decoded == text);
  CHECK(tokenizer.vocab_size() == 257);
  CHECK(tokenizer.decode(tokenizer.begin_id()).empty());
  CHECK_THROWS_AS(tokenizer.decode(257), InputError);
  CHECK_THROWS_AS(tokenizer.decode(-1), InputError);
}

TEST_CASE("tokenizer: found by name and by identity, others refused by name") {
  CHECK(load_tokenizer("bytes")->vocab_size() == 257);
  CHECK(contains(message_of<InputError>([] { load_tokenizer("my/tokenizer.json"); }),
                 "cannot read 'my/tokenizer.json': No such file"));
  CHECK(contains(message_of<InputError>([] { load_tokenizer("words"); }), "'words' is unknown"));
  const std::string identity = ByteTokenizer().identity();
  CHECK(identity.starts_with("bytes sha256="));
  CHECK(tokenizer_of_identity(identity, 257, {}, "x.h5")->identity() == identity);
  CHECK(contains(message_of<InputError>([] { tokenizer_of_identity("gpt sha256=1", 257, {}, "x.h5"); }),
                 "'x.h5': its tokenizer 'gpt sha256=1' with 257 ids is neither 'bytes' nor"));
}

TEST_CASE("tokenizer: bytes without a hash are bytes where the vocabulary is theirs") {
  const std::string identity = ByteTokenizer().identity();
  CHECK(full_identity("bytes", 257) == identity);
  CHECK(full_identity("bytes", 300) == "bytes");
  CHECK(full_identity("words", 257) == "words");
  CHECK(find_tokenizer("bytes", 257, {})->identity() == identity);
  CHECK(find_tokenizer("bytes", 300, {}) == nullptr);
  CHECK(find_tokenizer(identity, 300, {})->vocab_size() == 257);  // of a model with more ids
  CHECK(find_tokenizer(identity, 200, {}) == nullptr);
  CHECK(find_tokenizer("words", 257, {}) == nullptr);
  CHECK(names_bytes("bytes"));
  CHECK(names_bytes("bytes sha256=1"));
  CHECK_FALSE(names_bytes("bytes-bpe"));
}
