#include "apps/segmenting/page.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("page: markup in the text is text") {
  const std::string page = concept_page({{"<script>", 8, std::vector<float>(8, 0.25f)}}, "a<b");
  CHECK_FALSE(contains(page, "<script"));
  CHECK(contains(page, "a&lt;b"));
}

TEST_CASE("page: p on hover, alternating colours, a histogram, nothing from elsewhere") {
  const std::string page = concept_page({{"ab", 2, {0.75f, 0.125f}}, {"c", 1, {0.5f}}, {"d", 1, {1.0f}}}, "");
  CHECK(contains(page, "<span class=\"a\" title=\"p 0.750 \u2013 2 tokens: 0.750 0.125\">ab</span>"));
  CHECK(contains(page, "<span class=\"b\" title=\"p 0.500 \u2013 1 token\">c</span><span class=\"a\""));
  CHECK(contains(page, "3 concepts, 4 tokens, 1.33 tokens per concept"));
  CHECK(contains(page, "<title>1 tokens: 2 concepts</title>"));
  CHECK(contains(page, "<title>2 tokens: 1 concepts</title>"));
  CHECK(contains(page, "<div class=\"text\" dir=\"auto\">"));  // text from right to left runs so
  CHECK_FALSE(contains(page, "http"));
  CHECK(page.ends_with("</html>\n"));
}

TEST_CASE("page: very long concepts and none at all") {
  const std::string page = concept_page({{"x", 500, std::vector<float>(500, 0.5f)}, {"y", 1, {1}}}, "");
  CHECK(contains(page, "<title>32+ tokens: 1 concepts</title>"));
  CHECK(page.size() < 20000);
  CHECK(contains(concept_page({}, ""), "empty"));
}
