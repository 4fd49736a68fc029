#include "data/bpe/trainer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "data/bpe/json_value.h"
#include "data/bpe/pair_changes.h"
#include "data/bpe/pair_queue.h"
#include "data/bpe/vocabulary.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
constexpr size_t kBytes = 256;
constexpr int64_t kMergesPerCall = 256;  // of progress
constexpr size_t kAhead = 8;             // words that are on their way from memory

// The tokens so far. Each text comes from one pair alone: what is merged within a stretch of text that no
// token crosses depends on that stretch, so that once it has become a token it is that token everywhere. Only
// special tokens may be met.
class TokenList {
 public:
  explicit TokenList(const std::vector<std::string>& special) : tokens_(special) {
    for (uint32_t id = 0; id < special.size(); ++id) special_.emplace(special[id], id);
    std::map<std::string, size_t> characters;  // UTF-8 sorts as its code points
    for (size_t byte = 0; byte < kBytes; ++byte) {
      characters[character_of_byte(static_cast<unsigned char>(byte))] = byte;
    }
    for (const auto& [character, byte] : characters) byte_ids_[byte] = add(character);
  }

  size_t size() const { return tokens_.size(); }
  const std::array<uint32_t, kBytes>& byte_ids() const { return byte_ids_; }
  uint32_t add_joined(TokenPair pair) { return add(tokens_[pair.left] + tokens_[pair.right]); }
  std::vector<std::string> take() { return std::move(tokens_); }

 private:
  uint32_t add(std::string token) {
    if (const auto found = special_.find(token); found != special_.end()) {
      DLCM_CHECK_INPUT(bytes_of_token(token) == token, "the special token '", shown(token),
                       "' is also how a tokenizer.json writes other bytes: choose another text");
      return found->second;
    }
    tokens_.push_back(std::move(token));
    return static_cast<uint32_t>(tokens_.size() - 1);
  }

  std::unordered_map<std::string, uint32_t> special_;
  std::vector<std::string> tokens_;
  std::array<uint32_t, kBytes> byte_ids_{};
};

// The distinct pieces of two bytes or more, as ids that are merged in place.
struct Words {
  struct Word {
    uint64_t begin;  // in ids
    uint64_t count;
    uint32_t size;
  };
  std::vector<Word> words;
  std::vector<uint32_t> ids;
  uint64_t single_bytes = 0;  // occurrences of pieces of one

  Words(const PieceCounts& counts, const TokenList& tokens) {
    size_t bytes = 0;
    counts.for_each([&](std::string_view piece, uint64_t /*count*/) { bytes += piece.size(); });
    ids.reserve(bytes);
    words.reserve(counts.distinct());
    counts.for_each([&](std::string_view piece, uint64_t count) {
      if (piece.size() == 1) {
        single_bytes += count;
        return;
      }
      words.push_back({ids.size(), count, static_cast<uint32_t>(piece.size())});
      for (const char byte : piece) ids.push_back(tokens.byte_ids()[static_cast<unsigned char>(byte)]);
    });
    DLCM_CHECK(words.size() < kNone, "training a tokenizer: ", words.size(),
               " distinct pieces, fewer than 2^32 are possible");
  }
};

// A pair of bytes before the first merge.
struct BytePair {
  int64_t count = 0;
  size_t first = 0;  // of its words among those of all
  uint32_t words = 0;
  uint32_t last_word = kNone;
};

class Trainer {
 public:
  Trainer(const PieceCounts& counts, const TrainerOptions& options)
      : options_(options),
        tokens_(options.special_tokens),
        words_(counts, tokens_),
        queue_(std::max<int64_t>(1, options.min_frequency)),
        changes_(static_cast<size_t>(options.vocab_size)) {}

  TrainedTokens train(const std::function<void(int64_t)>& progress) {
    queue_byte_pairs();
    while (std::cmp_less(tokens_.size(), options_.vocab_size) && !queue_.empty()) {
      PairQueue::Waiting next = queue_.pop();
      const int64_t count = counts_[next.pair];
      if (count != next.count) {  // it has become rarer
        next.count = count;
        queue_.push(next);
        continue;
      }
      merge(next);
      if (merges_.size() % kMergesPerCall == 0) progress(static_cast<int64_t>(tokens_.size()));
    }
    return result();
  }

 private:
  void queue_byte_pairs();
  void merge(const PairQueue::Waiting& waiting);
  void merge_in(uint32_t word, TokenPair pair, uint32_t merged);
  TrainedTokens result();

  const TrainerOptions& options_;
  TokenList tokens_;
  Words words_;
  PairCounts counts_;
  PairQueue queue_;
  PairChanges changes_;
  std::vector<Merge> merges_;
};

void Trainer::queue_byte_pairs() {
  const std::array<uint32_t, kBytes>& byte_ids = tokens_.byte_ids();
  std::vector<uint8_t> byte_of(tokens_.size());  // [id]
  for (size_t byte = 0; byte < kBytes; ++byte) byte_of[byte_ids[byte]] = static_cast<uint8_t>(byte);
  std::vector<BytePair> pairs(kBytes * kBytes);
  size_t all_words = 0;
  const auto for_each_pair = [&](const auto& body) {
    for (uint32_t i = 0; i < words_.words.size(); ++i) {
      const Words::Word& word = words_.words[i];
      const uint32_t* id = words_.ids.data() + word.begin;
      for (uint32_t at = 0; at + 1 < word.size; ++at)
        body(pairs[byte_of[id[at]] * kBytes + byte_of[id[at + 1]]], i, word.count);
    }
  };
  for_each_pair([&](BytePair& pair, uint32_t word, uint64_t count) {
    pair.count += static_cast<int64_t>(count);
    if (std::exchange(pair.last_word, word) == word) return;
    ++pair.words;
    ++all_words;
  });
  const std::span<uint32_t> words = queue_.add_words(all_words);
  size_t first = 0;
  for (size_t i = 0; i < pairs.size(); ++i) {
    BytePair& pair = pairs[i];
    if (pair.words == 0) continue;
    const TokenPair both{byte_ids[i / kBytes], byte_ids[i % kBytes]};
    counts_[both] = pair.count;
    queue_.push({pair.count, both, words.subspan(first, pair.words)});
    pair.first = first;
    first += pair.words;
    pair.last_word = kNone;
  }
  for_each_pair([&](BytePair& pair, uint32_t word, uint64_t /*count*/) {
    if (std::exchange(pair.last_word, word) != word) words[pair.first++] = word;
  });
}

void Trainer::merge(const PairQueue::Waiting& waiting) {
  const uint32_t merged = tokens_.add_joined(waiting.pair);
  merges_.push_back({static_cast<int32_t>(waiting.pair.left), static_cast<int32_t>(waiting.pair.right),
                     static_cast<int32_t>(merged)});
  changes_.begin(waiting.pair, merged);
  const std::span<const uint32_t> words = waiting.words;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i + 2 * kAhead < words.size()) __builtin_prefetch(&words_.words[words[i + 2 * kAhead]]);
    if (i + kAhead < words.size()) {
      __builtin_prefetch(words_.ids.data() + words_.words[words[i + kAhead]].begin, 1);
    }
    merge_in(words[i], waiting.pair, merged);
  }
  changes_.apply(counts_, queue_);
}

void Trainer::merge_in(uint32_t index, TokenPair pair, uint32_t merged) {
  Words::Word& word = words_.words[index];
  uint32_t* const ids = words_.ids.data() + word.begin;
  uint32_t at = 0;
  while (at + 1 < word.size && (ids[at] != pair.left || ids[at + 1] != pair.right)) ++at;
  if (at + 1 >= word.size) return;
  uint32_t out = at;
  while (at < word.size) {
    if (ids[at] != pair.left || at + 1 == word.size || ids[at + 1] != pair.right) {
      ids[out++] = ids[at++];
      continue;
    }
    at += 2;
    if (out > 0) changes_.add_before(ids[out - 1], word.count, index);
    if (at < word.size) changes_.add_after(ids[at], word.count, index);
    ids[out++] = merged;
  }
  word.size = out;
}

TrainedTokens Trainer::result() {
  uint64_t text_tokens = words_.single_bytes;
  for (const Words::Word& word : words_.words) text_tokens += word.count * word.size;
  return {tokens_.take(), std::move(merges_), options_.special_tokens.size(), text_tokens};
}

}  // namespace

void check_trainer_options(const TrainerOptions& options) {
  std::unordered_set<std::string> seen;
  for (const std::string& token : options.special_tokens) {
    DLCM_CHECK_INPUT(!token.empty(), "a special token is empty");
    DLCM_CHECK_INPUT(first_invalid_utf8(token) == token.size(), "the special token '", shown(token),
                     "' is not UTF-8");
    DLCM_CHECK_INPUT(seen.insert(token).second, "the special token '", shown(token), "' is there twice");
  }
  const auto least = static_cast<int64_t>(options.special_tokens.size() + kBytes);
  DLCM_CHECK_INPUT(options.vocab_size >= least && options.vocab_size <= kMaxTokenId + 1, "a vocabulary of ",
                   options.vocab_size, " ids: with ", least - static_cast<int64_t>(kBytes),
                   " special tokens and the 256 bytes expected are ", least, " to ", kMaxTokenId + 1);
}

TrainedTokens train_byte_pairs(const PieceCounts& counts, const TrainerOptions& options,
                               const std::function<void(int64_t)>& progress) {
  check_trainer_options(options);
  return Trainer(counts, options).train(progress);
}

}  // namespace dlcm::data
