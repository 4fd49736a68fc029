// SHA-256 (FIPS 180-4): names a tokenizer's vocabulary in shards and checkpoints.
#pragma once

#include <string>
#include <string_view>

namespace dlcm::data {

// 64 lower-case hexadecimal digits.
std::string sha256(std::string_view bytes);

}  // namespace dlcm::data
