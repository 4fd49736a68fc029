// The report: one page of HTML that needs nothing but itself, also without a network and without scripts.
#pragma once

#include <string>
#include <vector>

#include "apps/report/recorded_run.h"

namespace dlcm::apps {

// Of at least one run.
std::string report_page(const std::vector<RecordedRun>& runs);

}  // namespace dlcm::apps
