// The header of a safetensors file (data/safetensors.h), from JSON and to it. Internal to data/safetensors*.
#pragma once

#include <string>

#include "data/positioned_file.h"
#include "data/safetensors.h"

namespace dlcm::data {

inline constexpr char kMetadataName[] = "__metadata__";

// Reads and checks the header against the file's size. Throws InputError.
SafetensorsHeader read_safetensors_header(const PositionedFile& file);

}  // namespace dlcm::data
