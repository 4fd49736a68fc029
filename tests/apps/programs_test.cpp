// generate, evaluate, segment, inspect and tokenize as a user runs them.
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include <doctest/doctest.h>
#include <sys/wait.h>

#include "tests/apps/tiny_model.h"
#include "tests/paths.h"

using namespace dlcm;
using nlohmann::json;

namespace {

struct Files {
  test::TemporaryFolder folder;
  std::string model = folder / "model.h5";
  explicit Files(DType trained_in = DType::f32) {
    apps::Config config = test::tiny_config(ModelKind::dlcm);
    config.train.dtype = trained_in;
    test::write_tiny_checkpoint(model, config, *test::tiny_model(config));
    test::write_tiny_shard(folder / "heldout-00000.h5", {"Some text.", "Other text \u20ac", ""});
  }
  test::ProgramRun run(const std::string& program, const std::string& arguments,
                       const std::string& input = "") const {
    return test::run_program(program, "--checkpoint '" + model + "' " + arguments, input);
  }
};

std::vector<json> objects_of(const std::string& lines) {
  std::vector<json> objects;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) objects.push_back(json::parse(line));
  return objects;
}

}  // namespace

TEST_CASE("program generate: text, JSON, standard input, errors") {
  const Files files;
  const test::ProgramRun text = files.run("generate", "--prompt 'a b' --max-tokens 12");
  const test::ProgramRun lines =
      files.run("generate", "--prompt x --prompt 'a b' --prompt '' --max-tokens 12 --json");
  CHECK(text.code == 0);
  CHECK(lines.code == 0);
  const std::vector<json> objects = objects_of(lines.output);
  REQUIRE(objects.size() == 3);
  CHECK(text.output == objects[1]["text"].get<std::string>() + "\n");
  CHECK(objects[1]["tokens"].size() == objects[1]["boundaries"].size());
  CHECK(objects[1]["tokens"].size() == objects[1]["log_probabilities"].size());
  const test::ProgramRun input = files.run("generate", "--prompt-file - --max-tokens 12 --json", "a b");
  CHECK(json::parse(input.output)["text"] == objects[1]["text"]);

  check_refused(files.run("generate", "--temperature -1"), 2, "--temperature");
  check_refused(files.run("generate", "--seed -1"), 2, "--seed");
  check_refused(files.run("generate", "--bogus"), 2, "--bogus");
  check_refused(files.run("generate", "--prompt-file '" + files.folder / "none" + "'"), 2, "none");
  check_refused(test::run_program("generate", "--checkpoint '" + files.folder / "heldout-00000.h5" + "'"), 2,
                "heldout-00000.h5");
  const test::ProgramRun help = test::run_program("generate", "--help");
  CHECK(help.code == 0);
  CHECK(help.output.find("Examples:") != std::string::npos);
  CHECK(test::run_program("generate", "--version").output.starts_with("dlcm "));
}

TEST_CASE("program generate: in bf16 a batch gives the texts that its prompts get alone") {
  const Files files;
  const std::string prompts[] = {"--prompt x", "--prompt 'a b, and more'", "--prompt ''"};
  const std::string how = " --dtype bf16 --max-tokens 12 --json ";
  const std::vector<json> together =
      objects_of(files.run("generate", how + prompts[0] + " " + prompts[1] + " " + prompts[2]).output);
  REQUIRE(together.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    const std::vector<json> alone = objects_of(files.run("generate", how + prompts[i]).output);
    REQUIRE(alone.size() == 1);
    for (const char* key : {"text", "tokens", "log_probabilities", "boundaries"})
      CHECK(alone[0][key] == together[i][key]);
  }
  const std::string plain = "--max-tokens 12 --json " + prompts[1];
  const json f32 = objects_of(files.run("generate", plain + " --dtype f32").output)[0];
  CHECK(f32["log_probabilities"] != together[1]["log_probabilities"]);  // so products did round
  CHECK(f32["log_probabilities"] == objects_of(files.run("generate", plain).output)[0]["log_probabilities"]);
  // By default, what the model was trained in.
  const Files trained(DType::bf16);
  CHECK(objects_of(trained.run("generate", plain).output)[0]["log_probabilities"] ==
        together[1]["log_probabilities"]);
}

TEST_CASE("program evaluate: in bf16 the loss is near that of f32") {
  const Files files;
  const std::string data = "--data '" + files.folder.path() + "' ";
  const json f32 = json::parse(files.run("evaluate", data).output);
  const json bf16 = json::parse(files.run("evaluate", data + "--dtype bf16").output);
  CHECK(bf16["loss"] != f32["loss"]);
  CHECK(bf16["loss"].get<double>() == doctest::Approx(f32["loss"].get<double>()).epsilon(5e-3));
  CHECK(bf16["tokens"] == f32["tokens"]);
  const Files trained(DType::bf16);
  CHECK(json::parse(trained.run("evaluate", data).output) == bf16);
  CHECK(json::parse(trained.run("evaluate", data + "--dtype f32").output) == f32);
}

TEST_CASE("program evaluate: the last line, the dump, errors") {
  const Files files;
  const std::string dump = files.folder / "dump.h5";
  const test::ProgramRun run =
      files.run("evaluate", "--data '" + files.folder.path() + "' --dump '" + dump + "' --logits");
  CHECK(run.code == 0);
  const json result = json::parse(run.output);
  CHECK(result["tokens"] == 11 + 15 + 1);
  CHECK(result["bytes"] == 10 + 14);
  CHECK(result["bits_per_byte"].get<double>() ==
        doctest::Approx(result["loss"].get<double>() * 27 / 24 / std::log(2.0)));
  CHECK(result.size() == 7);
  CHECK(std::filesystem::exists(dump));

  std::filesystem::create_directories(files.folder / "domains/a \"b\"");
  test::write_tiny_shard(files.folder / "domains/a \"b\"/heldout-00000.h5", {"Text."});
  const json domains = json::parse(files.run("evaluate", "--data '" + files.folder / "domains" + "'").output);
  CHECK(domains.size() == 8);
  REQUIRE(domains["domains"].size() == 1);
  CHECK(domains["domains"]["a \"b\""].size() == 7);
  CHECK(domains["domains"]["a \"b\""]["loss"] == domains["loss"]);

  const std::string shard = files.folder / "heldout-00000.h5";
  check_refused(files.run("evaluate", "--data '" + shard + "' --dump '" + shard + "'"), 2, "being read");
  check_refused(files.run("evaluate", "--data '" + shard + "' --logits"), 2, "--dump");
  const std::string other = files.folder / "train-00000.h5";
  const std::string link = files.folder / "latest.h5";
  test::write_tiny_shard(other, {"More."});
  std::filesystem::create_symlink("train-00000.h5", link);
  for (const std::string& kept : {other, link}) {
    const std::string bytes = test::read_bytes(kept);
    check_refused(files.run("evaluate", "--data '" + shard + "' --dump '" + kept + "'"), 2,
                  "is not a dump of evaluate");
    CHECK(test::read_bytes(kept) == bytes);
  }
  CHECK(std::filesystem::is_symlink(link));
  CHECK(files.run("evaluate", "--data '" + shard + "' --dump '" + dump + "'").code == 0);  // an earlier dump
  check_refused(files.run("evaluate", "--data '" + files.folder / "none" + "'"), 2, "none");
  check_refused(files.run("evaluate", "--data '" + shard + "' --max-tokens 0"), 2, "--max-tokens");
  check_refused(files.run("evaluate", "--data '" + shard + "' --max-tokens 0x10"), 2, "'0x10'");
}

TEST_CASE("program segment: a text, a file, JSON, a page, errors") {
  const Files files;
  const std::string text = "It was the best of times \u20ac.";
  const test::ProgramRun bars = files.run("segment", "'" + text + "'");
  CHECK(bars.code == 0);
  std::string joined = bars.output;
  std::erase(joined, '|');
  CHECK(joined == text + "\n");
  CHECK(bars.output.find('|') != std::string::npos);
  CHECK(files.run("segment", "-", text).output == bars.output);
  CHECK(files.run("segment", "", text).output == bars.output);

  const std::string page = files.folder / "page.html";
  const json result = json::parse(files.run("segment", "--json --html '" + page + "' '" + text + "'").output);
  joined.clear();
  for (const json& span : result["concepts"]) joined += span["text"].get<std::string>();
  CHECK(joined == text);
  CHECK(result["tokens"] == text.size());
  CHECK(test::read_bytes(page).starts_with("<!DOCTYPE html>"));
  CHECK(json::parse(files.run("segment", "--json '" + page + "'").output)["tokens"] ==
        test::read_bytes(page).size());

  CHECK(files.run("segment", "--html '" + page + "' '" + text + "'").code == 0);  // an earlier page
  check_refused(files.run("segment", "--html '" + page + "' '" + page + "'"), 2, "being read");
  check_refused(files.run("segment", "--html '" + files.model + "' text"), 2, "being read");
  const std::string shard = files.folder / "heldout-00000.h5";
  check_refused(files.run("segment", "--html '" + shard + "' text"), 2, "is not a page of HTML");
  check_refused(files.run("segment", "'" + files.folder.path() + "'"), 2, "folder");
  check_refused(files.run("segment", "-", "a\xFF"), 2, "not UTF-8");
  check_refused(files.run("segment", "--html '" + files.folder / "no/page.html" + "' text"), 1, "page.html");
}

TEST_CASE("programs read a checkpoint or a shard from standard input for -") {
  const Files files;
  const std::string model = test::read_bytes(files.model);
  const std::string shard_name = files.folder / "heldout-00000.h5";
  const std::string shard = test::read_bytes(shard_name);
  const auto run = [](const std::string& program, const std::string& arguments, const std::string& input) {
    return test::run_program(program, arguments, input);
  };
  const std::string by_name = files.run("evaluate", "--data '" + shard_name + "'").output;
  CHECK(run("evaluate", "--checkpoint - --data '" + shard_name + "'", model).output == by_name);
  CHECK(files.run("evaluate", "--data -", shard).output == by_name);
  CHECK(run("segment", "--checkpoint - abc", model).output == files.run("segment", "abc").output);
  CHECK(run("generate", "--checkpoint - --max-tokens 5", model).output ==
        files.run("generate", "--max-tokens 5").output);
  CHECK(run("inspect", "-", shard).output.starts_with("standard input: "));

  check_refused(run("evaluate", "--checkpoint - --data -", model), 2, "--checkpoint and --data cannot both");
  check_refused(run("generate", "--checkpoint - --prompt-file -", model), 2, "cannot both be standard input");
  check_refused(run("segment", "--checkpoint -", model), 2, "--checkpoint and TEXT cannot both");
  check_refused(run("inspect", "- -", shard), 2, "cannot both be standard input");
  check_refused(run("inspect", "-", ""), 2, "standard input");
  check_refused(run("inspect", "-", "text"), 2, "standard input is not an HDF5 file");
  check_refused(files.run("evaluate", "--data -", model), 2, "standard input is not a token shard");
}

TEST_CASE("program inspect: a pipe") {
  const Files files;
  const std::string output = files.folder / "output";
  const std::string command =
      concat("cat '", files.model, "' | '", test::program_folder(), "/inspect' - > '", output, "'");
  CHECK(std::system(command.c_str()) == 0);
  CHECK(test::contains(test::read_bytes(output), "whole: its checksum is right"));
}

TEST_CASE("program inspect: all files are looked at, also after one that cannot be read") {
  const Files files;
  const std::string shard = files.folder / "heldout-00000.h5";
  const auto inspect = [&](const std::string& more) {  // a pipe, of which no copy can be made
    return std::system(concat("cat '", shard, "' | TMPDIR='", files.folder / "none", "' '",
                              test::program_folder(), "/inspect' - ", more, " > '", files.folder / "output",
                              "' 2> '", files.folder / "errors", "'")
                           .c_str());
  };
  CHECK(WEXITSTATUS(inspect("'" + files.model + "' '" + shard + "'")) == 1);
  const std::string output = test::read_bytes(files.folder / "output");
  CHECK(test::contains(output, "checkpoint: step 7"));
  CHECK(test::contains(output, "token shard: 3 documents"));
  CHECK(test::contains(test::read_bytes(files.folder / "errors"), "standard input cannot be copied"));
  CHECK(WEXITSTATUS(inspect("'" + files.folder / "none" + "' '" + shard + "'")) == 2);
}

TEST_CASE("programs: of a transformer, what is about concepts is 0 everywhere") {
  const test::TemporaryFolder folder;
  const std::string model = folder / "model.h5";
  const apps::Config config = test::tiny_config(ModelKind::transformer);
  test::write_tiny_checkpoint(model, config, *test::tiny_model(config));
  test::write_tiny_shard(folder / "heldout-00000.h5", {"Some text."});
  test::write_tiny_shard(folder / "train-00000.h5", {"Some other text."});
  const std::string of_model = "--checkpoint '" + model + "' ";

  const json result =
      json::parse(test::run_program("evaluate", of_model + "--data '" + folder.path() + "'").output);
  for (const char* key : {"tokens_per_concept", "boundary_rate", "boundary_mean"}) {
    REQUIRE(result.contains(key));
    CHECK(result[key] == 0);
  }
  const json text = json::parse(test::run_program("generate", of_model + "--json --max-tokens 3").output);
  REQUIRE(text.contains("boundaries"));
  CHECK(text["boundaries"] == json::array());

  test::write_bytes(folder / "config.toml", apps::to_toml(config));
  const std::string run = folder / "run";
  const test::ProgramRun trained =
      test::run_program("train", "--config '" + folder / "config.toml" + "' --set schedule.steps=1 --data '" +
                                     folder.path() + "' --output '" + run + "'");
  REQUIRE_MESSAGE(trained.code == 0, trained.errors);
  std::istringstream lines(test::read_bytes(run + "/metrics.jsonl"));
  std::string line;
  REQUIRE(std::getline(lines, line));
  const json step = json::parse(line);
  REQUIRE(std::getline(lines, line));
  const json heldout = json::parse(line);
  for (const char* key : {"aux_loss", "boundary_rate", "boundary_mean", "tokens_per_concept", "rate_concept",
                          "rate_boundary", "alpha"}) {
    CAPTURE(key);
    REQUIRE(step.contains(key));
    CHECK(step[key] == 0);
  }
  CHECK(step["rate_token"].is_number());
  for (const char* key : {"heldout_tokens_per_concept", "heldout_boundary_rate"}) {
    REQUIRE(heldout.contains(key));
    CHECK(heldout[key] == 0);
  }
}

TEST_CASE("programs: train and evaluate warn of a model that sees the future") {
  const test::TemporaryFolder folder;
  apps::Config config = test::tiny_config(ModelKind::dlcm);
  config.model.cross_attention.visibility = Visibility::containing;
  test::write_tiny_checkpoint(folder / "model.h5", config, *test::tiny_model(config));
  test::write_tiny_shard(folder / "heldout-00000.h5", {"Some text."});
  test::write_bytes(folder / "config.toml", apps::to_toml(config));
  const test::ProgramRun evaluated = test::run_program(
      "evaluate", "--checkpoint '" + folder / "model.h5" + "' --data '" + folder.path() + "'");
  const test::ProgramRun trained =
      test::run_program("train", "--config '" + folder / "config.toml" + "' --dry-run");
  for (const test::ProgramRun& run : {evaluated, trained}) {
    CAPTURE(run.errors);
    CHECK(run.code == 0);
    CHECK(run.errors.find("warning: ") != std::string::npos);
    CHECK(run.errors.find("containing") != std::string::npos);
  }
}

TEST_CASE("program tokenize: numbers are read strictly, with their range") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "a.txt", "text");
  const auto run = [&](const std::string& arguments) {
    return test::run_program("tokenize",
                             arguments + " --output '" + folder / "out" + "' '" + folder / "a.txt" + "'");
  };
  for (const char* text : {"1e9", "99999999999", "0", "-1", "4097", "0x2", "two", "''"}) {
    CAPTURE(text);
    check_refused(run(concat("--threads ", text)), 2, "expected a whole number from 1 to 4096");
  }
  for (const char* text : {"abc", "nan", "1", "2", "-0.5", "''"}) {
    check_refused(run(concat("--heldout ", text)), 2, "expected a number of at least 0, below 1");
  }
  for (const char* text : {"0", "0x10", "1.5"}) {
    check_refused(run(concat("--shard-tokens ", text)), 2, "expected a whole number of at least 1");
  }
  CHECK_FALSE(std::filesystem::exists(folder / "out"));
  CHECK(run("--threads 2 --shard-tokens 010 --heldout 0.0").code == 0);
  check_refused(test::run_program("tokenize", "--output '" + folder / "b" + "' --domain x='" +
                                                  folder / "a.txt" + "' '" + folder / "a.txt" + "'"),
                2, "belongs to no domain");
}

// Each a slip of the hand: exactly one line, which names what is wrong.
TEST_CASE("programs: what is wrong with the use of a program is one line") {
  const Files files;
  const std::string folder = files.folder.path();
  const std::string shard = files.folder / "heldout-00000.h5";
  test::write_bytes(files.folder / "empty", "");
  struct Slip {
    const char* program;
    std::string arguments;
    const char* part;
  };
  const std::string checkpoint = "--checkpoint '" + files.model + "' ";
  const std::vector<Slip> slips = {
      {"inspect", "", "FILE is required"},
      {"inspect", "''", "cannot read ''"},
      {"inspect", "'" + folder + "'", "is a folder"},
      {"inspect", "'" + files.folder / "empty" + "'", "is empty"},
      {"inspect", "\"a\nb\"", "cannot read 'a b'"},
      {"inspect", "--whole x", "unknown option --whole"},
      {"generate", "--chekpoint x", "did you mean --checkpoint?"},
      {"generate", checkpoint + checkpoint, "--checkpoint: given 2 times"},
      {"generate", checkpoint + "--json=3", "--json: takes no value"},
      {"generate", checkpoint + "--max-tokens", "--max-tokens: expected a value"},
      {"generate", checkpoint + "--top-p 1.5", "--top-p = 1.5"},
      {"generate", checkpoint + "--dtype f16", "--dtype 'f16': expected f32 or bf16"},
      {"generate", checkpoint + "--dtype ''", "--dtype '': expected f32 or bf16"},
      {"generate", checkpoint + "--prompt-file '" + folder + "'", "is a folder"},
      {"generate", checkpoint + "--prompt-file ''", "--prompt-file ''"},
      {"evaluate", checkpoint, "--data is required"},
      {"evaluate", checkpoint + "--data ''", "--data ''"},
      {"evaluate", checkpoint + "--data '" + shard + "' --dtype BF16",
       "--dtype 'BF16': expected f32 or bf16"},
      {"evaluate", checkpoint + "--data '" + shard + "' --dump ''", "--dump ''"},
      {"evaluate", checkpoint + "--data '" + shard + "' --dump -", "--dump '-'"},
      {"evaluate", checkpoint + "--data '" + shard + "' --max-tokens nan", "'nan': expected a whole number"},
      {"segment", checkpoint + "two words", "'words': one argument too many"},
      {"segment", checkpoint + "--html - text", "--html '-'"},
      {"tokenize", "--output x", "no INPUT"},
      {"tokenize", "--output '" + shard + "' '" + shard + "'", "is a file, expected a folder"},
      {"train", "", "--config is required"},
      {"train", "--config ''", "--config ''"},
      {"train", "--config '" + folder + "' --dry-run", "is a folder"},
      {"train", "--config /dev/null --data - --dry-run", "--data '-': expected a folder"},
      {"train", "--config /dev/null --device ''", "--device '': expected cpu"},
      {"train", "--config /dev/null --dry-run=x", "--dry-run: takes no value"},
      {"train", "--config /dev/null --dry-run --set TRAIN.seed=1", "Did you mean [train]?"},
      {"train", "--config /dev/null --dry-run --set optimizer.clip=nan", "optimizer.clip = nan"},
      {"benchmark", "", "WHAT is required"},
      {"benchmark", "step step", "'step': one argument too many"},
      {"benchmark", "step --config ''", "--config ''"},
      {"benchmark", "step --seconds 1e9", "--seconds '1e9': expected a number above 0, at most 3600"},
  };
  for (const Slip& slip : slips) {
    CAPTURE(slip.program);
    CAPTURE(slip.arguments);
    check_refused(test::run_program(slip.program, slip.arguments), 2, slip.part);
  }
}
