// Regular expressions of a tokenizer.json. They are written for Oniguruma (its own syntax, which is Ruby's)
// and run here by PCRE2: what both read alike is passed on, what they read differently is translated (\s, \d,
// \v, classes of characters newer than PCRE2's Unicode) or refused by name.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dlcm::data {

struct Span {
  size_t begin;
  size_t end;
  bool operator==(const Span&) const = default;
};

class Regex {
 public:
  // `place` names the file and the field in messages. Throws InputError where the pattern is not one, or
  // holds what is not supported.
  Regex(std::string_view pattern, const std::string& place);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Replaces `matches` by the leftmost matches that do not overlap, in order. The text must be UTF-8. An
  // empty match right behind the one before is none, as with Oniguruma's iterator. Throws Error where a match
  // needs more steps or memory than allowed. May be called by several threads at once.
  void find_all(std::string_view text, std::vector<Span>& matches) const;
  bool may_match_nothing() const;  // the empty text

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

// A pattern that matches the text itself.
std::string escape_regex(std::string_view text);

}  // namespace dlcm::data
