// `train --dry-run`: what a configuration would cost.
#pragma once

#include <string>

#include "apps/common/config.h"

namespace dlcm::apps {

// Tables of parameters, bytes and FLOPs by part. Describes the model without allocating it.
std::string dry_run_text(const Config& config);

}  // namespace dlcm::apps
