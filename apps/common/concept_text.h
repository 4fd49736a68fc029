// Text with its concepts marked, for people: in colours on a terminal, with '|' between them elsewhere.
#pragma once

#include <cstddef>
#include <ostream>
#include <string>
#include <vector>

namespace dlcm::apps {

// A piece of text and where in it concepts begin: offsets of characters, increasing, each within the text.
struct TextPiece {
  std::string text;
  std::vector<size_t> marks;
};

enum class ConceptMarks { none, bars, colours };
// Control characters other than line feeds and tabs can make a terminal do things: there they are shown as
// pictures (U+2400 to U+2421).
enum class ControlCharacters { as_they_are, as_pictures };

// What suits standard output.
ConceptMarks concept_marks_for_output();
ControlCharacters control_characters_for_output();

class ConceptPrinter {
 public:
  ConceptPrinter(std::ostream& out, ConceptMarks marks, ControlCharacters controls);
  // Continues where the last piece ended.
  void print(const TextPiece& piece);
  // Ends the colour.
  void finish();

 private:
  void begin_concept();
  void put(char c);
  void start_colour();

  std::ostream* out_;
  ConceptMarks marks_;
  ControlCharacters controls_;
  bool anything_ = false;  // printed so far
  int colour_ = 0;         // of the concept under way
  bool coloured_ = false;  // whether the terminal is set to it
};

}  // namespace dlcm::apps
