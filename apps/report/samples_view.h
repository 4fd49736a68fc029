// How runs parted held-out text into concepts, evaluation by evaluation, as HTML.
#pragma once

#include <string>
#include <vector>

#include "apps/report/recorded_run.h"

namespace dlcm::apps {

// For each evaluation, of many of them some, the samples of each run that has any: concepts in alternating
// colours with a line between them, p on hover. Without scripts each evaluation unfolds by itself; the page's
// script shows one at a time. Says why there is nothing where no run has samples.
std::string samples_view(const std::vector<RecordedRun>& runs);

}  // namespace dlcm::apps
