// How runs parted held-out text into concepts, evaluation by evaluation, as HTML.
#pragma once

#include <string>
#include <vector>

#include "apps/report/recorded_run.h"

namespace dlcm::apps {

// The last samples of each run and domain as HTML: concepts in alternating colours with a line between them,
// p on hover. And those of all evaluations of each run as JSON, of which the page's script shows one
// evaluation at a time; of more than 2,000 evaluations of a run some, evenly apart, and the view says how
// many. Says why there is nothing where no run has samples.
//
// The JSON: {"runs": [NAME or ""], "texts": [TEXT], "series": [{"run": 0, "domain": "code", "samples":
// [[STEP, index of its text, characters of concept, its tokens, thousandths of its p or -1, ...], ...]}]}
std::string samples_view(const std::vector<RecordedRun>& runs);

}  // namespace dlcm::apps
