#include "apps/inspect/describe.h"

#include <limits>
#include <sstream>

#include <doctest/doctest.h>

#include "data/checkpoint.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "tests/apps/hugging_face/folders.h"
#include "tests/apps/tiny_model.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::test;

namespace {

std::string description(const std::string& path) {
  std::ostringstream out;
  apps::describe_file(out, path, path);
  return out.str();
}

std::string message(const std::string& path) {
  return message_of<InputError>([&] { description(path); });
}

}  // namespace

TEST_CASE("inspect: a shard's counts, shapes and first lines") {
  const TemporaryFolder folder;
  const std::string path = folder / "s.h5";
  const data::ByteTokenizer tokenizer;
  data::ShardWriter writer(path, {tokenizer.vocab_size(), tokenizer.identity(), "a book"});
  for (const std::string text : {"two\nlines \x1b[31m", "caf\xc3\xa9", "\xc3"}) {
    std::vector<int32_t> tokens = {256};
    tokenizer.encode(text, tokens);
    writer.add(tokens, static_cast<int64_t>(text.size()));
  }
  writer.finish();
  writer.publish();
  const std::string text = description(path);
  INFO(text);
  CHECK(contains(text, "token shard: 3 documents, 24 tokens, 21 bytes of text"));
  CHECK(contains(text, "source a book"));
  CHECK(contains(text, "two\\nlines  [31m"));  // nothing that a terminal would obey
  CHECK(contains(text, "caf\xc3\xa9"));
  CHECK(contains(text, "\xEF\xBF\xBD"));
  CHECK(contains(text, "whole"));
  std::string bytes = read_bytes(path);
  bytes[bytes.size() / 2] ^= 1;
  write_bytes(path, bytes);
  CHECK(contains(message(path), "damaged: checksum differs"));
}

TEST_CASE("inspect: a checkpoint's parameters, step and configuration") {
  const TemporaryFolder folder;
  const std::string path = folder / "c.h5";
  data::Checkpoint checkpoint;
  checkpoint.header = {"[model]\nkind = \"dlcm\"\n", 12, 98304, {1}, 3, {{"tokenizer", "bytes"}}};
  checkpoint.model.emplace_back("encoder/layers/0/attention/q_proj", Tensor::full({4, 8}, 2.0));
  checkpoint.model.emplace_back("decoder/norm", Tensor::full({4}, std::numeric_limits<double>::quiet_NaN()));
  data::write_checkpoint(path, checkpoint);
  const std::string text = description(path);
  INFO(text);
  CHECK(contains(text, "step 12, tokens_seen 98304, 36 parameters in 2 tensors"));
  CHECK(contains(text, "kind = \"dlcm\""));
  CHECK(contains(text, "[4, 8]           rms 2"));
  CHECK(contains(text, "4 values are not finite"));
}

TEST_CASE("inspect: another HDF5 file is refused") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.h5";
  data::Hdf5Writer writer(path);
  writer.attribute("format", std::string("other"));
  writer.finish();
  writer.publish();
  CHECK(contains(message(path), "'format' is 'other'"));
  CHECK(contains(message(folder / "none.h5"), "No such file"));
}

TEST_CASE("inspect: a model folder") {
  const FolderCopy folder("tied_shards");
  std::ostringstream out;
  apps::describe_folder(out, folder.path());
  CHECK_MESSAGE(contains(out.str(), ": model folder: Qwen3ForCausalLM, 27376 parameters in 24 tensors"),
                out.str());
  CHECK(contains(out.str(), "  tokenizer tokenizer.json sha256="));
  CHECK(contains(out.str(), "; texts end with 1\n"));
  CHECK(contains(out.str(), "decoder/layers/1/attention/q_proj"));
  CHECK(contains(out.str(), "[48, 32]"));
  const ProgramRun whole = run_program("inspect", "'" + folder.path() + "'");
  CHECK(whole.code == 0);
  CHECK(whole.output == out.str());
  check_refused(run_program("inspect", "'" + folder / "model-00001-of-00003.safetensors" + "'"), 2,
                "is a file of a model's folder: give the folder, '" + folder.path() + "'");
  folder.remove("model-00001-of-00003.safetensors");
  const ProgramRun lost = run_program("inspect", "'" + folder.path() + "'");
  CHECK(lost.code == 2);
  CHECK(contains(lost.errors, "model-00001-of-00003.safetensors' is missing"));
}

TEST_CASE("inspect: a model folder whose tokenizer generate would refuse") {
  const auto message = [](const FolderCopy& folder) {
    std::ostringstream out;
    return message_of<InputError>([&] { apps::describe_folder(out, folder.path()); });
  };
  const FolderCopy cut("bf16");
  CHECK(message(cut) == "no exception");
  std::filesystem::resize_file(cut / "tokenizer.json", 1000);
  CHECK_MESSAGE(contains(message(cut), "/tokenizer.json': not JSON"), message(cut));
  const FolderCopy behind("bf16");
  behind.set("tokenizer.json", "post_processor", {{"type", "RobertaProcessing"}});
  CHECK_MESSAGE(contains(message(behind), "post_processor: 'RobertaProcessing' is not supported"),
                message(behind));
  const FolderCopy larger("bf16");
  nlohmann::json tokenizer = larger.json("tokenizer.json");
  for (int id = 270; id < 275; ++id) {
    nlohmann::json token = tokenizer["added_tokens"][0];
    token["content"] = concat("<more", id, ">");
    token["id"] = id;
    tokenizer["added_tokens"].push_back(token);
  }
  larger.write("tokenizer.json", tokenizer);
  CHECK_MESSAGE(contains(message(larger), "/tokenizer.json' has 275 ids, but the model in '"),
                message(larger));
  const FolderCopy none("bf16");
  none.remove("tokenizer.json");
  CHECK(message(none) == "no exception");
}
