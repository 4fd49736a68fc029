// Tokens of a document whose end has not been reached: in memory while they are few, then in a temporary
// file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/atomic_file.h"

namespace dlcm::apps {

class TokenSpool {
 public:
  // `path`: what the temporary is named after (data/atomic_file.h); made when it is needed.
  explicit TokenSpool(std::string path) : path_(std::move(path)) {}

  void add(std::span<const int32_t> tokens);
  int64_t tokens() const { return written_ + static_cast<int64_t>(last_.size()); }
  // Gives all tokens in order, piece by piece, and is empty afterwards.
  void take(const std::function<void(std::span<const int32_t>)>& piece);

  static constexpr size_t kMostInMemory = size_t{4} << 20;  // tokens

 private:
  void write_last();

  std::string path_;
  std::unique_ptr<data::AtomicFile> file_;  // removed, as it is never published
  int64_t written_ = 0;                     // tokens in the file
  std::vector<int32_t> last_;               // those behind them
};

}  // namespace dlcm::apps
