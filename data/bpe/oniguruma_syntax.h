// From the syntax of Hugging Face's regular expressions (Oniguruma) to PCRE2's.
#pragma once

#include <string>
#include <string_view>

namespace dlcm::data {

// Throws InputError, which begins with `place`, where the pattern holds what the two read differently and
// this function does not translate.
std::string pcre2_of_oniguruma(std::string_view pattern, const std::string& place);

}  // namespace dlcm::data
