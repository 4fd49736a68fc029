// SIGINT, SIGTERM and SIGHUP: the first asks the run to save and end, the second ends it at once.
#pragma once

namespace dlcm::apps {

// From here on the first signal sets the flag below; a second one ends the process with exit code 128 +
// signal.
void install_stop_signals();
bool stop_requested();

}  // namespace dlcm::apps
