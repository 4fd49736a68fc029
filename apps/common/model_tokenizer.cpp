#include "apps/common/model_tokenizer.h"

#include <algorithm>

#include "tensor/check.h"

namespace dlcm::apps {

ModelTokenizer::ModelTokenizer(std::unique_ptr<data::Tokenizer> tokenizer, ModelText text)
    : tokenizer_(std::move(tokenizer)), text_(std::move(text)) {
  DLCM_CHECK_INPUT(tokenizer_->vocab_size() <= text_.vocab_size, "the tokenizer '", tokenizer_->identity(),
                   "' has ", tokenizer_->vocab_size(), " ids, the model ", text_.vocab_size,
                   ": it is not the model's tokenizer");
}

bool ModelTokenizer::ends_text(int32_t id) const {
  return std::find(text_.ends.begin(), text_.ends.end(), id) != text_.ends.end();
}

void ModelTokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  tokenizer_->encode(text, ids);
}

std::string_view ModelTokenizer::decode(int32_t id) const {
  const bool is_beyond = id >= tokenizer_->vocab_size() && id < text_.vocab_size;
  return is_beyond ? std::string_view() : tokenizer_->decode(id);
}

}  // namespace dlcm::apps
