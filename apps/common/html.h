// Pages of HTML that need nothing but themselves.
#pragma once

#include <string>
#include <string_view>

namespace dlcm::apps {

// Text as HTML shows it, between tags and in attributes in quotes: markup escaped, control characters that
// HTML does not allow replaced by U+FFFD.
std::string html_escaped(std::string_view text);

// Whether the existing file begins as a page does.
bool is_page(const std::string& path);

}  // namespace dlcm::apps
