// The files of a trained tokenizer, as Hugging Face's `tokenizers` and `transformers` read them and
// json_tokenizer.h does.
#pragma once

#include <string>
#include <vector>

#include "data/bpe/trainer.h"

namespace dlcm::data {

// The special tokens of every new tokenizer, ids 0 to 2.
inline constexpr char kBeginOfText[] = "<|begin_of_text|>";
inline constexpr char kEndOfText[] = "<|end_of_text|>";
inline constexpr char kPad[] = "<|pad|>";

// tokenizer.json: a byte-level BPE with the pre-tokenizer of DeepSeek-V3, whose pieces piece_counts.h counts.
std::string tokenizer_json(const TrainedTokens& trained);
// ByteTokenizer as a tokenizer.json; `end`: how its id 256 is written.
std::string bytes_tokenizer_json(const std::string& end);
// tokenizer_config.json beside it, which names begin, end and pad.
std::string tokenizer_config_json();

}  // namespace dlcm::data
