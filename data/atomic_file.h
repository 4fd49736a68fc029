// A file that appears under its name whole or not at all, whatever happens while it is written.
#pragma once

#include <cstdint>
#include <string>

namespace dlcm::data {

// Written as DIR/.NAME.tmp-PID; finish() makes it durable and publish() renames it to DIR/NAME. A kill at any
// moment leaves the old file or none, and a temporary that the next AtomicFile in this folder removes (those
// of processes that still run on this machine are left alone). All failures are Errors of one line that name
// the file and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();  // removes the temporary unless it was published
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }
  const std::string& temporary() const { return temporary_; }
  int descriptor() const { return descriptor_; }  // of the temporary, for reading and writing

  // Takes disk space for the first `bytes` bytes now, so that a full disk is noticed before anything is
  // written. Does nothing where the file system cannot do it.
  void reserve(uint64_t bytes);
  uint64_t reserved() const { return reserved_; }  // bytes, so far
  // Gives back what was reserved and not used, writes to the disk, closes the descriptor.
  void finish();
  // Renames to the final name, durably. After finish().
  void publish();

 private:
  [[noreturn]] void fail(const std::string& reason) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
  uint64_t reserved_ = 0;
  bool published_ = false;
};

// Makes `path` a symbolic link to `target` (relative to the link's folder), replacing it in one step. A file
// of that name which is no link is an Error.
void replace_link(const std::string& path, const std::string& target);

}  // namespace dlcm::data
