// Pieces of text on their way from a pre-tokenizer to the merges: handed on in batches, so that the receiver
// can look up several at once.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace dlcm::data {

// The pieces are in the order of the text and not empty; they and what they point into last for the call.
using PieceSink = std::function<void(std::span<const std::string_view>)>;

class PieceBatch {
 public:
  static constexpr size_t kPieces = 128;
  explicit PieceBatch(const PieceSink& sink) : sink_(sink) {}
  void add(std::string_view piece) {
    if (piece.empty()) return;
    pieces_[count_++] = piece;
    if (count_ == pieces_.size()) flush();
  }
  void flush() {
    if (count_ > 0) sink_(std::span(pieces_.data(), count_));
    count_ = 0;
  }

 private:
  const PieceSink& sink_;
  std::array<std::string_view, kPieces> pieces_;
  size_t count_ = 0;
};

}  // namespace dlcm::data
