// A tokenizer.json of Hugging Face's `tokenizers` that holds a byte-level BPE: the same ids as theirs.
// Features of such files that are not supported are refused by name when a file is loaded.
//
// Text of theirs is always UTF-8. Here a byte that belongs to no well-formed character is a piece of its own,
// and what lies before and behind it are texts of their own, so that every text decodes to itself (but for
// what the normalizer or a stripping token changes, or bytes that the vocabulary lacks).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"

namespace dlcm::data {

class JsonTokenizer final : public Tokenizer {
 public:
  // begin_id() and end_id() are the bos_token and eos_token of a tokenizer_config.json in the same folder,
  // else special tokens with well-known names; one serves as both where there is one alone. The identity is
  // that of the file's bytes, wherever it lies. Throws InputError.
  explicit JsonTokenizer(const std::string& path);
  ~JsonTokenizer() override;

  int64_t vocab_size() const override;  // the highest id, and one
  std::string identity() const override;
  int32_t begin_id() const override;
  int32_t end_id() const override;
  bool is_special(int32_t id) const override;
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  size_t last_cut(std::string_view text, size_t from) const override;
  std::string_view decode(int32_t id) const override;  // empty also for an id that no token has

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace dlcm::data
