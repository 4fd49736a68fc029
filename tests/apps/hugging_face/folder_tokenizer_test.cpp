#include "apps/hugging_face/folder_tokenizer.h"

#include <doctest/doctest.h>

#include "tests/apps/hugging_face/folders.h"

using namespace dlcm;
using namespace dlcm::apps;
using dlcm::test::contains;
using dlcm::test::FolderCopy;
using nlohmann::json;

namespace {

json begin_template(bool behind) {
  json single = json::array({{{"SpecialToken", {{"id", "<|im_end|>"}, {"type_id", 0}}}},
                             {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}});
  if (behind) single.push_back(single[0]);
  return {
      {"type", "TemplateProcessing"},
      {"single", single},
      {"pair", json::array()},
      {"special_tokens", {{"<|im_end|>", {{"id", "<|im_end|>"}, {"ids", {1}}, {"tokens", {"<|im_end|>"}}}}}}};
}

std::vector<int32_t> begin_of(const FolderCopy& folder) {
  return tokenizer_of(load_description(folder.path()))->prompt_begin();
}

}  // namespace

TEST_CASE("folder tokenizer: prompts begin as the post-processor says") {
  const FolderCopy folder("bf16");
  CHECK(begin_of(folder).empty());
  folder.set("tokenizer.json", "post_processor", begin_template(false));
  CHECK(begin_of(folder) == std::vector<int32_t>{1});
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
  folder.set("tokenizer.json", "post_processor",
             {{"type", "Sequence"}, {"processors", json::array({byte_level, begin_template(false)})}});
  CHECK(begin_of(folder) == std::vector<int32_t>{1});
  folder.set("tokenizer.json", "post_processor", byte_level);
  CHECK(begin_of(folder).empty());
  folder.set("tokenizer.json", "post_processor", begin_template(true));
  const std::string message = test::message_of<InputError>([&] { begin_of(folder); });
  CHECK_MESSAGE(
      contains(message, "post_processor.single[2]: a token behind the text, '<|im_end|>', is not supported"),
      message);
}

TEST_CASE("folder tokenizer: a token in front that the model does not have is named") {
  const FolderCopy folder("bf16");
  json post_processor = begin_template(false);
  for (auto& [name, token] : post_processor["special_tokens"].items()) token["ids"] = {9000};
  folder.set("tokenizer.json", "post_processor", post_processor);
  const std::string message = test::message_of<InputError>([&] { begin_of(folder); });
  CHECK_MESSAGE(contains(message, "/tokenizer.json': post_processor.special_tokens."), message);
  CHECK_MESSAGE(contains(message, ".ids[0]: found 9000, allowed are 0 to 272"), message);
}

// In time that grows with the square of their number this would take minutes.
TEST_CASE("folder tokenizer: a template of many tokens") {
  const FolderCopy folder("bf16");
  json post_processor = begin_template(false);
  constexpr int kCount = 30'000;
  for (int i = 0; i < kCount; ++i) {
    const std::string name = concat("t", i);
    post_processor["single"].push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
    post_processor["special_tokens"][name] = {{"id", name}, {"ids", {1}}, {"tokens", {name}}};
  }
  std::swap(post_processor["single"][1], post_processor["single"].back());  // the text comes last
  folder.set("tokenizer.json", "post_processor", post_processor);
  CHECK(begin_of(folder).size() == kCount + 1);
  post_processor["special_tokens"].erase("t7");
  folder.set("tokenizer.json", "post_processor", post_processor);
  const std::string message = test::message_of<InputError>([&] { begin_of(folder); });
  CHECK_MESSAGE(contains(message, "post_processor.single[9]: the token 't7' is not one of special_tokens"),
                message);
}

TEST_CASE("folder tokenizer: it must be the model's") {
  const FolderCopy folder("bf16");
  folder.set("config.json", "vocab_size", 200);
  std::string message = test::message_of<InputError>([&] { begin_of(folder); });
  CHECK_MESSAGE(message == concat("'", folder / "tokenizer.json", "' has 270 ids, but the model in '",
                                  folder.path(), "' 200: it is not the model's tokenizer"),
                message);

  const FolderCopy other("bf16");
  other.set("tokenizer.json", "post_processor", begin_template(false));
  const LoadedModel loaded = load_description(test::golden_folder("bf16"));
  message = test::message_of<InputError>([&] { tokenizer_of(loaded, other / "tokenizer.json"); });
  CHECK_MESSAGE(contains(message, loaded.tokenizer), message);
  CHECK(tokenizer_of(loaded, test::golden_folder("tied_shards") + "/tokenizer.json")->identity() ==
        loaded.tokenizer);
}

TEST_CASE("folder tokenizer: a tokenizer.json made for the folder stands for the one of the shards") {
  const FolderCopy folder("bf16");
  const std::string shards = load_description(folder.path()).tokenizer;
  folder.set("tokenizer.json", "post_processor", begin_template(false));
  const std::string made = load_description(folder.path()).tokenizer;
  CHECK(made != shards);
  folder.set("config.json", "dlcm_tokenizer", {{"identity", shards}, {"file", made}});
  CHECK(load_description(folder.path()).tokenizer == shards);
  // Shards of either are the model's.
  CHECK(load_description(folder.path()).tokenizers() == std::vector<std::string>{shards, made});
  CHECK(tokenizer_of(load_description(folder.path()))->identity() == shards);
  // Replaced by another, it stands for itself.
  folder.set("tokenizer.json", "post_processor", nullptr);
  CHECK(load_description(folder.path()).tokenizer != shards);
}
