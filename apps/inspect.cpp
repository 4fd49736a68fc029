// inspect: what shards and checkpoints hold, and whether they are whole.
#include <algorithm>
#include <exception>
#include <iostream>
#include <sstream>

#include "apps/common/command_line.h"
#include "apps/common/input_file.h"
#include "apps/common/program.h"
#include "apps/hugging_face/model_folder.h"
#include "apps/inspect/describe.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Shows what token shards, checkpoints and model folders hold - shapes, sizes, counts, a few decoded "
    "lines - and reads "
    "them whole\n"
    "to tell whether they are undamaged.";
constexpr char kExamples[] =
    "  inspect shards/train-00000.h5\n"
    "  inspect runs/first/checkpoints/latest.h5\n"
    "  inspect shards/*.h5 > /dev/null && echo all whole\n\n"
    "All files are looked at. Exit code: 0 where all are whole, 2 where one is damaged or of another kind, "
    "else 1\n"
    "where one could not be read.";

// All files are looked at, also after one that is damaged or cannot be read.
int inspect_files(const std::vector<std::string>& files) {
  int code = 0;
  for (const std::string& file : files) {
    std::ostringstream text;
    try {
      if (is_model_folder(file)) {
        describe_folder(std::cout, file);
        continue;
      }
      refuse_file_of_folder(file);
      const InputFile input(file);
      input.use([&](const std::string& path) { describe_file(text, path, input.name()); });
      std::cout << text.str() << std::flush;
    } catch (const InputError& error) {
      print_error("inspect", error.what());
      code = 2;
    } catch (const std::exception& error) {
      print_error("inspect", error.what());
      code = std::max(code, 1);
    }
  }
  return code;
}

int inspect(int argc, char** argv) {
  std::vector<std::string> files;
  CommandLineParser parser("inspect", kDescription, kExamples);
  parser.add_texts("FILE", files, "FILE.h5|MODEL_DIR",
                   "Token shards, checkpoints, folders of Hugging Face's form; - reads standard input",
                   Presence::required);
  if (const std::optional<int> end = parser.read(argc, argv)) return *end;
  std::vector<std::pair<std::string, std::string>> arguments;
  for (const std::string& file : files) arguments.emplace_back("FILE", file);
  require_one_standard_input(arguments);
  return inspect_files(files);
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("inspect", [&] { return dlcm::apps::inspect(argc, argv); });
}
