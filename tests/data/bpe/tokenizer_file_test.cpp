#include "data/bpe/tokenizer_file.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "data/bpe/json_tokenizer.h"
#include "data/bpe/json_value.h"
#include "data/bpe/pre_tokenizer.h"
#include "tests/data/bpe/shared_tokenizers.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

constexpr char kText[] =
    "The cat sat on the mat, and the cat sat still. 中文分词，中文。 1234 é🙂\n\n  x\t\x01 (the "
    "end)";

TrainedTokens train_on_text() {
  PieceCounts counts;
  counts.add_text(kText);
  return train_byte_pairs(counts, {300, 0, {kBeginOfText, kEndOfText, kPad, "<|user|>", "\"quoted\" \\ Ω\n"}},
                          [](int64_t) {});
}

}  // namespace

TEST_CASE("tokenizer files: what was trained is read again and cuts text as training did") {
  const TemporaryFolder folder;
  const TrainedTokens trained = train_on_text();
  REQUIRE(trained.tokens.size() == 300);
  write_bytes(folder / "tokenizer.json", tokenizer_json(trained));
  for (const bool with_config : {false, true}) {
    if (with_config) write_bytes(folder / "tokenizer_config.json", tokenizer_config_json());
    const JsonTokenizer tokenizer(folder / "tokenizer.json");
    CHECK(tokenizer.vocab_size() == 300);
    CHECK(tokenizer.begin_id() == 0);
    CHECK(tokenizer.end_id() == 1);
    const std::vector<int32_t> ids = ids_of(tokenizer, kText);
    CHECK(ids.size() == trained.text_tokens);
    CHECK(text_of(tokenizer, ids) == kText);
    CHECK(ids_of(tokenizer, "<|pad|><|user|>") == std::vector<int32_t>{2, 3});
    CHECK(ids_of(tokenizer, "\"quoted\" \\ Ω\n") == std::vector<int32_t>{4});
  }
}

TEST_CASE("tokenizer files: the pre-tokenizer is the one whose pieces are counted") {
  const JsonDocument file("tokenizer.json", tokenizer_json(train_on_text()));
  const PreTokenizer pre_tokenizer(file.root()["pre_tokenizer"]);
  CHECK(pre_tokenizer.has_scanner());
  PieceCounts counts;
  counts.add_text(kText);
  PieceCounts by_expressions;
  pre_tokenizer.split_by_expressions(kText, [&](std::span<const std::string_view> pieces) {
    for (const std::string_view piece : pieces) by_expressions.add(piece, 1);
  });
  CHECK(by_expressions.pieces() == counts.pieces());
  CHECK(by_expressions.distinct() == counts.distinct());
  // The expressions of DeepSeek-V3 themselves.
  const nlohmann::json own = nlohmann::json::parse(tokenizer_json(train_on_text()));
  const nlohmann::json shared =
      nlohmann::json::parse(read_bytes(shared_data("tokenizers/small-8k/tokenizer.json")));
  for (size_t i = 0; i < 3; ++i) {
    CHECK(own["pre_tokenizer"]["pretokenizers"][i] == shared["pre_tokenizer"]["pretokenizers"][i]);
  }
}

TEST_CASE("tokenizer files: ids in their order, merges that older readers know") {
  const TrainedTokens trained = train_on_text();
  const auto file = nlohmann::ordered_json::parse(tokenizer_json(trained));
  size_t id = 0;
  for (const auto& entry : file["model"]["vocab"].items()) {
    CHECK(entry.key() == trained.tokens[id]);
    CHECK(entry.value() == id++);
  }
  CHECK(id == 300);
  CHECK(file["added_tokens"].size() == 5);
  CHECK(file["added_tokens"][3]["content"] == "<|user|>");
  CHECK(file["model"]["merges"].size() == trained.merges.size());
  CHECK(file["model"]["merges"][0].is_string());
}
