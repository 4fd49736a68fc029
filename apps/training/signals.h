// SIGINT, SIGTERM and SIGHUP: the first asks the run to save and end, the second ends it at once.
#pragma once

namespace dlcm::apps {

// From here on the first signal sets the flag below; a second one ends the process with exit code 128 +
// signal. SIGHUP is left alone where it was ignored (nohup). To be called while the process has one thread:
// those that it makes later leave the signals to a thread of their own.
void install_stop_signals();
bool stop_requested();

}  // namespace dlcm::apps
