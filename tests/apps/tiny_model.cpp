#include "tests/apps/tiny_model.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <doctest/doctest.h>
#include <sys/wait.h>

#include "data/checkpoint.h"
#include "data/shard.h"
#include "data/tokenizer.h"
#include "tensor/random.h"
#include "tests/op_check.h"
#include "tests/paths.h"

namespace dlcm::test {
apps::Config tiny_config(ModelKind kind) {
  apps::Config config;
  ModelConfig& model = config.model;
  model.kind = kind;
  model.token = {16, 2, 1, 24};
  if (kind == ModelKind::transformer) {
    model.encoder_layers = model.decoder_layers = 0;
    model.layers = 2;
  } else {
    model.encoder_layers = 1;
    model.decoder_layers = 1;
    model.backbone = {24, 2, 1, 32};
    model.backbone_layers = 1;
  }
  config.train.context = 32;
  config.train.micro_tokens = 64;
  return config;
}

std::unique_ptr<LanguageModel> tiny_model(const apps::Config& config, uint64_t seed) {
  std::unique_ptr<LanguageModel> model = make_model(config.model);
  model->initialize(seed);
  for (nn::Parameter* parameter : model->parameters()) {
    const bool is_unembedding = parameter->role().kind == nn::RoleKind::unembedding;
    if (!is_unembedding && parameter->role().kind != nn::RoleKind::boundary) continue;
    parameter->set_value(random_tensor(parameter->shape(), DType::f32, seed + hash_name(parameter->path()),
                                       is_unembedding ? 0.1 : 0.25));
  }
  return model;
}

void write_tiny_checkpoint(const std::string& path, const apps::Config& config, const LanguageModel& model) {
  data::Checkpoint checkpoint;
  checkpoint.header.config = apps::to_toml(config);
  checkpoint.header.step = 7;
  checkpoint.header.tokens_seen = 70;
  checkpoint.header.loader_cursor = {0};
  checkpoint.header.extra["tokenizer"] = data::ByteTokenizer().identity();
  for (const nn::Parameter* parameter : model.parameters()) {
    checkpoint.model.emplace_back(parameter->path(), parameter->value());
  }
  data::write_checkpoint(path, checkpoint);
}

void write_tiny_shard(const std::string& path, const std::vector<std::string>& texts) {
  const data::ByteTokenizer tokenizer;
  data::ShardWriter writer(path, {tokenizer.vocab_size(), tokenizer.identity(), "test"});
  for (const std::string& text : texts) {
    std::vector<int32_t> ids = {tokenizer.begin_id()};
    tokenizer.encode(text, ids);
    ids.push_back(tokenizer.end_id());
    writer.add(ids, static_cast<int64_t>(text.size()));
  }
  writer.finish();
  writer.publish();
}

ProgramRun run_program(const std::string& name, const std::string& arguments, const std::string& input) {
  const TemporaryFolder folder;
  std::ofstream(folder / "input", std::ios::binary) << input;
  const std::string command =
      concat("'", program_folder(), "/", name, "' ", arguments, " <'", folder / "input", "' >'",
             folder / "output", "' 2>'", folder / "errors", "'");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_bytes(folder / "output"),
          read_bytes(folder / "errors")};
}

void check_refused(const ProgramRun& run, int code, const std::string& part) {
  CAPTURE(run.errors);
  CHECK(run.code == code);
  CHECK(run.output.empty());
  CHECK(std::count(run.errors.begin(), run.errors.end(), '\n') == 1);
  CHECK(contains(run.errors, part));
}

}  // namespace dlcm::test
