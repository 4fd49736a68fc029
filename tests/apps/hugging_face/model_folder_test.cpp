#include "apps/hugging_face/model_folder.h"

#include <cmath>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "apps/generation/generator.h"
#include "autograd/tape.h"
#include "data/safetensors.h"
#include "tests/apps/hugging_face/folders.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::apps;
using dlcm::test::contains;
using dlcm::test::FolderCopy;
using nlohmann::json;

namespace {

json expected_of(const std::string& name) {
  return json::parse(test::read_bytes(test::golden_folder(name) + "/expected.json"));
}

std::string refusal(const FolderCopy& folder) {
  return test::message_of<InputError>([&] { load_model(folder.path()); });
}

// Every tensor of the one file of the folder "bf16", after a change.
template <class Change>
std::string refusal_of_tensors(const Change& change, bool tied = false) {
  const FolderCopy folder("bf16");
  folder.set("config.json", "tie_word_embeddings", tied);
  std::vector<std::pair<std::string, Tensor>> tensors;
  {
    const data::SafetensorsReader reader(folder / "model.safetensors");
    for (const auto& [name, info] : reader.tensors()) tensors.emplace_back(name, reader.read_f32(name));
  }
  change(tensors);
  data::write_safetensors(folder / "model.safetensors", tensors, DType::f32);
  return refusal(folder);
}

Tensor& find(std::vector<std::pair<std::string, Tensor>>& tensors, const std::string& name) {
  for (auto& [other, tensor] : tensors) {
    if (other == name) return tensor;
  }
  throw Error("no tensor " + name);
}

}  // namespace

TEST_CASE("model folder: ids, logits and greedy text are those of transformers") {
  for (const char* name : {"tied_shards", "bf16"}) {
    CAPTURE(name);
    const LoadedModel loaded = load_model(test::golden_folder(name));
    const auto tokenizer = tokenizer_of(loaded);
    const autograd::NoGrad no_grad;
    for (const json& expected : expected_of(name)) {
      std::vector<int32_t> ids = tokenizer->prompt_begin();
      tokenizer->encode(expected["text"].get<std::string>(), ids);
      CHECK(ids == expected["ids"].get<std::vector<int32_t>>());
      const Tensor hidden = loaded.model->forward(single_document(ids), {}).hidden.value();
      const Tensor logits = loaded.model->logits(hidden);
      const auto rows = static_cast<int64_t>(expected["logits"].size());
      for (int64_t row = 0; row < rows; ++row) {
        const std::vector<double> wanted = expected["logits"][static_cast<size_t>(row)];
        const int64_t at = logits.size(0) - rows + row;
        REQUIRE(static_cast<int64_t>(wanted.size()) == logits.size(1));
        double worst = 0;
        for (int64_t v = 0; v < logits.size(1); ++v) {
          worst =
              std::max(worst, std::abs(wanted[static_cast<size_t>(v)] -
                                       static_cast<double>(logits.data<float>()[at * logits.size(1) + v])));
        }
        CHECK(worst < 1e-4);
      }
      GenerationOptions options;
      options.sampler.temperature = 0;
      options.max_tokens = 12;
      const std::vector<Generation> made =
          generate(*loaded.model, *tokenizer, {expected["text"].get<std::string>()}, options);
      CHECK(made[0].tokens == expected["greedy"].get<std::vector<int32_t>>());
    }
  }
}

TEST_CASE("model folder: what it says of the model") {
  const LoadedModel tied = load_description(test::golden_folder("tied_shards"));
  CHECK(tied.model == nullptr);
  const ModelConfig& model = tied.config.model;
  CHECK(model.kind == ModelKind::transformer);
  CHECK(model.tied_embeddings);
  CHECK_FALSE(model.mup.enabled);
  CHECK(model.token.head_dim() == 12);
  CHECK(model.rope_base == 5e5);
  CHECK(model.norm_epsilon == 1e-5);
  CHECK(tied.config.train.context == 256);
  CHECK(tied.tokenizer.starts_with("tokenizer.json sha256="));
  CHECK(is_model_folder(test::golden_folder("bf16")));
  CHECK_FALSE(is_model_folder(test::source_folder() + "/tests"));
  CHECK_FALSE(is_model_folder(test::golden_folder("bf16") + "/config.json"));
}

TEST_CASE("model folder: ids beyond the tokenizer's stand for nothing, a text ends where the files say") {
  const FolderCopy folder("bf16");
  folder.set("generation_config.json", "eos_token_id", {1, 34, 272});
  const auto tokenizer = tokenizer_of(load_model(folder.path()));
  CHECK(tokenizer->vocab_size() == 273);
  CHECK(tokenizer->decode(272).empty());
  CHECK(tokenizer->decode(0) == "<|endoftext|>");
  CHECK(tokenizer->decode(34) == "A");  // no special token: a part of the text that it ends
  CHECK(tokenizer->decode(35) == "B");
  CHECK_THROWS_AS(tokenizer->decode(273), InputError);
  CHECK(tokenizer->prompt_begin().empty());
  for (const int32_t id : {1, 34, 272}) CHECK(tokenizer->ends_text(id));
  CHECK_FALSE(tokenizer->ends_text(0));
  folder.remove("generation_config.json");
  folder.set("config.json", "eos_token_id", 0);
  const auto other = tokenizer_of(load_model(folder.path()));
  CHECK(other->ends_text(0));
  CHECK(other->is_special(0));
  CHECK_FALSE(other->is_special(34));
  folder.set("config.json", "eos_token_id", nullptr);
  CHECK_FALSE(tokenizer_of(load_model(folder.path()))->ends_text(1));
}

TEST_CASE("model folder: tensors that transformers leaves behind are passed over") {
  const auto add = [](auto& tensors) {
    tensors.emplace_back("model.layers.0.self_attn.rotary_emb.inv_freq", Tensor::zeros({4}));
  };
  CHECK(refusal_of_tensors(add) == "no exception");
}

TEST_CASE("model folder: a tied model's lm_head.weight is the embedding, or the folder is refused") {
  const auto refusal_of_head = [](const auto& change) {
    const auto change_head = [&](auto& tensors) {
      Tensor& head = find(tensors, "lm_head.weight");
      head = find(tensors, "model.embed_tokens.weight").clone();
      change(head);
    };
    return refusal_of_tensors(change_head, true);
  };
  const std::string expected =
      "/model.safetensors': the tensor 'lm_head.weight' is not 'model.embed_tokens.weight', but config.json "
      "ties them: set tie_word_embeddings to false there, and both are read";
  CHECK(refusal_of_head([](Tensor&) {}) == "no exception");
  std::string message = refusal_of_head([](Tensor& head) { head.data<float>()[head.numel() - 1] += 1; });
  CHECK_MESSAGE(contains(message, expected), message);
  message = refusal_of_head([](Tensor& head) { head = Tensor::zeros({3}); });
  CHECK_MESSAGE(contains(message, expected), message);
}

TEST_CASE("model folder: bad weights are named by file and tensor") {
  const std::string q = "model.layers.0.self_attn.q_proj.weight";
  std::string message = refusal_of_tensors([&](auto& tensors) {
    find(tensors, q) = Tensor::zeros({32, 23});
  });
  CHECK_MESSAGE(contains(message, "/model.safetensors': tensor '" + q +
                                      "' has shape [32, 23], but config.json says [32, 24]"),
                message);
  message = refusal_of_tensors([&](auto& tensors) { find(tensors, q).template data<float>()[5] = NAN; });
  CHECK_MESSAGE(contains(message, "tensor '" + q + "' has values that are not finite"), message);
  message = refusal_of_tensors(
      [&](auto& tensors) { std::erase_if(tensors, [&](const auto& entry) { return entry.first == q; }); });
  CHECK_MESSAGE(contains(message, "there is no tensor '" + q + "', but config.json says so"), message);
  message = refusal_of_tensors([](auto& tensors) { tensors.emplace_back("model.bias", Tensor::zeros({3})); });
  CHECK_MESSAGE(contains(message, "the tensor 'model.bias' is none of the model's"), message);

  const FolderCopy cut("bf16");
  std::filesystem::resize_file(cut / "model.safetensors", 20000);
  CHECK_MESSAGE(contains(refusal(cut), "model.safetensors'"), refusal(cut));
  const FolderCopy lost("tied_shards");
  lost.remove("model-00002-of-00003.safetensors");
  CHECK_MESSAGE(contains(refusal(lost), "model-00002-of-00003.safetensors' is missing"), refusal(lost));
  const FolderCopy none("bf16");
  none.remove("model.safetensors");
  CHECK_MESSAGE(contains(refusal(none), "holds neither 'model.safetensors' nor"), refusal(none));
}

TEST_CASE("model folder: bad configurations are named") {
  const FolderCopy folder("bf16");
  test::write_bytes(folder / "config.json", "{\"model_type\": qwen3}");
  CHECK_MESSAGE(contains(refusal(folder), "config.json': not JSON"), refusal(folder));
  test::write_bytes(folder / "config.json", "");
  CHECK_MESSAGE(contains(refusal(folder), "config.json' is empty"), refusal(folder));
  test::write_bytes(folder / "config.json", "[]");
  CHECK_MESSAGE(contains(refusal(folder), "expected an object"), refusal(folder));
  test::write_bytes(folder / "config.json", R"({"model_type": "llama"})");
  CHECK_MESSAGE(contains(refusal(folder), "model_type: 'llama' is not supported; supported: qwen3, dlcm"),
                refusal(folder));
  test::write_bytes(folder / "config.json", R"({"model_type": "dlcm"})");
  CHECK_MESSAGE(contains(refusal(folder), "config.toml' is missing"), refusal(folder));
  const FolderCopy generation("bf16");
  test::write_bytes(generation / "generation_config.json", R"({"eos_token_id": "end"})");
  CHECK_MESSAGE(contains(refusal(generation), "eos_token_id: expected a whole number"), refusal(generation));
  generation.set("generation_config.json", "eos_token_id", {1, 273});
  const std::string beyond = "_config.json': eos_token_id[1]: found 273, allowed are 0 to 272";
  CHECK_MESSAGE(contains(refusal(generation), beyond), refusal(generation));
  generation.remove("generation_config.json");
  generation.set("config.json", "eos_token_id", 273);
  CHECK_MESSAGE(contains(refusal(generation), "/config.json': eos_token_id: found 273"), refusal(generation));
}

TEST_CASE("model folder: a named pipe or a folder in a file's place is refused at once") {
  for (const char* name :
       {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"}) {
    const FolderCopy folder("bf16");
    const auto message = [&] {
      return test::message_of<InputError>([&] { tokenizer_of(load_description(folder.path())); });
    };
    const std::string expected = concat("cannot read '", folder / name, "': it is not a file");
    if (std::filesystem::exists(folder / name)) folder.remove(name);
    REQUIRE(mkfifo((folder / name).c_str(), 0600) == 0);
    CHECK(message() == expected);
    folder.remove(name);
    std::filesystem::create_directory(folder / name);
    CHECK(message() == expected);
  }
}

TEST_CASE("programs take a model folder") {
  const FolderCopy folder("tied_shards");
  const std::string model = "--checkpoint '" + folder.path() + "' ";
  const json expected = expected_of("tied_shards")[0];
  const test::ProgramRun text =
      test::run_program("generate", model + "--temperature 0 --max-tokens 12 --json --prompt '" +
                                        expected["text"].get<std::string>() + "'");
  CHECK_MESSAGE(text.code == 0, text.errors);
  CHECK(json::parse(text.output)["tokens"] == expected["greedy"]);

  const test::TemporaryFolder data;
  const test::ProgramRun tokenized = test::run_program(
      "tokenize", "--tokenizer '" + folder / "tokenizer.json" + "' --output '" + data.path() + "' -",
      "Alice was beginning to get very tired.");
  CHECK_MESSAGE(tokenized.code == 0, tokenized.errors);
  const test::ProgramRun evaluated =
      test::run_program("evaluate", model + "--data '" + data / "train-00000.h5" + "'");
  CHECK_MESSAGE(evaluated.code == 0, evaluated.errors);
  CHECK(json::parse(evaluated.output)["loss"].get<double>() > 0);

  const auto refused = [&](const std::string& program, const std::string& arguments,
                           const std::string& part) {
    const test::ProgramRun run = test::run_program(program, model + arguments);
    CHECK_MESSAGE(run.code == 2, run.errors);
    CHECK(std::count(run.errors.begin(), run.errors.end(), '\n') == 1);
    CHECK_MESSAGE(contains(run.errors, part), run.errors);
  };
  const auto refused_source = [&](const std::string& file) {
    check_refused(test::run_program("generate", "--checkpoint '" + file + "'"), 2,
                  "is a file of a model's folder: give the folder, '" + folder.path() + "'");
  };
  refused_source(folder / "config.json");
  refused_source(folder / "model-00001-of-00003.safetensors");
  refused("generate", "--prompt ''", "prompt 1 is empty, and the model's tokenizer puts no token in front");
  refused("segment", "text", "the model is a transformer, which has no concepts");
  folder.remove("tokenizer.json");
  refused("generate", "--prompt a",
          "has no tokenizer.json: put the model's there, or name it by --tokenizer");
  const test::ProgramRun unknown =
      test::run_program("evaluate", model + "--data '" + data / "train-00000.h5" + "'");
  CHECK(unknown.code == 0);
  CHECK(unknown.output == evaluated.output);
  CHECK_MESSAGE(contains(unknown.errors, "evaluate: note: '" + folder.path() + "' has no tokenizer.json"),
                unknown.errors);
  const test::ProgramRun named =
      test::run_program("generate", model + "--tokenizer '" + test::golden_folder("bf16") +
                                        "/tokenizer.json' --prompt a --max-tokens 1");
  CHECK_MESSAGE(named.code == 0, named.errors);
}
