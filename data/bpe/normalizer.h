// The field `normalizer`: changes text before it is cut into pieces. Supported are NFC, NFD, NFKC, NFKD,
// Lowercase, Strip, Prepend, Replace and Sequences of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace dlcm::data {

class JsonValue;

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  explicit Normalizer(const JsonValue& field);
  bool changes_nothing() const { return steps_.empty(); }
  // Whether a text that is cut between two characters of ASCII gives the same in parts.
  bool can_be_cut() const { return can_be_cut_; }
  // The text must be UTF-8, and is afterwards. May be called by several threads at once.
  void normalize(std::string& text) const;

 private:
  using Step = std::function<void(std::string&)>;
  void add(const JsonValue& field, int depth);

  std::vector<Step> steps_;
  bool can_be_cut_ = true;  // only forms of Unicode and Lowercase: ASCII composes with nothing before it
};

}  // namespace dlcm::data
