// A file that a long run only ever adds to, on a disk that may be full or away for a while.
#pragma once

#include <string>
#include <string_view>

namespace dlcm::apps {

class AppendFile {
 public:
  // Opens `path` or makes it; a new file begins with `head`. Throws Error where neither is possible.
  explicit AppendFile(std::string path, std::string head = {});
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  // Adds `bytes`. What the disk does not take is kept and written before the next ones; a file that was lost
  // with its folder is begun anew.
  void write(std::string_view bytes);
  // Why bytes are waiting; empty where all are written.
  const std::string& failure() const { return failure_; }
  // Waits until the disk has what was written; from any thread. Throws Error.
  void sync() const;

 private:
  void open();
  bool is_current() const;

  std::string path_, head_;
  int descriptor_ = -1;
  std::string waiting_;
  std::string failure_;
};

}  // namespace dlcm::apps
