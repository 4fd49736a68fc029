// The pre-tokenizers that matter, by hand: each gives the pieces that its regular expressions give (matches
// and what lies between them), in one pass and in linear time.
#pragma once

#include <span>
#include <string_view>

#include "data/bpe/piece_batch.h"
#include "data/bpe/text_cut.h"

namespace dlcm::data {

// One of the functions below: the text must be UTF-8. Does not flush the batch.
using Scanner = void (*)(std::string_view text, PieceBatch& pieces);

// DeepSeek-V3: three Splits one after another.
constexpr std::string_view kDeepSeekNumbers = "\\p{N}{1,3}";
constexpr std::string_view kDeepSeekIdeographs = "[一-龥\u3040-ゟ゠-ヿ]+";
constexpr std::string_view kDeepSeekWords =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
    "?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+";
void scan_deepseek(std::string_view text, PieceBatch& pieces);

// GPT-2, which ByteLevel uses with use_regex.
constexpr std::string_view kGpt2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
void scan_gpt2(std::string_view text, PieceBatch& pieces);

// Llama-3, also cl100k: numbers of up to three digits.
constexpr std::string_view kLlama3 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
void scan_llama3(std::string_view text, PieceBatch& pieces);

// Qwen2 and Qwen3: each digit alone.
constexpr std::string_view kQwen2 =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
void scan_qwen2(std::string_view text, PieceBatch& pieces);

// The scanner that gives the pieces of these expressions, each Split (Isolated) on the pieces of the one
// before; null where there is none.
Scanner find_scanner(std::span<const std::string_view> expressions);

// Where the pieces of a scanner may be cut apart; none for null.
Cuts cuts_of(Scanner scanner);

}  // namespace dlcm::data
