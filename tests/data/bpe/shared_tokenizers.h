// The tokenizers and texts that the tests share: those of ../shared/data, beside the checkout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "paths.h"

namespace dlcm::test {

inline std::string shared_data(const std::string& name) {
  return source_folder() + "/../shared/data/" + name;
}

// "deepseek-v3" or "small-8k", read once.
const data::Tokenizer& shared_tokenizer(const std::string& name);

inline std::vector<int32_t> ids_of(const data::Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

inline std::string text_of(const data::Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += tokenizer.decode(id);
  return text;
}

}  // namespace dlcm::test
