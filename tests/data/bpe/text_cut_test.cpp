#include "data/bpe/text_cut.h"

#include <random>
#include <string>

#include <doctest/doctest.h>

#include "data/bpe/scanners.h"
#include "data/utf8.h"
#include "tests/data/bpe/shared_tokenizers.h"
#include "tests/data/bpe/small_file.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

std::vector<std::string> pieces_of(Scanner scanner, std::string_view text) {
  std::vector<std::string> pieces;
  const PieceSink sink = [&](std::span<const std::string_view> batch) {
    for (const std::string_view piece : batch) pieces.emplace_back(piece);
  };
  PieceBatch batch(sink);
  scanner(text, batch);
  batch.flush();
  return pieces;
}

// One of each kind that the expressions tell apart, and those of contractions.
const char* const kCharacters[] = {
    " ",  " ",  "\n", "\r", "\t",   "a",      "s", "l",      "e",      "r",      "Z",         "'",
    ".",  "=",  "1",  "2",  "\x01", "\u0301", "é", "\u017f", "\u00a0", "\u3000", "\u2028",    "中",
    "文", "ア", "・", "゙",   "，",   "٣",      "ⅷ", "😀",      "\u200d", "\u00ad", "\U000e0001"};

std::string random_text(std::mt19937& random, size_t most) {
  std::string text;
  for (size_t left = random() % most; left > 0; --left)
    text += kCharacters[random() % std::size(kCharacters)];
  return text;
}

std::vector<size_t> all_cuts(const TextCutter& cutter, std::string_view text) {
  std::vector<size_t> cuts;
  for (size_t end = text.size(); end > 1;) {
    const size_t cut = cutter.last_cut(text.substr(0, end), 0);
    if (cut == 0) break;
    cuts.push_back(cut);
    end = cut + 1;
    while (end > 1 && cutter.last_cut(text.substr(0, end), 0) >= cut) --end;
  }
  return cuts;
}

// The ids of the text, encoded in parts of about `bytes`.
std::vector<int32_t> ids_in_parts(const Tokenizer& tokenizer, std::string_view text, size_t bytes) {
  std::vector<int32_t> ids;
  while (text.size() > bytes) {
    const size_t cut = tokenizer.last_cut(text.substr(0, bytes), 0);
    if (cut == 0) {
      bytes *= 2;
      continue;
    }
    tokenizer.encode(text.substr(0, cut), ids);
    text.remove_prefix(cut);
  }
  tokenizer.encode(text, ids);
  return ids;
}

}  // namespace

TEST_CASE("text cut: at every cut the pieces of the whole are those of both parts") {
  for (const Scanner scanner : {scan_deepseek, scan_gpt2, scan_llama3, scan_qwen2}) {
    const TextCutter cutter(cuts_of(scanner), CutCharacters::any, {});
    std::mt19937 random(5);
    int found = 0;
    for (int i = 0; i < 4000; ++i) {
      const std::string text = random_text(random, 20);
      const std::vector<std::string> expected = pieces_of(scanner, text);
      for (const size_t cut : all_cuts(cutter, text)) {
        std::vector<std::string> pieces = pieces_of(scanner, text.substr(0, cut));
        for (std::string& piece : pieces_of(scanner, text.substr(cut))) pieces.push_back(std::move(piece));
        CAPTURE(text);
        CAPTURE(cut);
        REQUIRE(pieces == expected);
        ++found;
      }
    }
    CHECK(found > 4000);
  }
}

TEST_CASE("text cut: every kind of place, and none in what has none") {
  const TextCutter deepseek(Cuts::deepseek, CutCharacters::any, {});
  const TextCutter gpt2(Cuts::words, CutCharacters::any, {});
  const auto cut = [](const TextCutter& cutter, const std::string& text) { return cutter.last_cut(text, 0); };
  CHECK(cut(deepseek, "ab cd") == 2);
  CHECK(cut(deepseek, "ab.") == 2);
  CHECK(cut(deepseek, "12a") == 2);
  CHECK(cut(deepseek, ". ") == 1);
  CHECK(cut(deepseek, "\n ") == 0);
  CHECK(cut(deepseek, "\na") == 1);
  CHECK(cut(gpt2, "\na") == 0);
  CHECK(cut(deepseek, "a中") == 1);
  CHECK(cut(gpt2, "a中") == 0);
  CHECK(cut(deepseek, "a\xe4\xb8") == 0);  // a character that is not there yet
  CHECK(cut(deepseek, "ab cd\xff\xfe\xf8") == 2);
  CHECK(deepseek.last_cut("ab cd ef", 5) == 0);
  CHECK(deepseek.last_cut("ab cd ef", 4) == 5);
  for (const char* text : {"", "a", "aaaa", "    ", "\n\n\n", "====", "111", "中中"})
    CHECK(cut(deepseek, text) == 0);
  CHECK(cut(TextCutter(Cuts::none, CutCharacters::any, {}), "ab cd") == 0);
  CHECK(cut(TextCutter(Cuts::deepseek, CutCharacters::ascii, {}), "ab cdé fé é") == 2);
  CHECK(cut(TextCutter(Cuts::deepseek, CutCharacters::any, {"<b c>"}), "ax ab c") == 2);
  CHECK(cut(TextCutter(Cuts::deepseek, CutCharacters::any, {"<b c>"}), "ab c") == 0);
}

TEST_CASE("text cut: ids in parts are those of the whole, with added tokens and at any size of the parts") {
  const Tokenizer& tokenizer = shared_tokenizer("small-8k");
  std::mt19937 random(6);
  const char* const words[] = {" the", " cat", "。", "中文", "\n\n", "12345", "<｜begin▁of▁sentence｜>",
                               " ",    "'s",   "it", "("};
  for (int i = 0; i < 60; ++i) {
    std::string text = random_text(random, 200);
    for (int word = 0; word < 200; ++word) text += words[random() % std::size(words)];
    std::vector<int32_t> whole;
    tokenizer.encode(text, whole);
    for (const size_t bytes : {8, 31, 200}) CHECK((ids_in_parts(tokenizer, text, bytes) == whole));
  }
}

TEST_CASE("text cut: none where a file's normalizer, prefix or added tokens look further") {
  const TemporaryFolder folder;
  const auto cut = [&](const std::string& pointer, const Json& value) {
    Json file = small_file();
    file["pre_tokenizer"] = byte_level(false, true);
    if (!pointer.empty()) file[Json::json_pointer(pointer)] = value;
    write_bytes(folder / "tokenizer.json", file.dump());
    return JsonTokenizer(folder / "tokenizer.json").last_cut("ab é é", 0);
  };
  CHECK(cut("", nullptr) == 5);
  CHECK(cut("/normalizer", {{"type", "NFC"}}) == 2);
  CHECK(cut("/normalizer", {{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}}) == 0);
  CHECK(cut("/normalizer", {{"type", "Prepend"}, {"prepend", "_"}}) == 0);
  CHECK(cut("/pre_tokenizer/add_prefix_space", true) == 0);
  CHECK(cut("/pre_tokenizer", byte_level()) == 0);
  CHECK(cut("/added_tokens/0/lstrip", true) == 0);
  CHECK(cut("/added_tokens/0/single_word", true) == 0);
  CHECK(cut("/added_tokens/1", added_token(259, "é é")) == 2);
}
