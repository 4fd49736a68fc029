#include "paths.h"

namespace dlcm::test {

// Only this file is compiled with the paths, so that no other one depends on where the build is.
std::string source_folder() {
  return DLCM_SOURCE_DIR;
}
std::string program_folder() {
  return DLCM_PROGRAM_DIR;
}

}  // namespace dlcm::test
