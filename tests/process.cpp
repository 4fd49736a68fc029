#include "tests/process.h"

#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/check.h"
#include "tests/paths.h"

namespace dlcm::test {

Process::Process(const std::string& name, const std::vector<std::string>& arguments,
                 const std::string& error_file) {
  std::vector<std::string> words = {program_folder() + "/" + name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, error_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0644);
  const int error = posix_spawn(&pid_, words[0].c_str(), &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  DLCM_CHECK(error == 0, words[0], ": cannot be started; build it first (ninja programs)");
}

Process::Process(Process&& other) noexcept : pid_(other.pid_), done_(other.done_), code_(other.code_) {
  other.done_ = true;
}

Process::~Process() {
  if (done_) return;
  signal(SIGKILL);
  wait();
}

void Process::signal(int number) const {
  if (!done_) kill(pid_, number);
}

bool Process::blocks(int number) const {
  return in_status("SigBlk:", number);
}

bool Process::handles(int number) const {
  return in_status("SigCgt:", number);
}

bool Process::in_status(const std::string& field, int number) const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field))
      return (std::stoull(line.substr(field.size()), nullptr, 16) >> (number - 1) & 1) != 0;
  }
  return false;
}

bool Process::running() {
  int status = 0;
  if (!done_ && waitpid(pid_, &status, WNOHANG) == pid_) ended(status);
  return !done_;
}

int Process::wait() {
  int status = 0;
  if (!done_ && waitpid(pid_, &status, 0) == pid_) ended(status);
  return code_;
}

void Process::ended(int status) {
  done_ = true;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

}  // namespace dlcm::test
