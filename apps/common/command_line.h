// What the programs' command lines have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace dlcm::apps {

// Adds --version and `examples` (lines of commands, shown below --help), then reads the command line. Returns
// the exit code where the program is to end now (--help and --version, printed on standard output), nothing
// where it is to go on. Throws InputError of one line where the command line is wrong.
std::optional<int> parse_command_line(CLI::App& app, const std::string& examples, int argc,
                                      const char* const* argv);

// Options of one number. Read strictly: decimal digits, so that 010 is 10; what is no number to its last
// character, or one that `value` cannot hold, is an InputError of parse_command_line() that says what was
// typed.
CLI::Option* add_whole_number(CLI::App& app, const std::string& name, int64_t& value,
                              const std::string& description);
CLI::Option* add_number(CLI::App& app, const std::string& name, double& value,
                        const std::string& description);

// Everything in the file, or on standard input for "-". Throws InputError where there is no such file or it
// is a folder, Error where reading fails.
std::string read_file_or_input(const std::string& path);

// Throws InputError "NAME: not UTF-8 text (first malformed byte at ...)".
void require_utf8(const std::string& text, const std::string& name);

// Whether text for people goes to a terminal that shows colours; NO_COLOR (https://no-color.org) says no.
bool output_has_colours();
bool output_is_terminal();

}  // namespace dlcm::apps
