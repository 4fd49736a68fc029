#include "apps/common/json.h"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

using namespace dlcm::apps;

TEST_CASE("json: values and objects as text") {
  CHECK(json_text("a\"b\n\u20ac") == "\"a\\\"b\\n\u20ac\"");
  CHECK(json_text(std::string("\xff")) == "\"\uFFFD\"");
  CHECK(json_text(0.1) == "0.1");
  CHECK(json_text(3.0) == "3.0");
  CHECK(json_text(std::nan("")) == "null");
  CHECK(json_text(std::numeric_limits<double>::infinity()) == "null");
  CHECK(json_text(std::numeric_limits<int64_t>::min()) == "-9223372036854775808");
  CHECK(json_text(true) == "true");
  CHECK(json_text(std::vector<int32_t>{1, -2}) == "[1,-2]");
  CHECK(json_text(std::vector<uint8_t>{0, 1}) == "[0,1]");
  CHECK(json_text(std::vector<std::string>{}) == "[]");
  JsonObject object;
  CHECK(object.text() == "{}");
  object.add("a", 1.5);
  object.add("b", "text");
  object.add_json("c", json_array({"1", "[]"}));
  CHECK(object.text() == R"({"a":1.5,"b":"text","c":[1,[]]})");
}

TEST_CASE("json: a whole number of an object") {
  CHECK(json_whole_number(R"({"step": 12, "x": 1})", "step") == 12);
  for (const char* text : {"", "{", "[1]", "3", R"({"other": 1})", R"({"step": 1.5})", R"({"step": "1"})"}) {
    CHECK_FALSE(json_whole_number(text, "step").has_value());
  }
}
