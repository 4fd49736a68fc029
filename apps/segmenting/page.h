// The concepts of a text as an HTML page that needs nothing but itself: p on hover, a histogram of lengths.
#pragma once

#include <string>
#include <vector>

#include "apps/segmenting/concepts.h"

namespace dlcm::apps {

// Text as HTML shows it: markup escaped, control characters that HTML does not allow replaced by U+FFFD.
std::string html_escaped(const std::string& text);

// `subtitle` says where the text and the model come from.
std::string concept_page(const std::vector<ConceptSpan>& concepts, const std::string& subtitle);

// Whether the existing file begins as a page does.
bool is_page(const std::string& path);

}  // namespace dlcm::apps
