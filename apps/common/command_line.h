// What the programs' command lines have in common.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace dlcm::apps {

enum class Presence { optional, required };

// Whole numbers from `least` to `most`.
struct WholeRange {
  int64_t least = std::numeric_limits<int64_t>::min();
  int64_t most = std::numeric_limits<int64_t>::max();
};

// Finite numbers from `least` to `most`, without an end that is `excluded`.
struct NumberRange {
  enum class Excluded { neither, least, most };
  double least = std::numeric_limits<double>::lowest();
  double most = std::numeric_limits<double>::max();
  Excluded excluded = Excluded::neither;
};

// A program's options ("--name") and arguments by their place ("NAME"). Places keep what they hold where the
// command line does not name them; those of std::optional have no default that --help could show. Every
// option may be given once, but those of several texts. (CLI11 is behind it and in no other file: its header
// takes the compiler seconds.)
class CommandLineParser {
 public:
  // `examples`: lines of commands, shown below --help.
  CommandLineParser(const std::string& program, const std::string& description, const std::string& examples);
  ~CommandLineParser();
  CommandLineParser(const CommandLineParser&) = delete;
  CommandLineParser& operator=(const CommandLineParser&) = delete;

  // Any text; `type` stands for it in --help.
  void add_text(const std::string& name, std::string& place, const std::string& type,
                const std::string& description, Presence presence = Presence::optional);
  void add_text(const std::string& name, std::optional<std::string>& place, const std::string& type,
                const std::string& description);
  // Repeatable; each as it is typed, empty ones too.
  void add_texts(const std::string& name, std::vector<std::string>& place, const std::string& type,
                 const std::string& description, Presence presence = Presence::optional);
  // The name of a file or folder that is read: not empty.
  void add_input(const std::string& name, std::string& place, const std::string& type,
                 const std::string& description, Presence presence = Presence::optional);
  // One that is written: neither empty nor "-", which would promise that it goes to standard output.
  void add_output(const std::string& name, std::string& place, const std::string& type,
                  const std::string& description, Presence presence = Presence::optional);
  void add_flag(const std::string& name, bool& place, const std::string& description);
  // Numbers are read strictly: decimal digits to the last character, so that 010 is 10.
  void add_whole_number(const std::string& name, int64_t& place, const WholeRange& range,
                        const std::string& description);
  void add_whole_number(const std::string& name, std::optional<int64_t>& place, const WholeRange& range,
                        const std::string& description);
  void add_number(const std::string& name, double& place, const NumberRange& range,
                  const std::string& description);
  void add_number(const std::string& name, std::optional<double>& place, const NumberRange& range,
                  const std::string& description);

  // Reads the command line. Returns the exit code where the program is to end now (--help and --version,
  // printed on standard output), nothing where it is to go on. Throws InputError of one line, with what was
  // typed and what is allowed, where the command line is wrong.
  std::optional<int> read(int argc, const char* const* argv);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The option --checkpoint of a program that uses a model (loaded_model.h).
void add_checkpoint(CommandLineParser& parser, std::string& place);

// Everything in the file, or on standard input for "-". Throws InputError where there is no such file or it
// is a folder, Error where reading fails.
std::string read_file_or_input(const std::string& path);

// Throws InputError where more than one of the arguments, pairs of a name and its value, is "-": standard
// input can be read but once.
void require_one_standard_input(const std::vector<std::pair<std::string, std::string>>& arguments);

// Throws InputError "NAME: not UTF-8 text (first malformed byte at ...)".
void require_utf8(const std::string& text, const std::string& name);

// Whether text for people goes to a terminal that shows colours; NO_COLOR (https://no-color.org) says no.
bool output_has_colours();
bool output_is_terminal();

}  // namespace dlcm::apps
