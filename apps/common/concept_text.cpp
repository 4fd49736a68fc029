#include "apps/common/concept_text.h"

#include <array>

#include "apps/common/command_line.h"

namespace dlcm::apps {
namespace {

// Backgrounds, so that spaces show which concept they belong to.
constexpr std::array<const char*, 2> kColours = {"\x1b[48;5;24m\x1b[38;5;231m",
                                                 "\x1b[48;5;94m\x1b[38;5;231m"};
constexpr char kPlain[] = "\x1b[0m";

bool is_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
}

// UTF-8 of the picture of a control character: U+2400 + c, U+2421 for delete.
std::string picture(char c) {
  const int code = c == 0x7F ? 0x21 : static_cast<unsigned char>(c);
  return {'\xE2', '\x90', static_cast<char>(0x80 + code)};
}

}  // namespace

ConceptMarks concept_marks_for_output() {
  return output_has_colours() ? ConceptMarks::colours : ConceptMarks::bars;
}

ControlCharacters control_characters_for_output() {
  return output_is_terminal() ? ControlCharacters::as_pictures : ControlCharacters::as_they_are;
}

ConceptPrinter::ConceptPrinter(std::ostream& out, ConceptMarks marks, ControlCharacters controls)
    : out_(&out), marks_(marks), controls_(controls) {}

void ConceptPrinter::print(const TextPiece& piece) {
  auto mark = piece.marks.begin();
  for (size_t i = 0; i < piece.text.size(); ++i) {
    if (mark != piece.marks.end() && *mark == i) {
      begin_concept();
      ++mark;
    }
    put(piece.text[i]);
  }
}

void ConceptPrinter::begin_concept() {
  if (!anything_) return;  // nothing to part it from
  colour_ = 1 - colour_;
  coloured_ = false;
  if (marks_ == ConceptMarks::bars) *out_ << '|';
}

void ConceptPrinter::put(char c) {
  anything_ = true;
  if (c == '\n') finish();  // or the colour would run to the terminal's edge
  if (c != '\n' && marks_ == ConceptMarks::colours && !coloured_) start_colour();
  if (controls_ == ControlCharacters::as_pictures && is_control(c)) {
    *out_ << picture(c);
  } else {
    *out_ << c;
  }
}

void ConceptPrinter::start_colour() {
  *out_ << kColours[static_cast<size_t>(colour_)];
  coloured_ = true;
}

void ConceptPrinter::finish() {
  if (coloured_) *out_ << kPlain;
  coloured_ = false;
}

}  // namespace dlcm::apps
