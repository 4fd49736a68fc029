// A file that appears under its name whole or not at all, whatever happens while it is written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dlcm::data {

// Whether a new name is made durable at once, or with others by one sync_folder.
enum class FolderSync : uint8_t { now, by_caller };

// Written as DIR/.NAME.tmp-PID (.1, .2, ... behind it where that name is taken); finish() makes it durable
// and publish() renames it to DIR/NAME. The temporary is locked (flock) until then. A kill at any moment
// leaves the old file or none, and a temporary that the next AtomicFile in this folder removes, unless its
// process has another there: it can take its lock, but not that of one that is being written. All failures
// are Errors of one line that name the file and the reason.
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
  // Appends.
  void write(std::string_view bytes);
  // Has the system begin to write what it holds of the file, so that finish() finds little left to wait for.
  void start_write_back() const;
  // Gives back what was reserved and not used and writes to the disk; nothing may be written after it.
  void finish();
  // Renames to the final name, durably, and closes the descriptor. After finish().
  void publish(FolderSync sync = FolderSync::now);

 private:
  [[noreturn]] void fail(const std::string& reason) const;
  bool take(uint64_t bytes);  // of the disk; false, with errno, where it has not so many
  void let_go();              // of descriptor and lock

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;    // until it is published
  uint64_t reserved_ = 0;  // asked for
  uint64_t taken_ = 0;     // of the disk, that and some more
  bool finished_ = false;
};

// Makes the file, or replaces it, with these contents.
void write_file(const std::string& path, std::string_view contents);

// Makes the names in a folder durable. Does nothing where the file system cannot.
void sync_folder(const std::string& folder);

// Makes the file `to`, or replaces it, whole or not at all: as another name of the file `from` where the file
// system has such, else as its copy. Throws Error.
void link_or_copy(const std::string& from, const std::string& to);

// Removes the file, durably, where there is one. Throws Error.
void remove_durably(const std::string& path);

// Makes `path` a symbolic link to `target` (relative to the link's folder), replacing it in one step. A file
// of that name which is no link is an Error.
void replace_link(const std::string& path, const std::string& target);

}  // namespace dlcm::data
