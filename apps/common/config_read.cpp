// Reading: TOML text and overrides into a Config, with messages that say where and what is allowed.
#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include <toml++/toml.h>

#include "apps/common/command_line.h"
#include "apps/common/config.h"
#include "apps/common/config_keys.h"
#include "apps/common/suggestion.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string join_path(const std::string& table, const std::string& name) {
  return table.empty() ? name : table + "." + name;
}

// Text of the user's, made fit for one line of a message.
std::string shown(std::string text) {
  constexpr size_t kLongest = 80;
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text.size() > kLongest ? text.substr(0, kLongest) + "..." : text;
}

std::string shown(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  std::ostringstream out;
  node.visit([&out](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) out << value;
  });
  return shown(out.str());
}

// Applies documents (the file, then each override) to a configuration.
class Reader {
 public:
  explicit Reader(Config& config) : config_(config), keys_(config_keys(config)) {
    for (const Key& key : keys_) {
      for (std::string table = key.table; !table.empty();) {
        tables_.insert(table);
        const size_t dot = table.rfind('.');
        table = dot == std::string::npos ? "" : table.substr(0, dot);
      }
    }
    tables_.insert({"data", kWeightsTable});
  }

  // `by_line`: messages name the line too.
  void apply(const toml::table& document, const std::string& name, bool by_line) {
    name_ = name;
    by_line_ = by_line;
    walk(document, "");
  }

  // Where a key was set, for messages about several keys; the file where it was not.
  std::string origin(const std::string& path, const std::string& file) const {
    const auto found = origins_.find(path);
    return found == origins_.end() ? file : found->second;
  }

  // The key with which a message begins, if one does.
  std::string subject(const std::string& message) const {
    std::string best;
    for (const Key& key : keys_) {
      const std::string path = key.path();
      if (message.starts_with(path + " ") && path.size() > best.size()) best = path;
    }
    return best;
  }

  std::vector<std::string> leave_out_unused() {
    Config defaults;
    const std::vector<Key> fresh = config_keys(defaults);
    std::vector<std::string> unused;
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (applies_to(keys_[i], config_.model.kind)) continue;
      if (origins_.contains(keys_[i].path())) unused.push_back(keys_[i].path());
      copy_place(fresh[i], keys_[i]);
    }
    return unused;
  }

 private:
  std::string where(const toml::node& node) const {
    return by_line_ ? concat(name_, ":", node.source().begin.line) : name_;
  }

  void walk(const toml::table& table, const std::string& path) {
    for (const auto& [toml_key, node] : table) {
      const std::string name(toml_key.str());
      if (path == kWeightsTable) {
        set_weight(name, node);
        continue;
      }
      const std::string full = join_path(path, name);
      const auto key =
          std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.path() == full; });
      if (key != keys_.end()) {
        set(*key, node);
        origins_[full] = where(node);
      } else if (tables_.contains(full)) {
        DLCM_CHECK_INPUT(node.is_table(), where(node), ": ", full, " = ", shown(node),
                         ": expected a table with ", contents(full));
        walk(*node.as_table(), full);
      } else {
        refuse_unknown(path, name, node);
      }
    }
  }

  void set(Key& key, const toml::node& node) {
    const bool taken = std::visit([&node](auto& place) { return take(place, node); }, key.place);
    DLCM_CHECK_INPUT(taken, where(node), ": ", key.path(), " = ", shown(node), ": expected ", key.allowed());
  }

  // Each `take` stores the node's value, or returns false where its type or value is not allowed.
  static bool take(const WholeNumber& place, const toml::node& node) {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < place.least || number->get() > place.most) return false;
    *place.value = number->get();
    return true;
  }

  static bool take(const Number& place, const toml::node& node) {
    if (!node.is_number()) return false;
    const double number = *node.value<double>();
    if (!std::isfinite(number) || number < place.least || number > place.most) return false;
    if (place.above && number <= place.least) return false;
    *place.value = number;
    return true;
  }

  static bool take(bool* place, const toml::node& node) {
    if (!node.is_boolean()) return false;
    *place = node.as_boolean()->get();
    return true;
  }

  static bool take(const Text& place, const toml::node& node) {
    if (!node.is_string()) return false;
    *place.value = node.as_string()->get();
    return true;
  }

  static bool take(const Choice& place, const toml::node& node) {
    if (!node.is_string()) return false;
    const auto found = std::find(place.names.begin(), place.names.end(), node.as_string()->get());
    if (found == place.names.end()) return false;
    place.set(static_cast<size_t>(found - place.names.begin()));
    return true;
  }

  void set_weight(const std::string& domain, const toml::node& node) {
    double weight = 0;
    DLCM_CHECK_INPUT(!domain.empty() && take(Number{&weight, 0, kLargestWeight}, node), where(node), ": ",
                     kWeightsTable, ".", shown(domain), " = ", shown(node),
                     ": expected the name of a domain and a number from 0 to ", kLargestWeight);
    config_.data_weights[domain] = weight;
  }

  static void copy_place(const Key& from, const Key& to) {
    if (const auto* number = std::get_if<WholeNumber>(&to.place)) {
      *number->value = *std::get<WholeNumber>(from.place).value;
    } else if (const auto* real = std::get_if<Number>(&to.place)) {
      *real->value = *std::get<Number>(from.place).value;
    } else if (const auto* flag = std::get_if<bool*>(&to.place)) {
      **flag = *std::get<bool*>(from.place);
    } else if (const auto* text = std::get_if<Text>(&to.place)) {
      *text->value = *std::get<Text>(from.place).value;
    } else {
      std::get<Choice>(to.place).set(std::get<Choice>(from.place).get());
    }
  }

  // Names that may stand directly in a table ("" is the file itself), tables among them in brackets.
  std::vector<std::string> names_in(const std::string& table, bool brackets) const {
    std::vector<std::string> names;
    for (const Key& key : keys_) {
      if (key.table == table) names.push_back(key.name);
    }
    const std::string prefix = table.empty() ? "" : table + ".";
    for (const std::string& other : tables_) {
      if (!other.starts_with(prefix) || other.size() == prefix.size()) continue;
      const std::string rest = other.substr(prefix.size());
      if (rest.find('.') == std::string::npos) names.push_back(brackets ? "[" + other + "]" : rest);
    }
    return names;
  }

  std::string contents(const std::string& table) const {
    return table == kWeightsTable ? "a number for each domain" : joined(names_in(table, true));
  }

  // As it is written in a file: tables in brackets.
  std::string written(const std::string& path) const {
    return tables_.contains(path) ? "[" + path + "]" : path;
  }

  // What may have been meant: a name of the same table or, letter by letter, one in another.
  std::string hint_for(const std::string& table, const std::string& name) const {
    const std::string nearest = nearest_word(name, names_in(table, false));
    if (!nearest.empty()) {
      const std::string path = join_path(table, nearest);
      return " Did you mean " + (tables_.contains(path) ? written(path) : nearest) + "?";
    }
    std::vector<std::string> elsewhere;
    for (const Key& key : keys_) {
      if (key.name == name) elsewhere.push_back(key.path());
    }
    for (const std::string& other : tables_) {
      if (other.ends_with("." + name)) elsewhere.push_back(written(other));
    }
    return elsewhere.empty() ? "" : " Did you mean " + joined(elsewhere) + "?";
  }

  [[noreturn]] void refuse_unknown(const std::string& table, const std::string& name,
                                   const toml::node& node) const {
    const std::string full = shown(join_path(table, name));
    const std::string hint = hint_for(table, name);
    const std::string given =
        node.is_table() ? "[" + full + "]: unknown table" : full + " = " + shown(node) + ": unknown key";
    throw InputError(concat(where(node), ": ", given, ".", hint, " ",
                            table.empty() ? "The file" : "[" + table + "]", " has ", contents(table)));
  }

  Config& config_;
  std::vector<Key> keys_;
  std::set<std::string> tables_;
  std::map<std::string, std::string> origins_;
  std::string name_;
  bool by_line_ = false;
};

toml::table parse_file_text(std::string_view text, const std::string& name) {
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    throw InputError(concat(name, ":", error.source().begin.line,
                            ": not TOML: ", shown(std::string(error.description()))));
  }
}

std::string toml_string(std::string_view word) {
  std::string text = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

// "key=value" as a document of its own. A value that is not TOML stands for itself as a string.
toml::table parse_override(const std::string& text, const std::string& name) {
  const size_t equals = text.find('=');
  DLCM_CHECK_INPUT(
      equals != std::string::npos && equals > 0 && text.find_first_of("\n\r") == std::string::npos, name,
      ": expected key=value, for example --set model.token.width=512");
  const std::string key = text.substr(0, equals);
  const std::string value = text.substr(equals + 1);
  try {
    return toml::parse(key + " = " + value, name);
  } catch (const toml::parse_error&) {
  }
  try {
    return toml::parse(key + " = " + toml_string(value), name);
  } catch (const toml::parse_error& error) {
    throw InputError(concat(name, ": ", shown(std::string(error.description()))));
  }
}

}  // namespace

LoadedConfig parse_config(std::string_view text, const std::string& name,
                          const std::vector<std::string>& overrides) {
  LoadedConfig loaded;
  Reader reader(loaded.config);
  reader.apply(parse_file_text(text, name), name, true);
  for (const std::string& override : overrides) {
    const std::string flag = "--set " + shown(override);
    reader.apply(parse_override(override, flag), flag, false);
  }
  loaded.unused = reader.leave_out_unused();
  try {
    check(loaded.config);
  } catch (const InputError& error) {
    throw InputError(concat(reader.origin(reader.subject(error.what()), name), ": ", error.what()));
  }
  return loaded;
}

LoadedConfig load_config(const std::string& file, const std::vector<std::string>& overrides) {
  return parse_config(read_file_or_input(file), file == "-" ? "standard input" : file, overrides);
}

}  // namespace dlcm::apps
