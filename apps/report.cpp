// report: what runs of train have recorded, as one page.
#include <iostream>
#include <optional>

#include "apps/common/command_line.h"
#include "apps/common/html.h"
#include "apps/common/output_file.h"
#include "apps/common/program.h"
#include "apps/report/page.h"
#include "apps/report/recorded_run.h"
#include "data/atomic_file.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Draws one or more runs of train, finished or under way, as a page of HTML that needs nothing but "
    "itself:\n"
    "losses, bits per byte and tokens per concept by domain, boundaries, gradient norm, rates, speed, "
    "memory, and\n"
    "held-out text in concepts at each evaluation.";
constexpr char kExamples[] =
    "  report runs/first > first.html\n"
    "  report --output both.html runs/corpus-dlcm runs/corpus-transformer\n"
    "  report --output rates.html \"rate 3e-3=runs/a\" \"rate 1e-3=runs/b\"\n\n"
    "Exit code: 0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  std::vector<std::string> runs;
  std::string output;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CommandLineParser parser("report", kDescription, kExamples);
  parser.add_output("--output", line.output, "FILE.html", "The page; default: standard output");
  parser.add_texts(
      "RUN_DIR", line.runs, "[NAME=]RUN_DIR",
      "The --output folder of a train, and the run's name on the page; default: the folder's name",
      Presence::required);
  return parser.read(argc, argv);
}

int report_program(int argc, char** argv) {
  CommandLine line;
  if (const auto end = read_command_line(argc, argv, line)) return *end;
  if (!line.output.empty()) require_replaceable("--output", line.output, {}, {"a page of HTML", is_page});
  const std::string page = report_page(read_runs(line.runs));
  if (line.output.empty()) {
    std::cout << page;
  } else {
    data::write_file(line.output, page);
    std::cerr << "report: wrote " << line.output << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("report", [&] { return dlcm::apps::report_program(argc, argv); });
}
