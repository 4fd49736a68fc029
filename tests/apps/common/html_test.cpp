#include "apps/common/html.h"

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::apps {

TEST_CASE("html: markup and control characters in a text are text") {
  CHECK(html_escaped("<b a=\"1\" c='2'>&amp;\n\t\u20ac") ==
        "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;\n\t\u20ac");
  CHECK(html_escaped(std::string("a\0\x1b\x7f", 4)) == "a\uFFFD\uFFFD\uFFFD");
  CHECK(html_escaped("\xFF<a>\xE4\xBD\xFE\u20ac") ==
        "\uFFFD&lt;a&gt;\uFFFD\uFFFD\uFFFD\u20ac");  // bytes that are no text
}

TEST_CASE("html: a page is known by its beginning") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "page.html", "<!DOCTYPE html>\n<html>");
  test::write_bytes(folder / "short.html", "<!DOCTYPE");
  CHECK(is_page(folder / "page.html"));
  CHECK_FALSE(is_page(folder / "short.html"));
  CHECK_FALSE(is_page(folder / "none.html"));
}

}  // namespace dlcm::apps
