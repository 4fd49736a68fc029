// A slip of the hand in the name of a file to write must not cost the user his data.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace dlcm::apps {

// What a program may replace without being asked to: what it has written itself.
struct EarlierOutput {
  std::string description;                        // "a dump of evaluate"
  std::function<bool(const std::string&)> is_it;  // whether an existing regular file is such a thing
};

// Returns where there is no file `path`, or it is an earlier output and none of `inputs`, the files that the
// program reads. Throws InputError that names the option and the remedy otherwise; also for a folder, a
// device or a link to nothing. Links are followed: latest.h5 is what it names.
void require_replaceable(const std::string& option, const std::string& path,
                         const std::vector<std::string>& inputs, const EarlierOutput& earlier);

}  // namespace dlcm::apps
