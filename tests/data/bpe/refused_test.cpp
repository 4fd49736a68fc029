// Files that are damaged, wrong or hold what is not supported: one InputError each, that names the place.
#include <doctest/doctest.h>

#include "tests/data/bpe/small_file.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

struct Change {
  const char* pointer;  // where in the file
  Json value;
  const char* message;  // a part of it
};

Json pattern(const std::string& regex) {
  return sequence_of({split_step(regex), byte_level()});
}

void check_changes(const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    Json file = small_file();
    file[Json::json_pointer(change.pointer)] = change.value;
    const std::string message = load_message(file.dump());
    INFO(change.pointer, " = ", change.value.dump(), ": ", message);
    CHECK(contains(message, "tokenizer.json': "));
    CHECK(contains(message, change.message));
    CHECK_FALSE(contains(message, "\n"));
  }
}

}  // namespace

TEST_CASE("tokenizer.json: what is not supported is refused by name") {
  CHECK(load_message(small_file().dump()) == "no exception");
  check_changes({
      {"/version", "2.0", "'2.0' is not supported"},
      {"/truncation", Json::object(), "truncation: is not supported"},
      {"/padding", {{"strategy", "BatchLongest"}}, "padding: is not supported"},
      {"/normalizer", {{"type", "BertNormalizer"}}, "normalizer: 'BertNormalizer' is not supported"},
      {"/normalizer",
       {{"type", "Sequence"}, {"normalizers", {{{"type", "Nmt"}}}}},
       "normalizer.normalizers[0]: 'Nmt'"},
      {"/normalizer",
       {{"type", "Replace"}, {"pattern", {{"Regex", "a*"}}}, {"content", ""}},
       "matches the empty text is not supported"},
      {"/normalizer", byte_level(), "'ByteLevel' is not supported"},
      {"/pre_tokenizer", nullptr, "pre_tokenizer: there is none"},
      {"/pre_tokenizer", {{"type", "Metaspace"}}, "'Metaspace' is not supported"},
      {"/pre_tokenizer", sequence_of({byte_level(), byte_level()}), "supported as the last alone"},
      {"/pre_tokenizer", split_step("a"), "'Split' is the last"},
      {"/pre_tokenizer", sequence_of(Json::array()), "it is empty"},
      {"/pre_tokenizer", sequence_of({split_step("a", "Kept"), byte_level()}),
       "behavior: 'Kept' is not supported"},
      {"/post_processor", {{"type", "BertProcessing"}}, "'BertProcessing' is not supported"},
      {"/decoder", {{"type", "WordPiece"}}, "'WordPiece' is not supported"},
      {"/decoder", nullptr, "decoder: there is none"},
      {"/model/type", "WordPiece", "model.type: 'WordPiece' is not supported"},
      {"/model/dropout", 0.1, "dropout is not supported"},
      {"/model/continuing_subword_prefix", "##", "continuing_subword_prefix is not supported"},
      {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix is not supported"},
  });
}

TEST_CASE("tokenizer.json: unknown tokens matter where bytes are missing alone") {
  Json file = small_file();
  file["model"]["unk_token"] = "<s>";
  file["model"]["byte_fallback"] = true;
  CHECK(load_message(file.dump()) == "no exception");
  file["model"]["vocab"].erase("!");
  file["model"]["vocab"]["!!"] = 33;
  CHECK(contains(load_message(file.dump()), "model.unk_token: an unk_token is not supported"));
  file["model"]["unk_token"] = nullptr;
  CHECK(contains(load_message(file.dump()), "byte_fallback is not supported"));
}

TEST_CASE("tokenizer.json: expressions that PCRE2 reads differently are refused by name") {
  std::vector<Change> changes;
  const std::pair<const char*, const char*> expressions[] = {{"\\h", "'\\h'"},
                                                             {"\\bword", "'\\b'"},
                                                             {"\\w+", "'\\w'"},
                                                             {"a{,3}", "repetition"},
                                                             {"a{2}+", "repetition"},
                                                             {"a{2}?", "repetition"},
                                                             {"(?m:.)", "'(?m'"},
                                                             {"(?~a)", "'(?~'"},
                                                             {"(?<name>a)", "'(?<'"},
                                                             {"[a[bc]]", "'[' within"},
                                                             {"[a&&b]", "'&&' within"},
                                                             {"[^\\S]", "'\\S' within"},
                                                             {"(?i:strasse)", "'st'"},
                                                             {"(?i:é)", "beyond ASCII"},
                                                             {"\\p{Script=Han}", "'\\p{Script=Han}'"},
                                                             {"\\K", "'\\K'"},
                                                             {"(a)\\1", "'\\1'"},
                                                             {"[a", "without ']'"},
                                                             {"(a", "does not take this regular expression"},
                                                             {"a)", "')' without"},
                                                             {"*a", "does not take this regular expression"},
                                                             {"\\xe4", "a byte"},
                                                             {"(*UTF)a", "'(*'"},
                                                             {"\\p{Greek", "without a name"}};
  for (const auto& [expression, message] : expressions) {
    changes.push_back({"/pre_tokenizer", pattern(expression), message});
  }
  check_changes(changes);
}

TEST_CASE("tokenizer.json: wrong values are one InputError that says where") {
  check_changes({
      {"/model", 3, "model: expected an object, found number"},
      {"/model/vocab", Json::array(), "model.vocab: expected an object, found array"},
      {"/model/vocab/ab", "x", "the token 'ab' has the id \"x\""},
      {"/model/vocab/ab", -1, "the token 'ab' has the id -1"},
      {"/model/vocab/ab", 1LL << 40, "the token 'ab' has the id 1099511627776"},
      {"/model/vocab/ab", 1.5, "the token 'ab' has the id 1.5"},
      {"/model/vocab/ab", 3, "the id 3 is given to two tokens"},
      {"/model/merges", "a b", "model.merges: expected an array, found string"},
      {"/model/merges/0", "a b c", "model.merges[0]: expected two tokens"},
      {"/model/merges/0", {"a"}, "model.merges[0]: expected two tokens"},
      {"/model/merges/0", "a x", "model.merges[0]: the token 'ax' is not in the vocabulary"},
      {"/model/merges/0", {"zz", "a"}, "the token 'zz' is not in the vocabulary"},
      {"/model/merges/0", {"", "a"}, "an empty token"},
      {"/model/ignore_merges", "yes", "expected true or false, found string"},
      {"/added_tokens/0/id", 7, "the token '<s>' has the id 7, expected 258, the next one"},
      {"/added_tokens/0/id", "7", "added_tokens[0].id: expected a whole number"},
      {"/added_tokens/0/content", "", "an empty content"},
      {"/added_tokens/0/content", "ab", "has the id 258, expected 256, as in model.vocab"},
      {"/added_tokens/1", added_token(258, "<s>"), "the token '<s>' is there twice"},
      {"/added_tokens/0/special", false, "no begin or end token: name them"},
      {"/added_tokens", 1, "added_tokens: expected an array"},
      {"/pre_tokenizer/add_prefix_space", "no", "expected true or false, found string"},
      {"/pre_tokenizer", {{"type", 3}}, "pre_tokenizer.type: expected a string, found number"},
      {"/pre_tokenizer", Json::object(), "pre_tokenizer: the field 'type' is missing"},
  });
}

TEST_CASE("tokenizer.json: missing fields and files cut short") {
  for (const char* key : {"model", "pre_tokenizer", "decoder"}) {
    Json file = small_file();
    file.erase(key);
    CHECK(contains(load_message(file.dump()), concat("the field '", key, "' is missing")));
  }
  for (const char* key : {"vocab", "merges"}) {
    Json file = small_file();
    file["model"].erase(key);
    CHECK(contains(load_message(file.dump()), concat("model: the field '", key, "' is missing")));
  }
  const std::string whole = small_file().dump();
  for (size_t bytes = 1; bytes < whole.size(); bytes += 97) {
    CHECK(contains(load_message(whole.substr(0, bytes)), "not JSON"));
  }
  CHECK(contains(load_message(""), "tokenizer.json' is empty"));
  CHECK(contains(load_message("[]"), "expected an object, found array"));
}

TEST_CASE("tokenizer.json: begin and end by tokenizer_config.json or by well-known names") {
  const TemporaryFolder folder;
  Json file = small_file();
  file["added_tokens"].push_back(added_token(259, "</s>"));
  write_bytes(folder / "tokenizer.json", file.dump());
  const auto ends = [&] {
    const JsonTokenizer tokenizer(folder / "tokenizer.json");
    return std::pair(tokenizer.begin_id(), tokenizer.end_id());
  };
  CHECK(ends() == std::pair(258, 259));
  write_bytes(folder / "tokenizer_config.json", R"({"bos_token": {"content": "ab"}, "eos_token": "<s>"})");
  CHECK(ends() == std::pair(256, 258));
  write_bytes(folder / "tokenizer_config.json", R"({"bos_token": null, "eos_token": "abc"})");
  CHECK(ends() == std::pair(257, 257));
  write_bytes(folder / "tokenizer_config.json", R"({"eos_token": "<none>"})");
  CHECK(contains(message_of<InputError>(ends), "eos_token: the token '<none>' is not one of tokenizer.json"));
  write_bytes(folder / "tokenizer_config.json", "{");
  CHECK(contains(message_of<InputError>(ends), "tokenizer_config.json': not JSON"));
}
