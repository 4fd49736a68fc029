// A folder that appears under its name with all of its files or not at all, whatever happens while it is
// written.
#pragma once

#include <string>

namespace dlcm::data {

// Its files are written in DIR/.NAME.folder-PID, which publish() renames to DIR/NAME. The temporary is locked
// (flock) until then. A kill at any moment leaves the old folder or none, and a temporary that the next
// AtomicFolder of that name removes. All failures are Errors of one line that name the folder and the reason.
class AtomicFolder {
 public:
  // The folder above is made where it is missing.
  explicit AtomicFolder(const std::string& path);
  ~AtomicFolder();  // removes the temporary unless it was published
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  const std::string& temporary() const { return temporary_; }  // where its files are to be written
  // Renames it; an old folder of that name is replaced, in one step where the file system can do it, and
  // removed. The files must be durable (AtomicFile).
  void publish();

 private:
  [[noreturn]] void fail(const std::string& reason) const;
  void replace_old();

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;  // with the lock
};

}  // namespace dlcm::data
