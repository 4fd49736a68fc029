#include "apps/tokenize/token_spool.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

#include "tensor/check.h"

namespace dlcm::apps {
namespace {

void read_tokens(const data::AtomicFile& file, int64_t first, std::span<int32_t> out) {
  auto* bytes = reinterpret_cast<char*>(out.data());
  const size_t size = out.size_bytes();
  for (size_t done = 0; done < size;) {
    const auto offset =
        static_cast<off_t>(first * static_cast<int64_t>(sizeof(int32_t))) + static_cast<off_t>(done);
    const ssize_t got = pread(file.descriptor(), bytes + done, size - done, offset);
    if (got < 0 && errno == EINTR) continue;
    DLCM_CHECK(got > 0, "cannot read '", file.temporary(),
               "': ", got < 0 ? std::strerror(errno) : "it is shorter than what was written");
    done += static_cast<size_t>(got);
  }
}

}  // namespace

void TokenSpool::add(std::span<const int32_t> tokens) {
  last_.insert(last_.end(), tokens.begin(), tokens.end());
  if (last_.size() > kMostInMemory) write_last();
}

void TokenSpool::write_last() {
  if (file_ == nullptr) file_ = std::make_unique<data::AtomicFile>(path_);
  file_->write({reinterpret_cast<const char*>(last_.data()), last_.size() * sizeof(int32_t)});
  written_ += static_cast<int64_t>(last_.size());
  last_.clear();
}

void TokenSpool::take(const std::function<void(std::span<const int32_t>)>& piece) {
  constexpr int64_t kPiece = int64_t{1} << 18;
  std::vector<int32_t> buffer;
  for (int64_t first = 0; first < written_; first += kPiece) {
    buffer.resize(static_cast<size_t>(std::min(kPiece, written_ - first)));
    read_tokens(*file_, first, buffer);
    piece(buffer);
  }
  piece(last_);
  last_.clear();
  written_ = 0;
  file_.reset();
}

}  // namespace dlcm::apps
