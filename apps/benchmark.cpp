// benchmark: where the time goes, and how far from the machine's limits.
#include <iostream>
#include <optional>

#include "apps/benchmark/benchmarks.h"
#include "apps/common/command_line.h"
#include "apps/common/loaded_model.h"
#include "apps/common/program.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Measures on this machine, with random input:\n"
    "  ops       each operator forward and backward at the sizes of the configuration\n"
    "  step      training steps: tokens/s, share of time by operator, peak bytes\n"
    "  generate  tokens/s of prefill and of decoding\n"
    "  matmul    matrix products, against another library\n"
    "Times are wall clock: the median of several runs after a warm-up, and the shortest and longest. Shares "
    "of\n"
    "limits refer to the fastest matrix product and the fastest reading or copying measured in the same run.";
constexpr char kExamples[] =
    "  benchmark step --config apps/configs/corpus-dlcm.toml\n"
    "  benchmark ops --json > ops.json\n"
    "  benchmark matmul --config apps/configs/quickstart.toml --seconds 0.5\n"
    "  benchmark generate --config apps/configs/corpus-transformer.toml\n\n"
    "Exit code: 0, 1 (the work failed), 2 (bad input).";

constexpr double kStepSeconds = 5;
constexpr double kRowSeconds = 0.2;
constexpr double kMostSeconds = 3600;

struct CommandLine {
  std::string what;
  std::string config_file;
  std::optional<std::string> dtype;
  double seconds = 0;
  bool json = false;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  std::optional<double> seconds;
  CommandLineParser parser("benchmark", kDescription, kExamples);
  parser.add_text("WHAT", line.what, "WHAT", "ops, step, generate or matmul", Presence::required);
  parser.add_input("--config", line.config_file, "FILE",
                   "Configuration (TOML); - reads standard input; default: every key's default");
  parser.add_text("--dtype", line.dtype, "f32|bf16", "Of matrix products; default: train.dtype");
  parser.add_number("--seconds", seconds, {0, kMostSeconds, NumberRange::Excluded::least},
                    "Measure at least so long: the steps altogether (default 5), else each row of a table "
                    "(default 0.2)");
  parser.add_flag("--json", line.json, "Print one JSON object");
  if (const auto end = parser.read(argc, argv)) return end;
  DLCM_CHECK_INPUT(
      line.what == "ops" || line.what == "step" || line.what == "generate" || line.what == "matmul", "'",
      line.what, "': expected ops, step, generate or matmul");
  line.seconds = seconds.value_or(line.what == "step" ? kStepSeconds : kRowSeconds);
  return std::nullopt;
}

Config config_of(const CommandLine& line) {
  LoadedConfig loaded =
      line.config_file.empty() ? parse_config("", "the defaults") : load_config(line.config_file);
  loaded.config.train.dtype = dtype_option(line.dtype, loaded.config.train.dtype);
  for (const std::string& note : notes_of(loaded)) print_error("benchmark", note);
  return std::move(loaded.config);
}

void run_benchmark(const std::string& what, const BenchmarkOptions& options, Report& report) {
  if (what == "ops") return benchmark_ops(options, report);
  if (what == "step") return benchmark_step(options, report);
  if (what == "generate") return benchmark_generate(options, report);
  benchmark_matmul(options, report);
}

int benchmark_program(int argc, char** argv) {
  const Clock::time_point begin = Clock::now();
  CommandLine line;
  if (const auto end = read_command_line(argc, argv, line)) return *end;
  const BenchmarkOptions options = {config_of(line), line.seconds, begin};
  Report report;
  report.facts = {{"benchmark", "benchmark", line.what},
                  {"config", "configuration", line.config_file.empty() ? "defaults" : line.config_file},
                  {"dtype", "dtype", dtype_name(options.config.train.dtype)},
                  {"seconds", "seconds to measure", line.seconds, Unit::number}};
  run_benchmark(line.what, options, report);
  if (line.json) {
    print_json(std::cout, report);
  } else {
    print_text(std::cout, report);
  }
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("benchmark", [&] { return dlcm::apps::benchmark_program(argc, argv); });
}
