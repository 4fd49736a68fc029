// benchmark as a user runs it: what it prints is whole and consistent. Times are not judged.
#include <cmath>
#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "tests/apps/tiny_model.h"

using namespace dlcm;
using nlohmann::json;

namespace {

std::string tiny_toml(ModelKind kind) {
  apps::Config config = test::tiny_config(kind);
  config.train.batch_tokens = 96;
  return apps::to_toml(config);
}

test::ProgramRun run(const std::string& arguments, ModelKind kind = ModelKind::dlcm) {
  return test::run_program("benchmark", arguments + " --config -", tiny_toml(kind));
}

json report_of(const std::string& what, ModelKind kind = ModelKind::dlcm) {
  const test::ProgramRun result = run(what + " --seconds 0.002 --json", kind);
  CAPTURE(result.errors);
  REQUIRE(result.code == 0);
  return json::parse(result.output);
}

// JSON has no infinities: they and NaN would have become null, which only some keys may be.
void check_numbers(const json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    CAPTURE(key);
    REQUIRE(object.contains(key));
    REQUIRE(object[key].is_number());
    CHECK(std::isfinite(object[key].get<double>()));
    CHECK(object[key].get<double>() >= 0);
  }
}

void check_times(const json& row) {
  check_numbers(row, {"ms", "min_ms", "max_ms"});
  CHECK(row["min_ms"] <= row["ms"]);
  CHECK(row["ms"] <= row["max_ms"]);
}

void check_machine(const json& report, const std::string& what, const std::string& dtype = "f32") {
  CHECK(report["benchmark"] == what);
  CHECK(report["dtype"] == dtype);
  for (const std::string key : {"cpu", "matrix_engine", "version", "build"}) {
    CHECK(report["machine"][key].is_string());
  }
  check_numbers(report["machine"], {"threads", "matrix_gflops", "read_gb_per_s", "copy_gb_per_s"});
  CHECK(report["machine"]["matrix_gflops"] > 0);
}

const json* row_named(const json& rows, const std::string& name) {
  for (const json& row : rows) {
    if (row["name"] == name) return &row;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("benchmark step: times, FLOPs, bytes, and shares that add up to 1") {
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const json report = report_of("step", kind);
    check_machine(report, "step");
    const json& step = report["step"];
    check_times(step);
    check_numbers(step, {"tokens_per_second", "flops_per_token", "gflops", "matrix_share", "peak_bytes",
                         "seconds_to_begin", "seconds_to_first_step"});
    CHECK(step["seconds_to_begin"] < step["seconds_to_first_step"]);
    CHECK(step["tokens"] == 96);
    CHECK(step["micro_batches"] == 2);
    CHECK(step["steps"] >= 3);
    CHECK(step["peak_bytes"] > 0);
    double shares = 0;
    for (const json& row : report["operators"]) {
      check_numbers(row, {"ms", "share"});
      shares += row["share"].get<double>();
    }
    CHECK(shares == doctest::Approx(1).epsilon(1e-6));
    for (const std::string name :
         {"matmul", "attention", "attention_backward", "rms_norm_backward", "adamw"}) {
      CAPTURE(name);
      REQUIRE(row_named(report["operators"], name) != nullptr);
      CHECK((*row_named(report["operators"], name))["gflops"] > 0);
    }
    REQUIRE(row_named(report["operators"], "other") != nullptr);
    int64_t held = 0;
    for (const json& row : report["memory"]) held += row["bytes"].get<int64_t>();
    // Of one more step, which has another number of concepts.
    CHECK(static_cast<double>(held) == doctest::Approx(step["peak_bytes"].get<double>()).epsilon(0.05));
    if (kind == ModelKind::transformer) CHECK(held == step["peak_bytes"]);
    for (const std::string name : {"held before", "matmul", "attention"}) {
      CAPTURE(name);
      CHECK(row_named(report["memory"], name) != nullptr);
    }
    CHECK(step["tokens_per_concept"].is_number() == (kind == ModelKind::dlcm));
  }
}

TEST_CASE("benchmark ops: every operator forward and backward, cross-attention three ways") {
  for (const std::string dtype : {"f32", "bf16"}) {
    const json report = report_of("ops --dtype " + dtype);
    check_machine(report, "ops", dtype);
    for (const json& row : report["operators"]) {
      CAPTURE(row["name"]);
      check_times(row);
      check_numbers(row, {"gb_per_s", "memory_share"});
      const std::string name = row["name"];
      const bool moves_only = row["pass"] == "forward" &&
                              (name == "embedding" || name == "gather_rows" || name.starts_with("cast"));
      CHECK(row["gflops"].is_number() != moves_only);
    }
    for (const std::string way : {"segment", "replicated", "dense"}) {
      CHECK(row_named(report["operators"], "cross-attention, " + way) != nullptr);
    }
  }
}

TEST_CASE("benchmark generate: prefill and ragged decoding") {
  const json report = report_of("generate");
  check_machine(report, "generate");
  REQUIRE(report["prefill"].size() == 4);
  CHECK(report["prefill"][0]["tokens"] == 128);
  CHECK(report["prefill"][3]["concepts"] == 256);  // R = 4
  REQUIRE(report["decode"].size() == 2);
  CHECK(report["decode"][1]["streams"] == 16);
  for (const std::string table : {"prefill", "decode"}) {
    for (const json& row : report[table]) {
      check_times(row);
      check_numbers(row, {"tokens_per_second"});
    }
  }
  const int64_t context = test::tiny_config(ModelKind::dlcm).train.context;
  REQUIRE(report["positions"].size() == 1);  // shorter than the first
  CHECK(report["positions"][0]["position"] == context);
  check_times(report["positions"][0]);
  check_numbers(report["positions"][0], {"mean_ms"});
  check_numbers(report["decode"][0],
                {"tokens_per_second_highest", "read_gb_per_s", "weight_bytes", "tokens_per_concept"});
  CHECK(report["decode"][0]["memory_share"].is_null());  // how often the backbone is read varies
}

TEST_CASE("benchmark matmul: the model's shapes, squares and decoding against the alternative") {
  const json report = report_of("matmul");
  check_machine(report, "matmul");
  // Of a build without oneDNN there is none.
  const auto alternative = report["alternative"].get<std::string>();
  CHECK((alternative == "none" || alternative.starts_with("oneDNN ")));
  int squares = 0, decoding = 0, model = 0;
  for (const json& row : report["products"]) {
    check_times(row);
    check_numbers(row, {"m", "k", "n", "gflops", "matrix_share", "gb_per_s", "memory_share"});
    if (alternative != "none") check_numbers(row, {"alternative_ms", "alternative_gflops", "speedup"});
    ++(row["use"] == "square" ? squares : row["use"] == "decoding" ? decoding : model);
  }
  CHECK(squares > 0);
  CHECK(decoding > 0);
  CHECK(model > 6);
}

TEST_CASE("benchmark: tables for people, and one line where the command is wrong") {
  const test::ProgramRun text = run("step --seconds 0.002");
  CHECK(text.code == 0);
  CHECK(text.output.find("tokens/s") != std::string::npos);
  CHECK(text.output.find("of matrix limit") != std::string::npos);
  const auto refused = [](const std::string& arguments, const std::string& part) {
    const test::ProgramRun result = run(arguments);
    CAPTURE(result.errors);
    CHECK(result.code == 2);
    CHECK(result.output.empty());
    CHECK(result.errors.find(part) != std::string::npos);
  };
  refused("step --dtype f16", "expected f32 or bf16");
  refused("steps", "'steps': expected ops, step, generate or matmul");
  refused("ops --seconds 0", "--seconds '0': expected a number above 0, at most 3600");
}
