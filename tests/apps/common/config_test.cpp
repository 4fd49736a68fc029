#include "apps/common/config.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "apps/common/config_keys.h"
#include "paths.h"
#include "tensor/check.h"
#include "tests/data/temporary_folder.h"

namespace dlcm::apps {
namespace {

Config parse(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return parse_config(text, "run.toml", overrides).config;
}

// The message of the InputError that reading ends with; empty where it succeeds.
std::string refusal(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string value_text(const Key& key) {
  if (const auto* number = std::get_if<WholeNumber>(&key.place)) return std::to_string(*number->value);
  if (const auto* real = std::get_if<Number>(&key.place)) return concat(*real->value);
  if (const auto* flag = std::get_if<bool*>(&key.place)) return **flag ? "true" : "false";
  if (const auto* text = std::get_if<Text>(&key.place)) return *text->value;
  const auto& choice = std::get<Choice>(key.place);
  return choice.names.at(choice.get());
}

// A value that is allowed for this key alone, with the rest at its defaults, and is not the default.
std::string other_value(const Key& key) {
  const std::string path = key.path();
  if (path == "train.context") return "512";
  if (path == "model.token.width" || path == "model.concept.width") return "1536";
  if (path == "model.token.heads") return "8";
  if (path == "model.concept.heads") return "16";
  if (key.name == "kv_heads") return "1";
  if (key.name == "head_dim") return "48";
  if (const auto* number = std::get_if<WholeNumber>(&key.place)) return std::to_string(*number->value + 7);
  if (const auto* real = std::get_if<Number>(&key.place)) {
    return concat(*real->value + (real->most - *real->value < 0.1 ? -0.125 : 0.0625));
  }
  if (const auto* flag = std::get_if<bool*>(&key.place)) return **flag ? "false" : "true";
  if (std::holds_alternative<Text>(key.place)) return "runs/a \"quoted\" \\ name";
  const auto& choice = std::get<Choice>(key.place);
  return choice.names.at((choice.get() + 1) % choice.names.size());
}

// [name] lines and keys of programs.md, in a form that needs no file of the specification.
const char* const kPrintedInTheContract = R"(
[model]
kind = "dlcm"
[model.token]
width = 256
heads = 4
kv_heads = 2
ff = 1024
encoder_layers = 3
decoder_layers = 2
[model.concept]
width = 512
heads = 8
kv_heads = 4
ff = 1024
layers = 5
[model.boundary]
predictor = "decoupled"
tokens_per_concept = 4.0
scope = "global"
tau = 0.5
alpha = 0.5
alpha_end = 0.02
weight = 0.03
[model.cross_attention]
visibility = "completed"
weighting = "uniform"
rope = "none"
ff = 0
implementation = "segment"
[model.smoothing]
kind = "blend"
[mup]
enabled = true
token_base = 128
concept_base = 256
[optimizer]
rate_token = 3e-3
rate_concept = 3e-3
rate_other = 3e-3
rate_boundary = 1e-3
beta1 = 0.9
beta2 = 0.95
epsilon = 1e-8
weight_decay = 0.1
clip = 1.0
[schedule]
steps = 1000
warmup = 50
decay_share = 0.1
decay_shape = "sqrt"
[train]
context = 1024
batch_tokens = 8192
micro_tokens = 4096
dtype = "f32"
recompute = "none"
seed = 1
evaluate_every = 200
checkpoint_every = 200
)";

}  // namespace

TEST_CASE("config: the defaults are those of the contract") {
  CHECK(to_toml(parse(kPrintedInTheContract)) == to_toml(Config{}));
  CHECK(to_toml(parse("")) == to_toml(Config{}));
}

TEST_CASE("config: every key is read, written and read back") {
  Config defaults;
  std::set<std::string> paths;
  for (const Key& original : config_keys(defaults)) {
    const std::string path = original.path();
    CAPTURE(path);
    CHECK(paths.insert(path).second);
    const std::string value = other_value(original);
    std::vector<std::string> overrides = {path + "=" + value};
    if (original.applies == Applies::transformer) overrides.emplace_back("model.kind=transformer");
    if (path == "model.kind") overrides.emplace_back("model.token.layers=3");
    Config changed = parse("", overrides);
    for (const Key& key : config_keys(changed)) {
      if (key.path() == path) CHECK(value_text(key) == value);
    }
    const std::string text = to_toml(changed);
    CHECK(text != to_toml(defaults));
    CHECK(to_toml(parse(text)) == text);
  }
}

TEST_CASE("config: every choice of every key can be set") {
  Config config;
  for (const Key& key : config_keys(config)) {
    const auto* choice = std::get_if<Choice>(&key.place);
    if (choice == nullptr) continue;
    for (size_t i = 0; i < choice->names.size(); ++i) {
      const std::string text = key.path() + "=" + choice->names[i];
      CAPTURE(text);
      CHECK(refusal("[model.token]\nlayers = 2", {text}) == "");
      choice->set(i);
      CHECK(choice->get() == i);
    }
  }
}

TEST_CASE("config: numbers come back to the last bit") {
  Config config;
  config.optimizer.rate_token = 0.1 + 0.2;
  config.optimizer.rate_other = 1.0 / 3.0;
  config.optimizer.epsilon = 4.9406564584124654e-300;
  config.optimizer.clip = 1e25;
  config.train.seed = INT64_MAX;
  config.data_weights = {{"english", 2.0 / 3.0}, {"c++ \"x\" \\ \x01 \u4e2d", 1e-7}, {"", 1.0}};
  config.data_weights.erase("");
  const Config back = parse(to_toml(config));
  CHECK(back.optimizer.rate_token == config.optimizer.rate_token);
  CHECK(back.optimizer.rate_other == config.optimizer.rate_other);
  CHECK(back.optimizer.epsilon == config.optimizer.epsilon);
  CHECK(back.optimizer.clip == config.optimizer.clip);
  CHECK(back.train.seed == config.train.seed);
  CHECK(back.data_weights == config.data_weights);
}

TEST_CASE("config: overrides follow the file, in order, as TOML or as bare words") {
  const Config config =
      parse("[model.token]\nwidth = 128\n[data.weights]\nenglish = 0.5\n",
            {"model.token.width=512", "model.token.width = 1024", "schedule.decay_shape=cosine",
             "model.boundary.scope=\"batch\"", "mup.enabled=false", "data.weights.code=2",
             "model.concept={width = 768, heads = 6, kv_heads = 3}", "model.boundary.tokens_per_concept=8"});
  CHECK(config.model.token.width == 1024);
  CHECK(config.schedule.decay_shape == optim::DecayShape::cosine);
  CHECK(config.model.boundary.scope == Scope::batch);
  CHECK_FALSE(config.model.mup.enabled);
  CHECK(config.data_weights == std::map<std::string, double>{{"english", 0.5}, {"code", 2.0}});
  CHECK(config.model.backbone.width == 768);
  CHECK(config.model.boundary.tokens_per_concept == 8.0);
}

TEST_CASE("config: keys of the other kind of model are named and left out") {
  const LoadedConfig loaded = parse_config("[model.concept]\nwidth = 1024\n", "run.toml",
                                           {"model.kind=transformer", "model.token.layers=7"});
  CHECK(loaded.unused == std::vector<std::string>{"model.concept.width"});
  CHECK(loaded.config.model.backbone.width == ModelConfig{}.backbone.width);
  const std::string text = to_toml(loaded.config);
  CHECK(contains(text, "layers = 7\n"));
  CHECK_FALSE(contains(text, "[model.concept]"));
  CHECK_FALSE(contains(text, "encoder_layers"));
  CHECK(parse_config(text, "again", {}).unused.empty());
  CHECK_FALSE(contains(to_toml(Config{}), "\nlayers = 0"));
  // What does not apply must be right all the same.
  CHECK(refusal("[model.concept]\nwidth = \"wide\"\n", {"model.kind=transformer", "model.token.layers=7"}) !=
        "");
}

TEST_CASE("config: errors say where, what was given and what is allowed") {
  CHECK(refusal("[model]\n\n[model.token]\nwidht = 3\n") ==
        "run.toml:4: model.token.widht = 3: unknown key. Did you mean width? [model.token] has width, heads, "
        "kv_heads, head_dim, ff, encoder_layers, decoder_layers, layers");
  CHECK(refusal("[model]\nwidth = 3\n")
            .starts_with("run.toml:2: model.width = 3: unknown key. Did you mean model.token.width, "
                         "model.concept.width? [model] has kind"));
  CHECK(refusal("[optimiser]\n") ==
        "run.toml:1: [optimiser]: unknown table. Did you mean [optimizer]? The file has [data], [model], "
        "[mup], "
        "[optimizer], [schedule], [train]");
  for (const char* table : {"Train", "TRAIN", "trian"}) {
    CHECK(contains(refusal(concat("[", table, "]\nseed = 1\n")), "Did you mean [train]?"));
  }
  CHECK(contains(refusal("", {"token.width=8"}), "Did you mean [model.token]?"));
  CHECK(contains(refusal("", {"train.SEED=8"}), "Did you mean seed?"));
  CHECK(refusal("[model.boundary]\nscope = \"globl\"\n") ==
        "run.toml:2: model.boundary.scope = 'globl': expected one of sequence, batch, global");
  CHECK(refusal("[train]\nseed = 1.5\n") ==
        "run.toml:2: train.seed = 1.5: expected a whole number from 0 to 9223372036854775807");
  CHECK(refusal("", {"mup.enabled=1"}) == "--set mup.enabled=1: mup.enabled = 1: expected true or false");
  CHECK(refusal("train = 3\n")
            .starts_with("run.toml:1: train = 3: expected a table with context, batch_tokens"));
  CHECK(refusal("[train.seed]\n").starts_with("run.toml:1: train.seed = a table: expected a whole number"));
  CHECK(refusal("[train]\nseed = [1]\n")
            .starts_with("run.toml:2: train.seed = an array: expected a whole number"));
  CHECK(contains(refusal("[data.weights]\nenglish = \"much\"\n"),
                 "expected the name of a domain and a number"));
  CHECK(contains(refusal("[data]\nweight = 1\n"), "Did you mean [data.weights]?"));
}

TEST_CASE("config: junk and impossible sizes are refused in one line") {
  const std::vector<std::string> texts = {"[model",
                                          "a",
                                          "\xff\xfe",
                                          "[model]\nkind = \"dlcm\"\nkind = \"dlcm\"\n",
                                          std::string(300000, '['),
                                          "\"\"\"",
                                          std::string("\0\0\0", 3)};
  for (const std::string& text : texts) {
    const std::string message = refusal(text);
    CHECK(message.starts_with("run.toml:"));
    CHECK(contains(message, "not TOML"));
    CHECK_FALSE(contains(message, "\n"));
  }
  for (const char* text : {"model.token.width=0",
                           "model.token.width=-1",
                           "model.token.width=1048577",
                           "model.token.width=9223372036854775807",
                           "model.token.width=99999999999999999999",
                           "model.token.width=12.0",
                           "model.token.heads=3",
                           "model.token.kv_heads=3",
                           "model.token.width=4",
                           "model.token.encoder_layers=0",
                           "model.concept.layers=0",
                           "model.concept.layers=4097",
                           "model.token.encoder_layers=1048576",
                           "model.token.decoder_layers=4097",
                           "model.token.layers=4097",
                           "train.batch_tokens=268435457",
                           "model.concept.ff=4000000000",
                           "model.boundary.tokens_per_concept=1",
                           "model.boundary.tokens_per_concept=nan",
                           "model.boundary.alpha=0",
                           "model.boundary.tau=1.5",
                           "mup.token_base=0",
                           "model.vocab_size=1",
                           "optimizer.rate_token=-1e-3",
                           "optimizer.rate_concept=inf",
                           "optimizer.rate_other=nan",
                           "optimizer.beta1=1",
                           "optimizer.epsilon=0",
                           "optimizer.weight_decay=-1",
                           "optimizer.clip=0",
                           "schedule.steps=0",
                           "schedule.warmup=-1",
                           "schedule.decay_share=1.1",
                           "schedule.decay_share=-0.1",
                           "train.context=1",
                           "train.batch_tokens=1",
                           "train.micro_tokens=1000",
                           "train.batch_tokens=9000000000000000000",
                           "train.micro_tokens=100000000000",
                           "train.seed=-1",
                           "train.evaluate_every=0",
                           "train.checkpoint_every=0",
                           "train.dtype=f16",
                           "data.weights.english=-1",
                           "data.weights.english=inf",
                           "data.weights.english=0",
                           "nokey",
                           "=1",
                           "[a]=1",
                           "model.token.width=",
                           "model..width=1",
                           "train.seed=1\ntrain.seed=2"}) {
    CAPTURE(text);
    const std::string message = refusal("", {text});
    CHECK(message != "");
    CHECK_FALSE(contains(message, "\n"));
  }
  CHECK(contains(refusal("", {"train.dtype=f16"}), "bf16"));
}

TEST_CASE("config: a rule across keys names the line of the key it is about") {
  CHECK(refusal("[model.token]\nwidth = 128\nheads = 3\n") ==
        "run.toml:3: model.token.heads = 3 does not divide model.token.width = 128");
  CHECK(refusal("[train]\ncontext = 8192\n") ==
        "run.toml: train.micro_tokens = 4096: expected at least the smaller of train.context and "
        "train.batch_tokens, 8192");
  CHECK(refusal("[model]\nkind = \"transformer\"\n") ==
        "run.toml: model.token.layers = 0: a transformer needs its number of layers, at least 1");
}

TEST_CASE("config: check refuses what a program has set out of range") {
  Config config;
  config.train.evaluate_every = 0;
  CHECK_THROWS_AS(check(config), InputError);
  config = {};
  config.optimizer.rate_other = std::nan("");
  CHECK_THROWS_AS(check(config), InputError);
  config = {};
  config.data_weights["english"] = -1;
  CHECK_THROWS_AS(check(config), InputError);
  CHECK_NOTHROW(check(Config{}));
}

TEST_CASE("config: the presets load, and stand for themselves") {
  int presets = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/apps/configs")) {
    CAPTURE(entry.path().string());
    const LoadedConfig loaded = load_config(entry.path().string());
    CHECK(loaded.unused.empty());
    CHECK(to_toml(parse(to_toml(loaded.config))) == to_toml(loaded.config));
    ++presets;
  }
  CHECK(presets >= 5);
}

TEST_CASE("config: files that cannot be read") {
  CHECK_THROWS_WITH_AS(load_config("no-such-folder/run.toml"),
                       "cannot read 'no-such-folder/run.toml': No such file or directory", InputError);
  CHECK_THROWS_AS(load_config(test::source_folder()), InputError);
  // A right name whose reading fails is not the user's mistake: another exit code. Root may read anything,
  // but not a link to itself.
  const test::TemporaryFolder folder;
  std::filesystem::create_symlink("loop.toml", folder / "loop.toml");
  CHECK(contains(test::message_of<InputError>([&] { load_config(folder / "loop.toml"); }),
                 concat("another exception: cannot read '", folder / "loop.toml", "'")));
}

}  // namespace dlcm::apps
