#include "apps/common/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>

#include <unistd.h>

#include "apps/common/program.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

// CLI11 ends some messages with hints on further lines.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

// In the reversed order in which CLI11 takes a vector. "--name=" becomes "--name" and "", which CLI11 would
// otherwise take for a value that is still to come.
std::vector<std::string> reversed_arguments(int argc, const char* const* argv) {
  std::vector<std::string> arguments;
  bool is_option_possible = true;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    is_option_possible = is_option_possible && argument != "--";
    const bool is_empty_value =
        is_option_possible && argument.starts_with("--") && argument.find('=') + 1 == argument.size();
    if (is_empty_value) argument.pop_back();
    arguments.push_back(argument);
    if (is_empty_value) arguments.emplace_back();
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

std::string read_all(std::istream& in, const std::string& name) {
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  DLCM_CHECK(!in.bad(), "reading ", name, " failed");
  return text;
}

// CLI11 by itself takes 010 for 8 and the largest number there is for any that is larger. The text is
// replaced by one that it cannot misunderstand. Returns what is wrong, or nothing.
std::string check_whole_number(std::string& text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) {
    return concat("'", text, "': expected a whole number in decimal digits");
  }
  if (error == std::errc::result_out_of_range) {
    return concat("'", text, "': expected a whole number from ", std::numeric_limits<int64_t>::min(), " to ",
                  std::numeric_limits<int64_t>::max());
  }
  text = std::to_string(value);
  return {};
}

std::string check_number(std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error != std::errc() || !std::isfinite(value)) {
    return concat("'", text, "': expected a finite number in decimal digits, such as 0.5 or 1e-3");
  }
  return {};
}

}  // namespace

CLI::Option* add_whole_number(CLI::App& app, const std::string& name, int64_t& value,
                              const std::string& description) {
  return app.add_option(name, value, description)->transform(CLI::Validator(check_whole_number, ""));
}

CLI::Option* add_number(CLI::App& app, const std::string& name, double& value,
                        const std::string& description) {
  return app.add_option(name, value, description)->transform(CLI::Validator(check_number, ""));
}

std::optional<int> parse_command_line(CLI::App& app, const std::string& examples, int argc,
                                      const char* const* argv) {
  app.set_version_flag("--version", version_text(), "Version, compiler, libraries and CPU features");
  app.footer("Examples:\n" + examples);
  try {
    app.parse(reversed_arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);
    throw InputError(concat(one_line(error.what()), "; --help shows examples"));
  }
  return std::nullopt;
}

std::string read_file_or_input(const std::string& path) {
  if (path == "-") return read_all(std::cin, "standard input");
  DLCM_CHECK_INPUT(!std::filesystem::is_directory(path), "'", path, "' is a folder, expected a file of text");
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    const int reason = errno;
    const std::string message = concat("cannot read '", path, "': ", std::strerror(reason));
    if (reason == ENOENT || reason == ENOTDIR) throw InputError(message);
    throw Error(message);
  }
  return read_all(in, "'" + path + "'");
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
