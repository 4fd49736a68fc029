// The project's programs as processes of their own.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

namespace dlcm::test {

class Process {
 public:
  // Starts program_folder()/NAME. Standard output is thrown away, standard error written to the file.
  Process(const std::string& name, const std::vector<std::string>& arguments, const std::string& error_file);
  ~Process();  // kills it if it still runs
  Process(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  // Whether its first thread blocks the signal, and whether it has a handler for it (Linux tells).
  bool blocks(int number) const;
  bool handles(int number) const;
  bool running();
  // Its exit code, or 1000 + the signal that ended it.
  int wait();

 private:
  bool in_status(const std::string& field, int number) const;
  void ended(int status);

  pid_t pid_ = -1;
  bool done_ = false;
  int code_ = -1;
};

}  // namespace dlcm::test
