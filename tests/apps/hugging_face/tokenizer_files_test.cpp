#include "apps/hugging_face/tokenizer_files.h"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "data/atomic_file.h"
#include "data/bpe/tokenizer_file.h"
#include "tests/apps/hugging_face/folders.h"

using namespace dlcm;
using namespace dlcm::apps;
using dlcm::test::contains;
using nlohmann::json;

namespace {

void write(const TokenizerFiles& files, const test::TemporaryFolder& folder) {
  data::write_file(folder / data::kTokenizerFile, files.tokenizer);
  data::write_file(folder / data::kTokenizerConfigFile, files.tokenizer_config);
}

std::vector<int32_t> ids_of(const data::Tokenizer& tokenizer, const std::string& text) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

}  // namespace

TEST_CASE("tokenizer files: bytes as a byte-level BPE") {
  LoadedModel model;
  model.tokenizer = data::ByteTokenizer().identity();
  const TokenizerFiles files = made_tokenizer_files(model, "");
  const test::TemporaryFolder folder;
  write(files, folder);
  const auto tokenizer = data::load_tokenizer(folder / data::kTokenizerFile);
  CHECK(tokenizer->identity() == tokenizer_file_identity(files.tokenizer));
  CHECK(tokenizer->vocab_size() == 257);
  CHECK(tokenizer->begin_id() == 256);
  CHECK(tokenizer->end_id() == 256);
  std::string all;
  for (int byte = 1; byte < 128; ++byte) all += static_cast<char>(byte);
  all += "\u20ac \U0001f642 12  a\n\n";
  CHECK(ids_of(*tokenizer, all) == ids_of(data::ByteTokenizer(), all));
  for (int32_t id = 0; id < 257; ++id) CHECK(tokenizer->decode(id) == data::ByteTokenizer().decode(id));
}

TEST_CASE("tokenizer files: a tokenizer.json with the begin token in front, otherwise as it was") {
  const std::string file = test::golden_folder("bf16") + "/tokenizer.json";
  const auto old = data::load_tokenizer(file);
  LoadedModel model;
  model.tokenizer = old->identity();
  model.config.train.context = 512;
  CHECK(made_tokenizer_files(model, "").tokenizer.empty());  // it is nowhere
  model.tokenizer_places = {"/nowhere/tokenizer.json", file};
  const TokenizerFiles files = made_tokenizer_files(model, "");
  CHECK(made_tokenizer_files(model, file).tokenizer == files.tokenizer);
  CHECK(files.begin == old->begin_id());
  CHECK(files.end == old->end_id());
  const test::TemporaryFolder folder;
  write(files, folder);
  const auto tokenizer = data::load_tokenizer(folder / data::kTokenizerFile);
  const std::string text = "Alice was beginning to get very tired, na\u00efve.";
  CHECK(ids_of(*tokenizer, text) == ids_of(*old, text));
  CHECK(tokenizer->begin_id() == old->begin_id());
  CHECK(tokenizer->end_id() == old->end_id());
  json changed = json::parse(files.tokenizer);
  json before = json::parse(test::read_bytes(file));
  CHECK(changed["post_processor"]["single"][0]["SpecialToken"]["id"] == "<|im_end|>");
  changed.erase("post_processor");
  before.erase("post_processor");
  CHECK(changed == before);
  const json config = json::parse(files.tokenizer_config);
  CHECK(config["tokenizer_class"] == "PreTrainedTokenizerFast");
  CHECK(config["model_max_length"] == 512);

  // The order of the keys, too.
  const std::string written = nlohmann::ordered_json::parse(test::read_bytes(file))["model"].dump();
  CHECK(contains(files.tokenizer, "\"model\":" + written));

  model.tokenizer = "tokenizer.json sha256=1";
  CHECK(contains(test::message_of<InputError>([&] { made_tokenizer_files(model, file); }),
                 "but the tokenizer of"));
}

// In time that grows with the square of its size this would take minutes.
TEST_CASE("tokenizer files: a large vocabulary") {
  const test::TemporaryFolder folder;
  json file = json::parse(data::bytes_tokenizer_json("<|endoftext|>"));
  file["added_tokens"][0]["content"] = "<s>";
  file["added_tokens"][0]["id"] = 150'000;
  for (int id = 256; id < 150'000; ++id) file["model"]["vocab"][concat("token", id)] = id;
  data::write_file(folder / data::kTokenizerFile, file.dump());
  LoadedModel model;
  model.tokenizer = data::load_tokenizer(folder / data::kTokenizerFile)->identity();
  CHECK(made_tokenizer_files(model, folder / data::kTokenizerFile).begin == 150'000);
}
