// The concepts of a text as an HTML page that needs nothing but itself: p on hover, a histogram of lengths.
#pragma once

#include <string>
#include <vector>

#include "apps/segmenting/concepts.h"

namespace dlcm::apps {

// `subtitle` says where the text and the model come from.
std::string concept_page(const std::vector<ConceptSpan>& concepts, const std::string& subtitle);

}  // namespace dlcm::apps
