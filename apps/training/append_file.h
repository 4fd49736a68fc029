// A file that a long run only ever adds to, on a disk that may be full or away for a while.
#pragma once

#include <deque>
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

  // Adds `bytes`, a record of one byte or more. What the disk does not take is kept and written before the
  // next one; a file that was lost with its folder is begun anew, with whole records.
  void write(std::string_view bytes);
  // Writes what waits.
  void retry();
  // Why bytes are waiting; empty where all are written.
  const std::string& failure() const { return failure_; }
  // Waits until the disk has what was written and was not lost since; from any thread. Throws Error.
  void sync() const;

 private:
  void open();
  bool is_current() const;
  void write_waiting();

  std::string path_, head_;
  int descriptor_ = -1;
  std::deque<std::string> waiting_;  // records
  size_t written_ = 0;               // bytes of the first of them
  std::string failure_;
};

}  // namespace dlcm::apps
