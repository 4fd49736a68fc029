#include "apps/common/html.h"

#include <fstream>

namespace dlcm::apps {

std::string html_escaped(std::string_view text) {
  std::string html;
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
        html += is_allowed ? std::string(1, c) : std::string("\xEF\xBF\xBD");
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
