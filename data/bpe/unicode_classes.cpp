#include "data/bpe/unicode_classes.h"

#include <vector>

#include <utf8proc.h>

#include "data/bpe/newer_characters.h"

namespace dlcm::data {
namespace {

uint8_t class_of_category(char first_letter) {
  switch (first_letter) {
    case 'L':
      return kLetter;
    case 'M':
      return kMark;
    case 'N':
      return kNumber;
    case 'P':
      return kPunctuation;
    case 'S':
      return kSymbol;
    default:
      return 0;
  }
}

void add(std::vector<uint8_t>& classes, uint32_t first, uint32_t last, CharacterClass added) {
  for (uint32_t code = first; code <= last; ++code) classes[code] |= added;
}

std::vector<uint8_t> find_classes() {
  std::vector<uint8_t> classes(kCodePoints, 0);
  for (uint32_t code = 0; code < kCodePoints; ++code) {
    classes[code] = class_of_category(*utf8proc_category_string(static_cast<utf8proc_int32_t>(code)));
  }
  for (const CategoryRange& newer : kNewerCharacters) {
    for (uint32_t code = newer.first; code <= newer.last; ++code) {
      classes[code] = class_of_category(newer.category[0]);
    }
  }
  // PropList.txt: White_Space.
  add(classes, 0x09, 0x0D, kSpace);
  for (const uint32_t code : {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}) {
    classes[code] |= kSpace;
  }
  add(classes, 0x2000, 0x200A, kSpace);
  add(classes, 0x4E00, 0x9FA5, kIdeograph);
  add(classes, 0x3040, 0x30FF, kIdeograph);
  classes['\r'] |= kLineEnd;
  classes['\n'] |= kLineEnd;
  return classes;
}

}  // namespace

const uint8_t* unicode_classes() {
  static const std::vector<uint8_t> classes = find_classes();
  return classes.data();
}

}  // namespace dlcm::data
