// A configuration as JSON: what config.json of an exported DLCM has beside config.toml.
#pragma once

#include <string>

#include "apps/common/config.h"

namespace dlcm::apps {

// Every key of config.toml, a table an object: {"model": {"kind": "dlcm", "token": {"width": 128, ...}},
// ...}.
std::string configuration_json(const Config& config);

// The first key, as "/model/token/width", in which two such texts differ, "/" where one is no object; empty
// where there is none.
std::string first_difference(const std::string& one, const std::string& other);

}  // namespace dlcm::apps
