#include "apps/training/signals.h"

#include <csignal>

#include <unistd.h>

namespace dlcm::apps {
namespace {

// A signal handler may touch nothing else.
volatile std::sig_atomic_t stop = 0;

void handle(int signal) {
  if (stop != 0) _exit(128 + signal);
  stop = 1;
}

}  // namespace

void install_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // a write in progress is finished, not failed
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);  // the terminal was closed
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);  // who reads the progress may go; the training goes on
}

bool stop_requested() {
  return stop != 0;
}

}  // namespace dlcm::apps
