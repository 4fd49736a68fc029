// Which charts a report has.
#pragma once

#include <vector>

#include "apps/report/chart.h"
#include "apps/report/recorded_run.h"

namespace dlcm::apps {

// Every chart for which some run has numbers. Of one run, curves that belong together share a chart; of
// several, each quantity has a chart of its own, in which each run is a curve of the run's style.
std::vector<Chart> charts_of(const std::vector<RecordedRun>& runs);

}  // namespace dlcm::apps
