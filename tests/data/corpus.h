// Shards for tests of what reads them.
#pragma once

#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "data/shard.h"

namespace dlcm::test {

inline constexpr int64_t kVocabulary = 70000;

// Tokens are numbered through, so that each stored token is told from all others.
class Corpus {
 public:
  void write(const std::string& folder, const std::string& kind, int index,
             const std::vector<int64_t>& lengths, int64_t vocab_size = kVocabulary,
             const std::string& tokenizer = "numbers") {
    std::filesystem::create_directories(folder);
    data::ShardWriter writer(concat(folder, "/", kind, "-0000", index, ".h5"), {vocab_size, tokenizer, ""});
    for (const int64_t length : lengths) {
      std::vector<int32_t> tokens(static_cast<size_t>(length));
      std::iota(tokens.begin(), tokens.end(), next_);
      firsts.push_back(next_);
      next_ += static_cast<int32_t>(length);
      writer.add(tokens, 3 * length + 1);
      bytes += 3 * length + 1;
    }
    writer.finish();
    writer.publish();
  }
  int64_t tokens() const { return next_; }
  std::vector<int32_t> firsts;  // of the documents
  int64_t bytes = 0;

 private:
  int32_t next_ = 0;
};

}  // namespace dlcm::test
