#include "apps/common/html.h"

#include <fstream>

#include "data/utf8.h"

namespace dlcm::apps {

namespace {

// U+FFFD, in place of what is no character, or none that a page may hold.
constexpr char kReplacement[] = "\xEF\xBF\xBD";

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string html;
  for (size_t invalid = data::first_invalid_utf8(text); invalid < text.size();
       invalid = data::first_invalid_utf8(text)) {
    html += html_escaped(text.substr(0, invalid)) + kReplacement;
    text.remove_prefix(invalid + 1);
  }
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      case '\'':
        html += "&#39;";
        break;
      case '\r':
        html += "&#13;";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_allowed = (byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\t';
        html += is_allowed ? std::string(1, c) : std::string(kReplacement);
      }
    }
  }
  return html;
}

bool is_page(const std::string& path) {
  const std::string beginning = "<!DOCTYPE html>";
  std::string found(beginning.size(), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(found.data(), static_cast<std::streamsize>(found.size()));
  return found == beginning;
}

}  // namespace dlcm::apps
