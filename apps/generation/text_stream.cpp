#include "apps/generation/text_stream.h"

#include <algorithm>
#include <utility>

#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the character that `lead` begins; 0 where none does.
size_t expected_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
}

// Whether some bytes after `beginning` make it a well-formed character.
bool is_beginning(std::string_view beginning) {
  const size_t bytes = expected_bytes(static_cast<unsigned char>(beginning[0]));
  if (bytes < beginning.size()) return false;
  std::string character(beginning);
  // The second byte alone is restricted further than to 80..BF, at either end: one of these always fits.
  for (const char second : {'\x80', '\xBF'}) {
    character.resize(beginning.size());
    while (character.size() < bytes) character += character.size() == 1 ? second : '\x80';
    if (data::first_invalid_utf8(character) == character.size()) return true;
  }
  return false;
}

bool is_whole(std::string_view character) {
  return character.size() == expected_bytes(static_cast<unsigned char>(character[0]));
}

size_t first_character_bytes(std::string_view text) {
  return expected_bytes(static_cast<unsigned char>(text[0]));
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    pending_ += byte;
    if (!is_beginning(pending_)) {
      text += kReplacement;
      // The byte that does not fit may itself begin a character; alone it is what has just been replaced.
      pending_ = pending_.size() > 1 ? std::string(1, byte) : std::string();
      if (!pending_.empty() && !is_beginning(pending_)) {
        text += kReplacement;
        pending_.clear();
      }
    }
    if (!pending_.empty() && is_whole(pending_)) text += std::exchange(pending_, {});
  }
  return text;
}

std::string Utf8Stream::finish() {
  return std::exchange(pending_, {}).empty() ? std::string() : std::string(kReplacement);
}

TextStream::TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    DLCM_CHECK(!stop.empty(), "text stream: a stop string is empty");
    longest_stop_ = std::max(longest_stop_, stop.size());
  }
}

TextPiece TextStream::push(std::string_view bytes, bool begins_concept) {
  DLCM_CHECK(!stopped_, "text stream: pushed to after its stop string");
  if (begins_concept && !characters_.has_pending()) {
    marks_.push_back(waiting_.size());
  } else if (begins_concept) {
    mark_pending_ = true;
  }
  add(characters_.push(bytes));
  return release(stopped_ ? waiting_.size() : releasable());
}

TextPiece TextStream::finish() {
  if (!stopped_) add(characters_.finish());
  return release(waiting_.size());
}

void TextStream::add(const std::string& characters) {
  if (characters.empty()) return;
  if (mark_pending_) {
    marks_.push_back(waiting_.size() + first_character_bytes(characters));
    mark_pending_ = false;
  }
  waiting_ += characters;
  find_stop();
}

void TextStream::find_stop() {
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) first = std::min(first, waiting_.find(stop));
  if (first == std::string::npos) return;
  stopped_ = true;
  waiting_.resize(first);
}

// Bytes before the longest end of waiting_ that begins a stop string.
size_t TextStream::releasable() const {
  const size_t longest = std::min(waiting_.size(), longest_stop_);
  for (size_t length = longest; length > 0; --length) {
    const std::string_view end = std::string_view(waiting_).substr(waiting_.size() - length);
    for (const std::string& stop : stops_) {
      if (std::string_view(stop).starts_with(end)) return waiting_.size() - length;
    }
  }
  return waiting_.size();
}

TextPiece TextStream::release(size_t end) {
  TextPiece piece;
  piece.text = waiting_.substr(0, end);
  waiting_.erase(0, end);
  std::vector<size_t> kept;
  for (const size_t mark : marks_) {
    if (mark < piece.text.size()) {
      piece.marks.push_back(mark);
    } else {
      kept.push_back(mark - piece.text.size());
    }
  }
  // A concept that began where no text follows any more is not marked; two at one place are marked once.
  marks_ = std::move(kept);
  marks_.erase(std::unique(marks_.begin(), marks_.end()), marks_.end());
  piece.marks.erase(std::unique(piece.marks.begin(), piece.marks.end()), piece.marks.end());
  return piece;
}

}  // namespace dlcm::apps
