// inspect: what shards and checkpoints hold, and whether they are whole.
#include <CLI/CLI.hpp>
#include <iostream>
#include <sstream>

#include "apps/common/command_line.h"
#include "apps/common/program.h"
#include "apps/inspect/describe.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Shows what token shards and checkpoints hold - shapes, sizes, counts, a few decoded lines - and reads "
    "them whole\n"
    "to tell whether they are undamaged.";
constexpr char kExamples[] =
    "  inspect shards/train-00000.h5\n"
    "  inspect runs/first/checkpoints/latest.h5\n"
    "  inspect shards/*.h5 > /dev/null && echo all whole\n\n"
    "Exit code: 0 where all files are whole, 2 where one is damaged or of another kind, 1 where reading "
    "failed.";

// All files are looked at, also after one that is damaged.
int inspect_files(const std::vector<std::string>& files) {
  int code = 0;
  for (const std::string& file : files) {
    std::ostringstream text;
    try {
      describe_file(text, file);
      std::cout << text.str() << std::flush;
    } catch (const InputError& error) {
      std::cerr << "inspect: " << error.what() << "\n";
      code = 2;
    }
  }
  return code;
}

int inspect(int argc, char** argv) {
  CLI::App app(kDescription, "inspect");
  std::vector<std::string> files;
  app.add_option("FILE", files, "Token shards or checkpoints (.h5)")->required();
  if (const std::optional<int> code = parse_command_line(app, kExamples, argc, argv)) return *code;
  return inspect_files(files);
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("inspect", [&] { return dlcm::apps::inspect(argc, argv); });
}
