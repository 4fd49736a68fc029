#include "apps/common/concept_text.h"

#include <sstream>

#include <doctest/doctest.h>

using namespace dlcm::apps;

namespace {

std::string printed(ConceptMarks marks, ControlCharacters controls, const std::vector<TextPiece>& pieces) {
  std::ostringstream out;
  ConceptPrinter printer(out, marks, controls);
  for (const TextPiece& piece : pieces) printer.print(piece);
  printer.finish();
  return out.str();
}

}  // namespace

TEST_CASE("concept text: bars stand between concepts, not before the first") {
  const auto as_they_are = ControlCharacters::as_they_are;
  CHECK(printed(ConceptMarks::bars, as_they_are, {{"abc", {0, 2}}, {"de", {0}}, {"f", {}}}) == "ab|c|def");
  CHECK(printed(ConceptMarks::bars, as_they_are, {{"ab", {}}, {"", {}}, {"c", {0}}}) == "ab|c");
  CHECK(printed(ConceptMarks::none, as_they_are, {{"abc", {0, 2}}}) == "abc");
}

TEST_CASE("concept text: colours alternate, end at lines' ends and at the end") {
  const std::string a = "\x1b[48;5;24m\x1b[38;5;231m";
  const std::string b = "\x1b[48;5;94m\x1b[38;5;231m";
  const std::string plain = "\x1b[0m";
  CHECK(printed(ConceptMarks::colours, ControlCharacters::as_they_are, {{"ab c", {0, 2}}}) ==
        a + "ab" + b + " c" + plain);
  CHECK(printed(ConceptMarks::colours, ControlCharacters::as_they_are, {{"a\n\nb", {}}}) ==
        a + "a" + plain + "\n\n" + a + "b" + plain);
}

TEST_CASE("concept text: a terminal is told nothing by the text") {
  CHECK(printed(ConceptMarks::none, ControlCharacters::as_pictures, {{"a\x1b[2J\t\x7f\r\n", {}}}) ==
        "a\u241b[2J\t\u2421\u240d\n");
  CHECK(printed(ConceptMarks::none, ControlCharacters::as_they_are, {{"a\x1b", {}}}) == "a\x1b");
}
