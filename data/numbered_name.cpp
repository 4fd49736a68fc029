#include "data/numbered_name.h"

#include <algorithm>
#include <tuple>

namespace dlcm::data {
namespace {

struct NumberedName {
  std::string_view text;
  std::string_view digits;  // without zeros in front
};

NumberedName parse(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::string_view kEnding = ".h5";
  const std::string_view stem = name.ends_with(kEnding) ? name.substr(0, name.size() - kEnding.size()) : name;
  const size_t last = stem.find_last_not_of(kDigits);
  const size_t first = last == std::string_view::npos ? 0 : last + 1;
  std::string_view digits = stem.substr(first);
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return {stem.substr(0, first), digits};
}

}  // namespace

bool numbered_before(std::string_view a, std::string_view b) {
  const NumberedName x = parse(a), y = parse(b);
  const size_t x_size = x.digits.size(), y_size = y.digits.size();
  return std::tie(x.text, x_size, x.digits, a) < std::tie(y.text, y_size, y.digits, b);
}

}  // namespace dlcm::data
