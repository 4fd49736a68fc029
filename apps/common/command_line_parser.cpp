// The one source that includes CLI11. It splits and names arguments; what their values may be is decided
// here.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <functional>
#include <iostream>

#include "apps/common/command_line.h"
#include "apps/common/program.h"
#include "apps/common/suggestion.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

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

std::string described(const WholeRange& range) {
  const WholeRange all;
  if (range.least == all.least && range.most == all.most) return "a whole number in decimal digits";
  if (range.most == all.most) return concat("a whole number of at least ", range.least);
  return concat("a whole number from ", range.least, " to ", range.most);
}

std::string described(const NumberRange& range) {
  const NumberRange all;
  if (range.least == all.least && range.most == all.most) {
    return "a finite number in decimal digits, such as 0.5 or 1e-3";
  }
  switch (range.excluded) {
    case NumberRange::Excluded::least:
      return concat("a number above ", range.least, ", at most ", range.most);
    case NumberRange::Excluded::most:
      return concat("a number of at least ", range.least, ", below ", range.most);
    default:
      return concat("a number from ", range.least, " to ", range.most);
  }
}

bool holds(const WholeRange& range, int64_t value) {
  return value >= range.least && value <= range.most;
}

bool holds(const NumberRange& range, double value) {
  if (!std::isfinite(value) || value < range.least || value > range.most) return false;
  if (range.excluded == NumberRange::Excluded::least) return value > range.least;
  return range.excluded != NumberRange::Excluded::most || value < range.most;
}

template <class Value, class Range>
Value number_of(const std::string& name, const std::string& text, const Range& range) {
  Value value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc::result_out_of_range && stop == end && described(range) == described(Range())) {
    throw InputError(concat(name, " '", text, "': too large or too small a number"));
  }
  DLCM_CHECK_INPUT(stop == end && error == std::errc() && holds(range, value), name, " '", text,
                   "': expected ", described(range));
  return value;
}

void require_name(const std::string& name, const std::string& text) {
  DLCM_CHECK_INPUT(!text.empty(), name, " '': expected the name of a file or folder");
}

void require_output_name(const std::string& name, const std::string& text) {
  require_name(name, text);
  DLCM_CHECK_INPUT(text != "-", name,
                   " '-': expected the name of a file or folder; this is not written to standard output");
}

// What CLI11 calls an option, at the beginning of its messages.
std::string first_word(const std::string& message) {
  return message.substr(0, message.find_first_of(": "));
}

}  // namespace

struct CommandLineParser::State {
  using Take = std::function<void(const std::vector<std::string>&)>;

  struct Argument {
    CLI::Option* option = nullptr;
    std::string name;
    bool is_repeatable = false;
    Take take;
  };

  State(const std::string& program, const std::string& description) : app(description, program) {}

  // CLI11 keeps every value as text: it reads meaning into some ("{}", "010").
  CLI::Option* add(const std::string& name, const std::string& type, const std::string& description,
                   bool is_repeatable, Take take) {
    texts.emplace_back();
    CLI::Option* option = app.add_option(name, texts.back(), description)->type_name(type)->take_all();
    const bool is_option = name.starts_with("-");
    if (is_option || !is_repeatable) option->expected(1);
    option->allow_extra_args(!is_option && is_repeatable);
    arguments.push_back({option, name, is_repeatable, std::move(take)});
    return option;
  }

  CLI::Option* add_one(const std::string& name, const std::string& type, const std::string& description,
                       std::function<void(const std::string&)> take) {
    const auto take_last = [take = std::move(take)](const std::vector<std::string>& values) {
      take(values.back());
    };
    return add(name, type, description, false, take_last);
  }

  // The name of a file or folder that `check` allows.
  void add_file(const std::string& name, std::string& place, const std::string& type,
                const std::string& description, Presence presence,
                void (*check)(const std::string& name, const std::string& text)) {
    const auto take = [&place, name, check](const std::string& text) {
      check(name, text);
      place = text;
    };
    add_one(name, type, description, take)->required(presence == Presence::required);
  }

  void take_values() const {
    for (const Argument& argument : arguments) {
      const std::vector<std::string>& values = argument.option->results();
      if (values.empty()) continue;
      DLCM_CHECK_INPUT(argument.is_repeatable || values.size() == 1, argument.name, ": given ", values.size(),
                       " times; give it once");
      argument.take(values);
    }
  }

  std::vector<std::string> option_names() const {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
  }

  // What is wrong, of all that CLI11 did not understand, in the user's order: an unknown option before what
  // may have been meant as its value.
  std::string unexpected() const {
    const std::vector<std::string> rest = app.remaining();
    const auto option = std::find_if(rest.begin(), rest.end(),
                                     [](const auto& text) { return text.size() > 1 && text[0] == '-'; });
    if (option != rest.end()) {
      const std::string name = option->substr(0, option->find('='));
      const std::string nearest = nearest_word(name, option_names());
      return concat("unknown option ", name, nearest.empty() ? "" : " (did you mean " + nearest + "?)");
    }
    return concat("'", rest.front(), "': one argument too many (a text with spaces needs quotes)");
  }

  std::string message(const CLI::ParseError& error) const {
    if (!app.remaining().empty()) return unexpected();
    const std::string text = error.what();
    if (error.get_name() == "ArgumentMismatch") {
      const bool is_flag = text.find("flag override") != std::string::npos;
      return is_flag ? "--" + first_word(text) + ": takes no value"
                     : first_word(text) + ": expected a value after it";
    }
    return text;
  }

  CLI::App app;
  std::deque<std::vector<std::string>> texts;  // where CLI11 puts values; read from its options instead
  std::vector<Argument> arguments;
};

CommandLineParser::CommandLineParser(const std::string& program, const std::string& description,
                                     const std::string& examples)
    : state_(std::make_unique<State>(program, description)) {
  state_->app.set_version_flag("--version", version_text(), "Version, compiler, libraries and CPU features");
  state_->app.footer("Examples:\n" + examples);
}

CommandLineParser::~CommandLineParser() = default;

void CommandLineParser::add_text(const std::string& name, std::string& place, const std::string& type,
                                 const std::string& description, Presence presence) {
  CLI::Option* option =
      state_->add_one(name, type, description, [&place](const std::string& text) { place = text; });
  option->default_str(place)->required(presence == Presence::required);
}

void CommandLineParser::add_text(const std::string& name, std::optional<std::string>& place,
                                 const std::string& type, const std::string& description) {
  state_->add_one(name, type, description, [&place](const std::string& text) { place = text; });
}

void CommandLineParser::add_texts(const std::string& name, std::vector<std::string>& place,
                                  const std::string& type, const std::string& description,
                                  Presence presence) {
  state_
      ->add(name, type, description, true, [&place](const std::vector<std::string>& texts) { place = texts; })
      ->required(presence == Presence::required);
}

void CommandLineParser::add_input(const std::string& name, std::string& place, const std::string& type,
                                  const std::string& description, Presence presence) {
  state_->add_file(name, place, type, description, presence, require_name);
}

void CommandLineParser::add_output(const std::string& name, std::string& place, const std::string& type,
                                   const std::string& description, Presence presence) {
  state_->add_file(name, place, type, description, presence, require_output_name);
}

void CommandLineParser::add_flag(const std::string& name, bool& place, const std::string& description) {
  state_->app.add_flag(name, place, description)->disable_flag_override();
}

void CommandLineParser::add_whole_number(const std::string& name, int64_t& place, const WholeRange& range,
                                         const std::string& description) {
  const auto take = [&place, name, range](const std::string& text) {
    place = number_of<int64_t>(name, text, range);
  };
  state_->add_one(name, "N", description, take)->default_str(std::to_string(place));
}

void CommandLineParser::add_whole_number(const std::string& name, std::optional<int64_t>& place,
                                         const WholeRange& range, const std::string& description) {
  state_->add_one(name, "N", description, [&place, name, range](const std::string& text) {
    place = number_of<int64_t>(name, text, range);
  });
}

void CommandLineParser::add_number(const std::string& name, double& place, const NumberRange& range,
                                   const std::string& description) {
  const auto take = [&place, name, range](const std::string& text) {
    place = number_of<double>(name, text, range);
  };
  state_->add_one(name, "X", description, take)->default_str(concat(place));
}

void CommandLineParser::add_number(const std::string& name, std::optional<double>& place,
                                   const NumberRange& range, const std::string& description) {
  state_->add_one(name, "X", description, [&place, name, range](const std::string& text) {
    place = number_of<double>(name, text, range);
  });
}

std::optional<int> CommandLineParser::read(int argc, const char* const* argv) {
  CLI::App& app = state_->app;
  try {
    app.parse(reversed_arguments(argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error, std::cout, std::cerr);
    throw InputError(concat(state_->message(error), "; --help shows examples"));
  }
  state_->take_values();
  return std::nullopt;
}

}  // namespace dlcm::apps
