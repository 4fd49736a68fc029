// The table of configuration keys: name, place in the struct, what is allowed. Used by config.cpp and its
// tests.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "apps/common/config.h"

namespace dlcm::apps {

// A whole number from `least` to `most`.
struct WholeNumber {
  int64_t* value;
  int64_t least;
  int64_t most;
};

// A finite number from `least` to `most`; where `above` is set, `least` itself is not allowed.
struct Number {
  double* value;
  double least;
  double most;
  bool above = false;
};

// One of some words, each standing for a value of an enumeration.
struct Choice {
  std::vector<std::string> names;
  std::function<size_t()> get;  // index into names
  std::function<void(size_t index)> set;
};

// Any text without control characters.
struct Text {
  std::string* value;
};

enum class Applies { always, dlcm, transformer };

struct Key {
  std::string table;  // "model.token"
  std::string name;   // "width"
  std::variant<WholeNumber, Number, bool*, Text, Choice> place;
  Applies applies = Applies::always;

  std::string path() const { return table + "." + name; }
  // "a whole number from 1 to 1048576", "one of sequence, batch, global": follows "expected".
  std::string allowed() const;
};

// Every key but those of [data.weights], in the order of writing, with places inside `config`.
std::vector<Key> config_keys(Config& config);

// The one table whose keys are the user's: domains and their weights.
inline constexpr const char* kWeightsTable = "data.weights";
inline constexpr double kLargestWeight = 1e9;

bool applies_to(const Key& key, ModelKind kind);

}  // namespace dlcm::apps
