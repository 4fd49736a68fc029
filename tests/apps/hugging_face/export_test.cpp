#include "apps/hugging_face/export.h"

#include <doctest/doctest.h>

#include "apps/generation/generator.h"
#include "apps/hugging_face/names.h"
#include "autograd/tape.h"
#include "data/checkpoint.h"
#include "data/safetensors.h"
#include "tests/apps/hugging_face/folders.h"
#include "tests/apps/tiny_model.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::apps;
using dlcm::test::contains;
using dlcm::test::FolderCopy;
using nlohmann::json;

namespace {

struct Place {
  test::TemporaryFolder folder;
  std::string checkpoint = folder / "model.h5";
  std::string output = folder / "exported";
};

// A checkpoint of a tiny model whose unembedding is random.
Config write_model(const Place& place, ModelKind kind, bool tied = false, bool mup = true) {
  Config config = test::tiny_config(kind);
  config.model.tied_embeddings = tied;
  config.model.mup.enabled = mup;
  config.model.token.own_head_dim = 10;
  config.model.rope_base = 500;
  test::write_tiny_checkpoint(place.checkpoint, config, *test::tiny_model(config, 5));
  return config;
}

Tensor logits_of(const LoadedModel& loaded, const std::string& text) {
  const autograd::NoGrad no_grad;
  const auto tokenizer = tokenizer_of(loaded);
  std::vector<int32_t> ids = tokenizer->prompt_begin();
  tokenizer->encode(text, ids);
  return loaded.model->logits(loaded.model->forward(single_document(ids), {}).hidden.value());
}

std::vector<int32_t> greedy(const LoadedModel& loaded, const std::string& prompt) {
  GenerationOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = 20;
  return generate(*loaded.model, *tokenizer_of(loaded), {prompt}, options)[0].tokens;
}

ExportOptions to(const std::string& output) {
  ExportOptions options;
  options.output = output;
  return options;
}

json config_of(const std::string& folder) {
  return json::parse(test::read_bytes(folder + "/" + kFolderConfigFile));
}

}  // namespace

TEST_CASE("export: a transformer read back has the same logits and text") {
  for (const bool tied : {false, true}) {
    for (const bool mup : {false, true}) {
      CAPTURE(tied);
      CAPTURE(mup);
      const Place place;
      write_model(place, ModelKind::transformer, tied, mup);
      const LoadedModel model = load_model(place.checkpoint);
      const auto notes = export_model(model, to(place.output));
      CHECK(notes.size() == (tied && mup ? 1 : 0));
      const json config = config_of(place.output);
      CHECK(config["architectures"] == json::array({"Qwen3ForCausalLM"}));
      CHECK(config["tie_word_embeddings"] == (tied && !mup));
      CHECK(config["head_dim"] == 10);
      CHECK(config["rope_parameters"]["rope_theta"] == 500.0);
      CHECK(config["eos_token_id"] == 256);
      const LoadedModel exported = load_model(place.output);
      CHECK_CLOSE(logits_of(exported, "some text"), logits_of(model, "some text"), 1e-5);
      CHECK(greedy(exported, "ab") == greedy(model, "ab"));
      CHECK(greedy(exported, "") == greedy(model, ""));
      CHECK(exported.tokenizer == model.tokenizer);
      CHECK(exported.positions() == 32);
    }
  }
}

TEST_CASE("export: a DLCM read back is the same to the bit, its configuration in both files") {
  const Place place;
  const Config config = write_model(place, ModelKind::dlcm);
  LoadedModel model = load_model(place.checkpoint);
  model.config.train.initialize = "somewhere/here";  // stays here
  CHECK(export_model(model, to(place.output)).empty());
  const LoadedModel exported = load_model(place.output);
  CHECK(to_toml(exported.config) == to_toml(config));
  const auto parameters = model.model->parameters();
  REQUIRE(exported.model->parameters().size() == parameters.size());
  for (const nn::Parameter* parameter : parameters)
    CHECK(test::bit_equal(exported.model->parameter(parameter->path()).value(), parameter->value()));
  CHECK(greedy(exported, "ab") == greedy(model, "ab"));
  const json stored = config_of(place.output);
  CHECK(stored["architectures"] == json::array({"Dlcm"}));
  CHECK(stored["configuration"]["model"]["concept"]["width"] == 24);
  CHECK(stored["configuration"]["model"]["boundary"]["predictor"] == "decoupled");
  CHECK(stored["configuration"]["mup"]["enabled"] == true);
  CHECK(stored["configuration"]["train"]["context"] == 32);
}

TEST_CASE("export: a DLCM's config.json that says something else than config.toml is refused") {
  const Place place;
  write_model(place, ModelKind::dlcm);
  export_model(load_model(place.checkpoint), to(place.output));
  const json whole = config_of(place.output);
  const auto refusal = [&](const char* key, const json& value) {
    json changed = whole;
    changed[json::json_pointer(key)] = value;
    test::write_bytes(place.output + "/config.json", changed.dump());
    return test::message_of<InputError>([&] { load_description(place.output); });
  };
  CHECK(refusal("/vocab_size", whole["vocab_size"]) == "no exception");
  const std::string end = " is not that of '" + place.output + "/config.toml': both hold the configuration";
  const auto named = [&](const std::string& message, const std::string& part) {
    CHECK_MESSAGE(contains(message, "/config.json': " + part), message);
  };
  named(refusal("/configuration/model/concept/width", 26), "configuration: /model/concept/width" + end);
  named(refusal("/configuration/unknown", 1), "configuration: /unknown" + end);
  named(refusal("/configuration", 3), "configuration: expected an object, found number");
  named(refusal("/configuration", nullptr), "configuration: expected an object, found null");
  named(refusal("/vocab_size", 3), "vocab_size: 3" + end);
  named(refusal("/vocab_size", "257"), "vocab_size: expected a whole number, found string");
}

TEST_CASE("export: in bf16 the weights take half the bytes and are the rounded ones") {
  const Place place;
  write_model(place, ModelKind::transformer, false, false);
  const LoadedModel model = load_model(place.checkpoint);
  ExportOptions options = to(place.output);
  options.dtype = DType::bf16;
  export_model(model, options);
  CHECK(config_of(place.output)["dtype"] == "bfloat16");
  const data::SafetensorsReader file(place.output + "/model.safetensors");
  for (const auto& [name, info] : file.tensors()) CHECK(info.type == data::SafetensorsType::bf16);
  const LoadedModel exported = load_model(place.output);
  for (const nn::Parameter* parameter : model.model->parameters()) {
    const Tensor rounded = parameter->value().to(DType::bf16).to(DType::f32);
    CHECK(test::bit_equal(exported.model->parameter(parameter->path()).value(), rounded));
  }
}

TEST_CASE("export: a folder of others keeps its files, and exported again is the same") {
  const Place place;
  const LoadedModel model = load_model(test::golden_folder("tied_shards"));
  CHECK(export_model(model, to(place.output)).empty());
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}) {
    CHECK(test::read_bytes(place.output + "/" + name) ==
          test::read_bytes(test::golden_folder("tied_shards") + "/" + name));
  }
  const LoadedModel exported = load_model(place.output);
  CHECK(exported.config.model.tied_embeddings);
  CHECK(exported.positions() == model.positions());
  CHECK(exported.tokenizer == model.tokenizer);
  CHECK(test::bit_equal(logits_of(exported, "Alice"), logits_of(model, "Alice")));
  const std::string again = place.folder / "again";
  CHECK(export_model(exported, to(again)).empty());
  for (const char* name : {"config.json", "model.safetensors"}) {
    CHECK(test::read_bytes(again + "/" + name) == test::read_bytes(place.output + "/" + name));
  }
}

TEST_CASE("export: what a folder makes of bytes survives another export") {
  const Place place;
  write_model(place, ModelKind::transformer);
  const LoadedModel model = load_model(place.checkpoint);
  export_model(model, to(place.output));
  const std::string again = place.folder / "again";
  export_model(load_model(place.output), to(again));
  const LoadedModel exported = load_model(again);
  CHECK(exported.tokenizer == model.tokenizer);
  CHECK(greedy(exported, "ab") == greedy(model, "ab"));
}

TEST_CASE("export: an existing folder is replaced only where an export wrote it, and only when asked to") {
  const Place place;
  write_model(place, ModelKind::transformer);
  const LoadedModel model = load_model(place.checkpoint);
  ExportOptions options = to(place.output);
  std::filesystem::create_directory(place.output);  // empty: there is nothing to lose
  export_model(model, options);
  const auto refusal = [&] { return test::message_of<InputError>([&] { export_model(model, options); }); };
  CHECK(contains(refusal(), "is not empty: choose another, or replace an earlier export with --overwrite"));
  options.overwrite = Overwrite::yes;
  CHECK(refusal() == "no exception");
  test::write_bytes(place.output + "/mine.txt", "of value");
  CHECK(contains(refusal(), "holds 'mine.txt', which no export has written"));
  CHECK(test::read_bytes(place.output + "/mine.txt") == "of value");
  options.output = place.checkpoint;
  CHECK(contains(refusal(), "is a file, expected a folder"));
  CHECK(static_cast<size_t>(std::distance(std::filesystem::directory_iterator(place.folder.path()), {})) ==
        2);
}

TEST_CASE("export: a model whose tokenizer is nowhere") {
  const Place place;
  const Config config = test::tiny_config(ModelKind::transformer);
  data::Checkpoint checkpoint;
  write_model(place, ModelKind::transformer);
  checkpoint = data::read_checkpoint(place.checkpoint, data::CheckpointPart::model);
  checkpoint.header.extra["tokenizer"] = "words sha256=1";
  data::write_checkpoint(place.checkpoint, checkpoint);
  const auto notes = export_model(load_model(place.checkpoint), to(place.output));
  REQUIRE(notes.size() == 1);
  CHECK(contains(notes[0], "warning: the tokenizer 'words sha256=1' is not beside"));
  CHECK(load_model(place.output).model != nullptr);
}

TEST_CASE("export: a folder without a tokenizer") {
  const Place place;
  const FolderCopy folder("tied_shards");
  folder.remove("tokenizer.json");
  const auto notes = export_model(load_model(folder.path()), to(place.output));
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] ==
        "warning: '" + folder.path() + "' has no tokenizer.json: the folder has none; --tokenizer names it");
}

TEST_CASE("program export: exit codes and one line each") {
  const Place place;
  write_model(place, ModelKind::dlcm);
  const std::string model = "--checkpoint '" + place.checkpoint + "' ";
  const std::string output = "--output '" + place.output + "' ";
  const test::ProgramRun run = test::run_program("export", model + output);
  CHECK_MESSAGE(run.code == 0, run.errors);
  CHECK(run.output.empty());
  const auto refused = [&](const std::string& arguments, int code, const std::string& part) {
    const test::ProgramRun bad = test::run_program("export", arguments);
    CHECK(bad.code == code);
    CHECK_MESSAGE(contains(bad.errors, part), bad.errors);
    CHECK(std::count(bad.errors.begin(), bad.errors.end(), '\n') == 1);
  };
  refused(model + output, 2, "--overwrite");
  refused(model + output + "--overwrite --dtype f16", 2, "--dtype 'f16': expected f32 or bf16");
  refused(model, 2, "--output");
  refused("--checkpoint '" + place.folder / "none" + "' " + "--output '" + place.folder / "b" + "'", 2,
          "none");
  refused(model + "--output '" + place.checkpoint + "/a'", 1, "cannot write the folder");
  // A damaged export is a damaged folder.
  std::filesystem::resize_file(place.output + "/model.safetensors", 1000);
  refused("--checkpoint '" + place.output + "' --output '" + place.folder / "b" + "'", 2,
          "model.safetensors'");
  CHECK_FALSE(std::filesystem::exists(place.folder / "b"));
}
