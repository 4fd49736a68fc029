// A tokenizer as a model uses it. Models of others have habits of their own: more ids than the tokenizer,
// several end tokens, no begin token.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer.h"

namespace dlcm::apps {

struct ModelText {
  int64_t vocab_size = 0;  // of the model, at least the tokenizer's
  std::string identity;    // of the tokenizer that made the model's shards
  std::vector<int32_t> begin;
  std::vector<int32_t> ends;
};

class ModelTokenizer final : public data::Tokenizer {
 public:
  ModelTokenizer(std::unique_ptr<data::Tokenizer> tokenizer, ModelText text);

  int64_t vocab_size() const override { return text_.vocab_size; }
  std::string identity() const override { return text_.identity; }
  int32_t begin_id() const override { return tokenizer_->begin_id(); }
  int32_t end_id() const override { return tokenizer_->end_id(); }
  std::vector<int32_t> prompt_begin() const override { return text_.begin; }
  bool ends_text(int32_t id) const override;
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  size_t last_cut(std::string_view text, size_t from) const override {
    return tokenizer_->last_cut(text, from);
  }
  bool is_special(int32_t id) const override { return tokenizer_->is_special(id); }
  // Empty also for an id that the model has and the tokenizer has not.
  std::string_view decode(int32_t id) const override;

 private:
  std::unique_ptr<data::Tokenizer> tokenizer_;
  ModelText text_;
};

}  // namespace dlcm::apps
