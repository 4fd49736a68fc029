#include "data/input_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "tensor/check.h"

namespace dlcm::data {
namespace {

constexpr size_t kBufferBytes = size_t{256} << 10;

// A file's bytes as they are, with a look at the first ones.
class RawInput final : public InputStream {
 public:
  explicit RawInput(const std::string& path) : path_(path) {
    if (path == "-") {
      descriptor_ = dup(STDIN_FILENO);
    } else {
      descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    }
    if (descriptor_ < 0) {
      const int reason = errno;
      const std::string message = concat("cannot read '", path, "': ", std::strerror(reason));
      if (reason == ENOENT || reason == ENOTDIR) throw InputError(message);
      throw Error(message);
    }
  }
  ~RawInput() override { close(descriptor_); }
  RawInput(const RawInput&) = delete;
  RawInput& operator=(const RawInput&) = delete;

  // The first four bytes, fewer where the file is shorter. Before the first read.
  std::string_view start() {
    while (start_bytes_ < sizeof(start_)) {
      const size_t got = read_descriptor(start_ + start_bytes_, sizeof(start_) - start_bytes_);
      if (got == 0) break;
      start_bytes_ += got;
    }
    return {start_, start_bytes_};
  }

  size_t read(char* out, size_t bytes) override {
    if (given_ < start_bytes_) {
      const size_t taken = std::min(bytes, start_bytes_ - given_);
      std::memcpy(out, start_ + given_, taken);
      given_ += taken;
      return taken;
    }
    return read_descriptor(out, bytes);
  }

 private:
  size_t read_descriptor(char* out, size_t bytes) {
    while (true) {
      const ssize_t got = ::read(descriptor_, out, bytes);
      if (got >= 0) return static_cast<size_t>(got);
      DLCM_CHECK(errno == EINTR, "cannot read '", path_, "': ", std::strerror(errno));
    }
  }

  std::string path_;
  int descriptor_ = -1;
  char start_[4] = {};
  size_t start_bytes_ = 0;
  size_t given_ = 0;
};

class GzipInput final : public InputStream {
 public:
  GzipInput(std::unique_ptr<InputStream> source, std::string path)
      : source_(std::move(source)), path_(std::move(path)), buffer_(kBufferBytes) {
    constexpr int kGzipWindow = 15 + 16;
    DLCM_CHECK(inflateInit2(&stream_, kGzipWindow) == Z_OK, "zlib: inflateInit2 failed");
  }
  ~GzipInput() override { inflateEnd(&stream_); }
  GzipInput(const GzipInput&) = delete;
  GzipInput& operator=(const GzipInput&) = delete;

  size_t read(char* out, size_t bytes) override {
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(std::min(bytes, kBufferBytes));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted) {
      if (stream_.avail_in == 0 && !refill()) {
        DLCM_CHECK_INPUT(at_member_end_, "'", path_,
                         "': the gzip data end early: the file is truncated, copy it again");
        return 0;
      }
      if (at_member_end_) {  // several members may follow one another
        inflateReset(&stream_);
        at_member_end_ = false;
      }
      const int result = inflate(&stream_, Z_NO_FLUSH);
      DLCM_CHECK_INPUT(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR, "'", path_,
                       "': damaged gzip data: ", stream_.msg != nullptr ? stream_.msg : "inflate failed");
      at_member_end_ = result == Z_STREAM_END;
    }
    return wanted - stream_.avail_out;
  }

 private:
  bool refill() {
    stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(source_->read(buffer_.data(), buffer_.size()));
    return stream_.avail_in > 0;
  }

  std::unique_ptr<InputStream> source_;
  std::string path_;
  std::vector<char> buffer_;
  z_stream stream_{};
  bool at_member_end_ = false;
};

class ZstdInput final : public InputStream {
 public:
  ZstdInput(std::unique_ptr<InputStream> source, std::string path)
      : source_(std::move(source)),
        path_(std::move(path)),
        buffer_(kBufferBytes),
        stream_(ZSTD_createDStream()) {
    DLCM_CHECK(stream_ != nullptr, "zstd: ZSTD_createDStream failed");
  }
  ~ZstdInput() override { ZSTD_freeDStream(stream_); }
  ZstdInput(const ZstdInput&) = delete;
  ZstdInput& operator=(const ZstdInput&) = delete;

  size_t read(char* out, size_t bytes) override {
    ZSTD_outBuffer output{out, bytes, 0};
    while (output.pos == 0) {
      if (input_.pos == input_.size && !full_output_) {
        input_ = {buffer_.data(), source_->read(buffer_.data(), buffer_.size()), 0};
        if (input_.size == 0) {
          DLCM_CHECK_INPUT(at_frame_end_, "'", path_,
                           "': the zstd data end early: the file is truncated, copy it again");
          return 0;
        }
      }
      const size_t result = ZSTD_decompressStream(stream_, &output, &input_);
      DLCM_CHECK_INPUT(!ZSTD_isError(result), "'", path_,
                       "': damaged zstd data: ", ZSTD_getErrorName(result));
      at_frame_end_ = result == 0;
      full_output_ = !at_frame_end_ && output.pos == output.size;  // more may be waiting inside
    }
    return output.pos;
  }

 private:
  std::unique_ptr<InputStream> source_;
  std::string path_;
  std::vector<char> buffer_;
  ZSTD_DStream* stream_;
  ZSTD_inBuffer input_{nullptr, 0, 0};
  bool at_frame_end_ = false;
  bool full_output_ = false;
};

}  // namespace

std::unique_ptr<InputStream> open_input(const std::string& path) {
  auto raw = std::make_unique<RawInput>(path);
  const std::string_view start = raw->start();
  // No text begins so: in UTF-8 the second byte of either continues a character that the first does not
  // begin.
  const bool is_gzip = start.starts_with("\x1f\x8b");
  const bool is_zstd = start == "\x28\xb5\x2f\xfd";
  DLCM_CHECK_INPUT(is_gzip || !path.ends_with(".gz"), "'", path,
                   "' is named .gz but does not hold gzip data: rename it, or copy it again");
  DLCM_CHECK_INPUT(is_zstd || !path.ends_with(".zst"), "'", path,
                   "' is named .zst but does not hold zstd data: rename it, or copy it again");
  if (is_gzip) return std::make_unique<GzipInput>(std::move(raw), path);
  if (is_zstd) return std::make_unique<ZstdInput>(std::move(raw), path);
  return raw;
}

}  // namespace dlcm::data
