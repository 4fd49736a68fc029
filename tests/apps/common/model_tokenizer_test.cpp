#include "apps/common/model_tokenizer.h"

#include <doctest/doctest.h>

#include "tensor/check.h"

using namespace dlcm;
using namespace dlcm::apps;

TEST_CASE("model tokenizer: more ids, other ends, no begin") {
  const ModelTokenizer tokenizer(std::make_unique<data::ByteTokenizer>(),
                                 {300, "x sha256=1", {}, {65, 256, 299}});
  CHECK(tokenizer.vocab_size() == 300);
  CHECK(tokenizer.identity() == "x sha256=1");
  CHECK(tokenizer.prompt_begin().empty());
  CHECK(tokenizer.begin_id() == 256);
  CHECK(tokenizer.ends_text(65));
  CHECK(tokenizer.ends_text(299));
  CHECK_FALSE(tokenizer.ends_text(66));
  CHECK(tokenizer.decode(66) == "B");
  CHECK(tokenizer.decode(65) == "A");  // a word, though it ends a text
  CHECK(tokenizer.decode(256).empty());
  CHECK(tokenizer.decode(299).empty());
  CHECK(tokenizer.decode(257).empty());
  CHECK_THROWS_AS(tokenizer.decode(300), InputError);
  std::vector<int32_t> ids;
  tokenizer.encode("ab", ids);
  CHECK(ids == std::vector<int32_t>{97, 98});
  CHECK_THROWS_AS(ModelTokenizer(std::make_unique<data::ByteTokenizer>(), {256, "", {}, {}}), InputError);
}
