#include "apps/common/command_line.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include <unistd.h>

#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

std::string read_all(std::istream& in, const std::string& name) {
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  DLCM_CHECK(!in.bad(), "reading ", name, " failed");
  return text;
}

}  // namespace

void add_checkpoint(CommandLineParser& parser, std::string& place) {
  parser.add_input(
      "--checkpoint", place, "FILE|RUN_DIR|MODEL_DIR",
      "A checkpoint, a run's folder (its newest one), or a folder of Hugging Face's form; - reads "
      "standard input",
      Presence::required);
}

std::string read_file_or_input(const std::string& path) {
  if (path == "-") return read_all(std::cin, "standard input");
  std::error_code error;
  DLCM_CHECK_INPUT(!std::filesystem::is_directory(path, error), "'", path,
                   "' is a folder, expected a file of text");
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int reason = errno;
    const std::string message = concat("cannot read '", path, "': ", std::strerror(reason));
    if (reason == ENOENT || reason == ENOTDIR) throw InputError(message);
    throw Error(message);
  }
  return read_all(in, "'" + path + "'");
}

void require_one_standard_input(const std::vector<std::pair<std::string, std::string>>& arguments) {
  const auto is_input = [](const auto& argument) { return argument.second == "-"; };
  const auto first = std::find_if(arguments.begin(), arguments.end(), is_input);
  if (first == arguments.end()) return;
  const auto second = std::find_if(first + 1, arguments.end(), is_input);
  DLCM_CHECK_INPUT(second == arguments.end(), first->first, " and ", second->first,
                   " cannot both be standard input ('-'), which is read once");
}

void require_utf8(const std::string& text, const std::string& name) {
  const size_t invalid = data::first_invalid_utf8(text);
  DLCM_CHECK_INPUT(invalid == text.size(), name, ": not UTF-8 text (first malformed byte at offset ", invalid,
                   "); convert it first, for example with iconv");
}

bool output_is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}

bool output_has_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return output_is_terminal() && (no_color == nullptr || *no_color == '\0') &&
         (term == nullptr || std::strcmp(term, "dumb") != 0);
}

}  // namespace dlcm::apps
