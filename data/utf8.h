// UTF-8 (RFC 3629): text is text, whatever the tokenizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace dlcm::data {

// Offset of the first byte that does not belong to a well-formed character (overlong forms, surrogates and
// values above U+10FFFF are malformed), text.size() where all is well.
size_t first_invalid_utf8(std::string_view text);

// The longest prefix of at most `bytes` bytes that does not end within a character.
std::string_view utf8_prefix(std::string_view text, size_t bytes);

// Appends a code point that is not a surrogate, up to U+10FFFF.
void append_utf8(uint32_t code_point, std::string& text);

}  // namespace dlcm::data
