#include "data/bpe/pre_tokenizer.h"

#include <chrono>
#include <random>

#include <doctest/doctest.h>

#include "data/bpe/json_value.h"
#include "data/document_source.h"
#include "data/utf8.h"
#include "tests/data/bpe/shared_tokenizers.h"
#include "tests/data/bpe/small_file.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

using Pieces = std::vector<std::string>;

Json scanned(const std::string& name) {
  if (name == "gpt2") return byte_level(false, true);
  if (name == "gpt2 with a space before") return byte_level(true, true);
  if (name == "llama3") return sequence_of({split_step(std::string(kLlama3)), byte_level()});
  if (name == "qwen2") return sequence_of({split_step(std::string(kQwen2)), byte_level()});
  return sequence_of({split_step(std::string(kDeepSeekNumbers)), split_step(std::string(kDeepSeekIdeographs)),
                      split_step(std::string(kDeepSeekWords)), byte_level()});
}

PreTokenizer make(const Json& json) {
  return PreTokenizer(JsonDocument("test", json.dump()).root());
}

Pieces collect(const PreTokenizer& tokenizer, std::string_view text, bool by_expressions) {
  Pieces pieces;
  const PieceSink sink = [&](std::span<const std::string_view> batch) {
    for (const std::string_view piece : batch) pieces.emplace_back(piece);
  };
  by_expressions ? tokenizer.split_by_expressions(text, sink) : tokenizer.split(text, sink);
  return pieces;
}

// Characters of every class and of the expressions' own, and any other now and then.
std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> alphabet = {"a",
                                                    "Z",
                                                    "s",
                                                    "S",
                                                    "l",
                                                    "'",
                                                    "'ll",
                                                    "'S",
                                                    "'\u017f",
                                                    "'re",
                                                    " ",
                                                    " ",
                                                    "  ",
                                                    "\n",
                                                    "\r",
                                                    "\t",
                                                    "1",
                                                    "2",
                                                    "\u0663",
                                                    "½",
                                                    "中",
                                                    "龥",
                                                    "龦",
                                                    "\u3007",
                                                    "の",
                                                    "\u3040",
                                                    "゛",
                                                    "・",
                                                    "゠",
                                                    "ー",
                                                    "。",
                                                    "!",
                                                    "<",
                                                    "_",
                                                    "\u0301",
                                                    "\u00a0",
                                                    "\u3000",
                                                    "\u0085",
                                                    "\u2028",
                                                    "\u200b",
                                                    "\u180e",
                                                    "\x01",
                                                    "\x7f",
                                                    "\ue000",
                                                    "€",
                                                    "🙂",
                                                    "é",
                                                    "\u0378",
                                                    "\U00031350",
                                                    "\U0001ccf3",
                                                    "\u0897",
                                                    "\u212a",
                                                    std::string(1, '\0')};
  std::string text;
  const size_t pool = random() % 3 == 0 ? 5 : alphabet.size();
  const size_t first = random() % alphabet.size();
  for (size_t count = random() % 20; count > 0; --count) {
    if (random() % 40 == 0) {
      const uint32_t code = random() % 0x110000;
      append_utf8(code >= 0xD800 && code < 0xE000 ? 'x' : code, text);
    } else {
      text += alphabet[(first + random() % pool) % alphabet.size()];
    }
  }
  return text;
}

constexpr const char* kScanned[] = {"deepseek", "gpt2", "gpt2 with a space before", "llama3", "qwen2"};

}  // namespace

TEST_CASE("scanners: the pieces of the regular expressions, on random text") {
  for (const char* name : kScanned) {
    const PreTokenizer tokenizer = make(scanned(name));
    REQUIRE(tokenizer.has_scanner());
    std::mt19937 random(7);
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(random);
      const Pieces found = collect(tokenizer, text, false);
      if (found == collect(tokenizer, text, true)) continue;
      FAIL(name, ": ", Json(text).dump(), " in pieces ", Json(found).dump());
    }
  }
}

TEST_CASE("scanners: words of every length, whatever byte ends them and however much text is behind") {
  for (const char* name : kScanned) {
    const PreTokenizer tokenizer = make(scanned(name));
    for (size_t letters = 0; letters < 20; ++letters) {
      for (uint32_t code = 0; code < 0x180; ++code) {
        const std::string end = code < 0x80 ? std::string(1, static_cast<char>(code))
                                            : std::string{static_cast<char>(0xC0 | code >> 6),
                                                          static_cast<char>(0x80 | (code & 0x3F))};
        for (const char* behind : {"", "zA", "AzbYcXdWe"}) {
          const std::string text = "." + std::string(letters, code % 2 == 0 ? 'a' : 'Z') + end + behind;
          if (collect(tokenizer, text, false) == collect(tokenizer, text, true)) continue;
          FAIL(name, ": ", Json(text).dump());
        }
      }
    }
  }
}

TEST_CASE("scanners: the pieces of the regular expressions, on the corpora") {
  for (const char* file :
       {"chinese/wikipedia-traditional", "code/javascript", "english/web-c4", "math/oi-wiki-math"}) {
    DocumentSource source({shared_data(std::string("corpus/") + file + ".jsonl.gz")});
    std::string text;
    for (int documents = 0; documents < 12 && source.next(text); ++documents) {
      text = utf8_prefix(text, 6000);
      for (const char* name : kScanned) {
        const PreTokenizer tokenizer = make(scanned(name));
        CHECK(collect(tokenizer, text, false) == collect(tokenizer, text, true));
      }
    }
  }
}

TEST_CASE("scanners: other expressions have none") {
  CHECK_FALSE(make(sequence_of({split_step("a"), byte_level()})).has_scanner());
  CHECK_FALSE(make(sequence_of({split_step(std::string(kQwen2), "Removed"), byte_level()})).has_scanner());
  CHECK_FALSE(
      make(sequence_of({split_step(std::string(kQwen2), "Isolated", true), byte_level()})).has_scanner());
  CHECK_FALSE(make(sequence_of({split_step(std::string(kQwen2)), byte_level(false, true)})).has_scanner());
  CHECK_FALSE(make(sequence_of({split_step(std::string(kQwen2)), byte_level(true)})).has_scanner());
}

TEST_CASE("Split: each behaviour") {
  const auto pieces = [](const char* behavior, bool invert) {
    return collect(make(sequence_of({split_step("-", behavior, invert), byte_level()})), "-a--b-", false);
  };
  CHECK(pieces("Removed", false) == Pieces{"a", "b"});
  CHECK(pieces("Removed", true) == Pieces{"-", "-", "-", "-"});
  CHECK(pieces("Isolated", false) == Pieces{"-", "a", "-", "-", "b", "-"});
  CHECK(pieces("Isolated", true) == Pieces{"-", "a", "-", "-", "b", "-"});
  CHECK(pieces("MergedWithPrevious", false) == Pieces{"-", "a-", "-", "b-"});
  CHECK(pieces("MergedWithPrevious", true) == Pieces{"-a", "-", "-b", "-"});
  CHECK(pieces("MergedWithNext", false) == Pieces{"-a", "-", "-b", "-"});
  CHECK(pieces("MergedWithNext", true) == Pieces{"-", "a-", "-", "b-"});
  CHECK(pieces("Contiguous", false) == Pieces{"-", "a", "--", "b", "-"});
}

TEST_CASE("Digits and ByteLevel: pieces") {
  const Json each = {{"type", "Digits"}, {"individual_digits", true}};
  const Json runs = {{"type", "Digits"}, {"individual_digits", false}};
  CHECK(collect(make(sequence_of({each, byte_level()})), "a12½b", false) == Pieces{"a", "1", "2", "½", "b"});
  CHECK(collect(make(sequence_of({runs, byte_level()})), "a12½b", false) == Pieces{"a", "12½", "b"});
  CHECK(collect(make(sequence_of({runs, byte_level(true)})), "a 1", false) == Pieces{" a ", " 1"});
  CHECK(collect(make(byte_level(true)), " a b", false) == Pieces{" a b"});
  CHECK(collect(make(byte_level(true)), "", false).empty());
}

TEST_CASE("a regular expression that takes too many steps is an error, not a hang") {
  const PreTokenizer tokenizer = make(sequence_of({split_step("(a|aa|b?a)+d"), byte_level()}));
  const std::string text = std::string(3000, 'a') + "ed";
  CHECK_THROWS_AS(collect(tokenizer, text, false), Error);
}
