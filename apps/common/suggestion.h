// What the user may have meant by a word that is unknown.
#pragma once

#include <string>
#include <vector>

namespace dlcm::apps {

// The word nearest to `given`, by changes of letters, capital or not; empty where none is near enough.
std::string nearest_word(const std::string& given, const std::vector<std::string>& words);

// " Did you mean X?" of the nearest word, else nothing.
std::string suggestion(const std::string& given, const std::vector<std::string>& words);

}  // namespace dlcm::apps
