// What every report has alike: its style and its script.
#pragma once

namespace dlcm::apps {

extern const char kReportStyle[];
// Reads numbers off the charts, shows one evaluation's samples at a time, hides runs. The page is whole
// without it.
extern const char kReportScript[];

}  // namespace dlcm::apps
