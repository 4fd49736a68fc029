// Names that end in a number, "train-00012.h5", in the order of the numbers however many digits they have.
#pragma once

#include <string_view>

namespace dlcm::data {

// Whether `a` comes before `b`: by the text before the number, by the number, then by all of the text. The
// number is the digits before ".h5"; a name without it is all text.
bool numbered_before(std::string_view a, std::string_view b);

}  // namespace dlcm::data
