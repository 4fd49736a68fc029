#include "apps/common/output_file.h"

#include <filesystem>
#include <system_error>

#include "tensor/check.h"

namespace dlcm::apps {

namespace fs = std::filesystem;

void require_replaceable(const std::string& option, const std::string& path,
                         const std::vector<std::string>& inputs, const EarlierOutput& earlier) {
  std::error_code error;  // what cannot be looked at cannot be written either: that message comes later
  for (const std::string& input : inputs) {
    DLCM_CHECK_INPUT(!fs::equivalent(path, input, error), option, " '", path,
                     "' is a file that is being read; give another name");
  }
  if (!fs::exists(fs::symlink_status(path, error))) return;
  DLCM_CHECK_INPUT(fs::is_regular_file(path, error) && earlier.is_it(path), option, " '", path,
                   "' exists and is not ", earlier.description,
                   ", which is all that would be replaced; give another name or remove it first");
}

}  // namespace dlcm::apps
