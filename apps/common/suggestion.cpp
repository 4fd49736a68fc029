#include "apps/common/suggestion.h"

#include <algorithm>
#include <numeric>

namespace dlcm::apps {
namespace {

constexpr size_t kLongest = 64;  // letters of a word that is compared

std::string lower_case(std::string word) {
  for (char& c : word) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return word;
}

// Insertions, deletions and replacements that turn one word into the other.
size_t edit_distance(const std::string& from, const std::string& to) {
  std::vector<size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= from.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= to.size(); ++j) {
      const size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[to.size()];
}

}  // namespace

std::string nearest_word(const std::string& given, const std::vector<std::string>& words) {
  size_t best = std::max<size_t>(2, given.size() / 3) + 1;
  std::string nearest;
  if (given.size() > kLongest) return nearest;
  const std::string wanted = lower_case(given);
  for (const std::string& word : words) {
    const size_t distance = edit_distance(wanted, lower_case(word));
    if (distance < best && distance < word.size()) {
      best = distance;
      nearest = word;
    }
  }
  return nearest;
}

std::string suggestion(const std::string& given, const std::vector<std::string>& words) {
  const std::string nearest = nearest_word(given, words);
  return nearest.empty() ? nearest : " Did you mean " + nearest + "?";
}

}  // namespace dlcm::apps
