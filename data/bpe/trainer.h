// Training of a byte-level byte pair encoding (Sennrich et al. 2016): of all pairs of neighbouring tokens the
// most frequent one becomes a token, again and again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "data/bpe/byte_pairs.h"
#include "data/bpe/piece_counts.h"

namespace dlcm::data {

struct TrainerOptions {
  int64_t vocab_size = 0;                   // at most kMaxTokenId + 1, special tokens and bytes included
  int64_t min_frequency = 0;                // pairs that occur less often are not merged; 0 is as 1
  std::vector<std::string> special_tokens;  // ids from 0 on
};

// Throws InputError where the special tokens and the bytes do not fit into vocab_size, or one of the special
// tokens is empty, not UTF-8 or there twice.
void check_trainer_options(const TrainerOptions& options);

struct TrainedTokens {
  // By id, as tokenizer.json writes them (character_of_byte): special tokens, the 256 bytes in the order of
  // their characters, then what was merged, in that order.
  std::vector<std::string> tokens;
  std::vector<Merge> merges;  // by rank
  size_t special_tokens = 0;
  uint64_t text_tokens = 0;  // into which they cut the text that was counted
};

// Tokens and merges are those of BpeTrainer in Hugging Face's `tokenizers` 0.23 with the same pieces, special
// tokens, ByteLevel.alphabet() as initial_alphabet, and neither limit_alphabet nor max_token_length:
// - The most frequent pair is merged; of equally frequent ones that of the lower left id, then of the lower
//   right id. Its occurrences in a piece are merged from the left; a pair that overlaps itself ("aaa") counts
//   at each place.
// - Merging ends when there are vocab_size tokens, or no pair is left that occurs min_frequency times: then
//   there are fewer.
// - A merge that gives the text of a special token gives its id, and no new token.
// Theirs counts in 32 bits, which overflow where a pair occurs 2^31 times; here nothing does.
//
// The result depends on the counts alone, not on their order or on the number of threads. A merge goes over
// every piece in which its pair was seen, from end to end. Calls `progress` with the number of tokens now and
// then. Throws InputError where check_trainer_options does, or where the text of a special token is how the
// file writes a token of other bytes.
TrainedTokens train_byte_pairs(const PieceCounts& counts, const TrainerOptions& options,
                               const std::function<void(int64_t tokens)>& progress);

}  // namespace dlcm::data
