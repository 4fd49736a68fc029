// tokenize train as a user runs it.
#include <filesystem>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "data/bpe/json_tokenizer.h"
#include "data/hdf5_file.h"
#include "tests/apps/tiny_model.h"
#include "tests/data/bpe/shared_tokenizers.h"

using namespace dlcm;
using namespace dlcm::test;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

// Two documents of text.
constexpr char kLines[] =
    "{\"text\": \"The cat sat on the mat, and the cat sat still. \\u4e2d\\u6587\\u5206\\u8bcd\"}\n"
    "{\"text\": \"\"}\n"
    "{\"text\": \"The mat was the cat's, 1234 \\ud83d\\ude42\\n\\n  the end\"}\n";

struct Place {
  TemporaryFolder folder;
  Place() { write_bytes(folder / "text.jsonl", kLines); }
  std::string quoted(const std::string& name) const { return "'" + folder / name + "'"; }
  ProgramRun train(const std::string& arguments, const std::string& input = "") const {
    return run_program("tokenize", "train " + arguments, input);
  }
  void check_refused(const std::string& arguments, const std::string& part, int code = 2) const {
    CAPTURE(arguments);
    test::check_refused(train(arguments), code, part);
  }
};

}  // namespace

TEST_CASE("program tokenize train: a tokenizer with which tokenize makes shards of the same text") {
  const Place place;
  const ProgramRun run = place.train("--vocab-size 290 --special '<|user|>' --output " +
                                     place.quoted("mine") + " " + place.quoted("text.jsonl"));
  REQUIRE_MESSAGE(run.code == 0, run.errors);
  CHECK(run.errors == "skipped 1 empty documents\n");
  const json result = json::parse(run.output);
  CHECK(result["documents"] == 2);
  CHECK(result["vocab_size"] == 290);
  CHECK(result["merges"] == 290 - 260);
  CHECK(result["pieces"] > result["distinct_pieces"]);
  CHECK(result["bytes_per_token"].get<double>() ==
        doctest::Approx(result["bytes"].get<double>() / result["tokens"].get<double>()));
  CHECK(result["seconds"] > 0);

  const data::JsonTokenizer tokenizer(place.folder / "mine/tokenizer.json");
  CHECK(tokenizer.vocab_size() == 290);
  CHECK(ids_of(tokenizer, "<|user|>") == std::vector<int32_t>{3});
  const ProgramRun shards =
      run_program("tokenize", "--tokenizer " + place.quoted("mine/tokenizer.json") + " --output " +
                                  place.quoted("shards") + " " + place.quoted("text.jsonl"));
  REQUIRE_MESSAGE(shards.code == 0, shards.errors);
  const json counts = json::parse(shards.output);
  CHECK(counts["bytes"] == result["bytes"]);
  CHECK(counts["tokens"] == result["tokens"].get<int64_t>() + 2 * 2);  // begin and end
  CHECK(fs::exists(place.folder / "shards/tokenizer_config.json"));
  const data::Hdf5Reader shard(place.folder / "shards/train-00000.h5");
  std::vector<int32_t> ids(counts["tokens"].get<size_t>());
  shard.read("/tokens", ids.data());
  std::string text;
  for (const std::string line : {"The cat sat on the mat, and the cat sat still. 中文分词",
                                 "The mat was the cat's, 1234 🙂\n\n  the end"}) {
    text += line;
  }
  CHECK(text_of(tokenizer, ids) == text);
}

TEST_CASE("program tokenize train: the same file with any threads, from any kind of input") {
  const Place place;
  write_bytes(place.folder / "lines", kLines);
  const auto file = [&](const std::string& name, const std::string& arguments,
                        const std::string& input = "") {
    const ProgramRun run =
        place.train("--vocab-size 280 --output " + place.quoted(name) + " " + arguments, input);
    CHECK_MESSAGE(run.code == 0, run.errors);
    return read_bytes(place.folder / name);
  };
  const std::string plain = file("a.json", "--threads 1 " + place.quoted("text.jsonl"));
  CHECK(plain.size() > 1000);
  CHECK(file("b/tokenizer.json", "--threads 3 --json-lines " + place.quoted("lines")) == plain);
  CHECK(file("c/tokenizer.json", "--json-lines -", kLines) == plain);
  CHECK(file("d/tokenizer.json", place.quoted("text.jsonl") + " --min-frequency 3") != plain);
}

TEST_CASE("program tokenize train: nothing that is there is overwritten unasked") {
  const Place place;
  const std::string rest = " --output " + place.quoted("out") + " " + place.quoted("text.jsonl");
  CHECK(place.train("--vocab-size 270" + rest).code == 0);
  const std::string before = read_bytes(place.folder / "out/tokenizer.json");
  place.check_refused("--vocab-size 280" + rest, "is there already: choose another --output, or replace it");
  fs::remove(place.folder / "out/tokenizer.json");
  place.check_refused("--vocab-size 280" + rest, "out/tokenizer_config.json' is there already");
  CHECK_FALSE(fs::exists(place.folder / "out/tokenizer.json"));
  CHECK(place.train("--overwrite --vocab-size 280" + rest).code == 0);
  CHECK(read_bytes(place.folder / "out/tokenizer.json") != before);
  // Text is not replaced by what is made of it, nor is a file that is no file.
  fs::copy_file(place.folder / "text.jsonl", place.folder / "text.json");
  place.check_refused(
      "--overwrite --vocab-size 280 --output " + place.quoted("text.json") + " " + place.quoted("text.json"),
      "is a file that is being read");
  CHECK(read_bytes(place.folder / "text.json") == kLines);
  fs::create_directories(place.folder / "odd/tokenizer_config.json");
  place.check_refused(
      "--overwrite --vocab-size 280 --output " + place.quoted("odd") + " " + place.quoted("text.jsonl"),
      "odd/tokenizer_config.json' exists and is not a file");
}

TEST_CASE("program tokenize train: a text that is too small gives a smaller vocabulary and says so") {
  const Place place;
  const ProgramRun run = place.train("--vocab-size 5000 --output " + place.quoted("out") + " -", "ab ab\n");
  CHECK(run.code == 0);
  CHECK(json::parse(run.output)["vocab_size"] == 261);
  CHECK(contains(run.errors, "the text has no more pairs to merge: "));
  CHECK(contains(run.errors, "has 261 ids, not 5000"));
}

TEST_CASE("program tokenize train: what is wrong with its use is one line, before any file is made") {
  const Place place;
  write_bytes(place.folder / "empty.txt", "");
  write_bytes(place.folder / "bad.txt", "caf\xE9");
  const std::string text = place.quoted("text.jsonl");
  const std::string output = " --output " + place.quoted("out") + " ";
  place.check_refused(output + text, "--vocab-size is required");
  place.check_refused("--vocab-size 300" + output, "no INPUT");
  place.check_refused("--vocab-size 258" + output + text, "expected are 259 to 4194304");
  place.check_refused("--vocab-size 1e5" + output + text, "expected a whole number from 1 to 4194304");
  place.check_refused("--vocab-size 300 --special '<|pad|>'" + output + text, "'<|pad|>' is there twice");
  place.check_refused("--vocab-size 300 --special ''" + output + text, "a special token is empty");
  place.check_refused("--vocab-size 300 --min-frequency -1" + output + text, "at least 0");
  place.check_refused("--vocab-size 300" + output + place.quoted("no.txt"), "no file or folder");
  place.check_refused("--vocab-size 300 --output " + text + " " + text, "text.jsonl' is a file");
  place.check_refused("--vocab-size 300 --output " + place.quoted("tokenizer_config.json") + " " + text,
                      "give another name");
  place.check_refused("--vocab-size 300 --output /proc/none/x " + text, "cannot make the folder", 1);
  CHECK_FALSE(fs::exists(place.folder / "out"));
  place.check_refused("--vocab-size 300" + output + place.quoted("bad.txt"), "invalid UTF-8");
  const ProgramRun empty = place.train("--vocab-size 300" + output + place.quoted("empty.txt"));
  CHECK(empty.code == 2);
  CHECK(contains(empty.errors, "there is no text in what was given"));
  CHECK(fs::is_empty(place.folder / "out"));
}

TEST_CASE("program tokenize train: help of its own") {
  const ProgramRun help = run_program("tokenize", "train --help");
  CHECK(help.code == 0);
  CHECK(contains(help.output, "tokenize train --vocab-size 8192"));
  CHECK(contains(run_program("tokenize", "--help").output, "tokenize train --help"));
  CHECK(run_program("tokenize", "train --version").code == 0);
}
