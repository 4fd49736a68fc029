#include "data/tokenizer.h"

#include <doctest/doctest.h>

#include "data/sha256.h"
#include "data/utf8.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

TEST_CASE("sha256: the examples of FIPS 180-4 and lengths around a block's edge") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  CHECK(sha256(std::string(55, 'x')) != sha256(std::string(56, 'x')));
}

TEST_CASE("utf8: the first byte that is not text") {
  const std::pair<std::string, size_t> cases[] = {
      {"", 0},
      {"plain ascii, longer than eight bytes", 36},
      {"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80", 9},
      {"abcdefgh\xff", 8},
      {"a\xc3", 1},               // ends within a character
      {"\xc0\x80", 0},            // overlong
      {"\xe0\x80\x80", 0},        // overlong
      {"\xed\xa0\x80", 0},        // surrogate
      {"\xf4\x90\x80\x80", 0},    // above U+10FFFF
      {"ok\xf0\x8f\xbf\xbf", 2},  // overlong
      {"\x80", 0},
  };
  for (const auto& [text, expected] : cases) CHECK(first_invalid_utf8(text) == expected);
  CHECK(utf8_prefix("a\xc3\xa9", 2) == "a");
  CHECK(utf8_prefix("a\xc3\xa9", 3) == "a\xc3\xa9");
}

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
  CHECK(contains(message_of<InputError>([] { load_tokenizer("my/tokenizer.json"); }), "my/tokenizer.json"));
  CHECK(contains(message_of<InputError>([] { load_tokenizer("words"); }), "'words' is unknown"));
  const std::string identity = ByteTokenizer().identity();
  CHECK(identity.starts_with("bytes sha256="));
  CHECK(tokenizer_of_identity(identity, "x.h5")->identity() == identity);
  CHECK(contains(message_of<InputError>([] { tokenizer_of_identity("gpt sha256=1", "x.h5"); }), "x.h5"));
}
