#include "apps/training/signals.h"

#include <atomic>
#include <csignal>
#include <thread>

#include <pthread.h>
#include <unistd.h>

namespace dlcm::apps {
namespace {

std::atomic<bool> stop = false;

bool is_ignored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void take_signals(sigset_t signals) {
  int signal = 0;
  sigwait(&signals, &signal);
  constexpr timespec kNow{};
  const int second = sigtimedwait(&signals, nullptr, &kNow);  // that came with the first
  if (second > 0) _exit(128 + second);
  stop = true;
  sigwait(&signals, &signal);
  _exit(128 + signal);
}

}  // namespace

// Blocked in all threads but one that waits for them: no handler runs in the middle of a computation, and
// what takes a signal may do more than a handler may.
void install_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  if (!is_ignored(SIGHUP)) sigaddset(&signals, SIGHUP);  // the terminal was closed
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread(take_signals, signals).detach();
  std::signal(SIGPIPE, SIG_IGN);  // who reads the progress may go; the training goes on
}

bool stop_requested() {
  return stop;
}

}  // namespace dlcm::apps
