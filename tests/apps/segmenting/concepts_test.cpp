#include "apps/segmenting/concepts.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <doctest/doctest.h>

#include "autograd/tape.h"
#include "tests/apps/tiny_model.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

const data::ByteTokenizer kTokenizer;
const std::string kText =
    "It was the best of times \u20ac\u20ac\u20ac, it was \u00e9\u00e8 the worst of times \U0001F600.";

}  // namespace

TEST_CASE("concepts: joined they are the text, whole characters each, and each token is in one") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  for (const int64_t context : {1024, 16, 2, 1}) {
    const auto concepts = concepts_of(*model, kTokenizer, kText, context);
    std::string joined;
    int64_t tokens = 0;
    for (const ConceptSpan& span : concepts) {
      joined += span.text;
      tokens += span.tokens;
      CHECK(span.tokens >= 1);
      CHECK(span.probability.size() == static_cast<size_t>(span.tokens));
      CHECK((span.text.empty() || (static_cast<unsigned char>(span.text[0]) & 0xC0) != 0x80));
    }
    CHECK(joined == kText);
    CHECK(tokens == static_cast<int64_t>(kText.size()));
    if (context == 1) CHECK(concepts.size() == 1);  // nothing but cuts
  }
}

TEST_CASE("concepts: they begin where a forward pass has its boundaries") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  const auto concepts = concepts_of(*model, kTokenizer, kText, 1024);
  std::vector<int32_t> ids = {256};
  kTokenizer.encode(kText, ids);
  const autograd::NoGrad no_grad;
  const ForwardOutput output = model->forward(single_document(ids), {});
  const std::vector<uint8_t> boundary = output.segmentation.boundary.to_vector<uint8_t>();
  size_t t = 1;
  for (const ConceptSpan& span : concepts) {
    CHECK((boundary[t] != 0 || t == 1));
    CHECK(span.probability[0] == output.probability.data<float>()[t]);
    for (size_t i = 1; i < static_cast<size_t>(span.tokens); ++i) CHECK(boundary[t + i] == 0);
    t += static_cast<size_t>(span.tokens);
  }
  CHECK(t == ids.size());
  CHECK(concepts.size() > 3);
  CHECK(concepts.size() < kText.size() - 3);
}

TEST_CASE("concepts: where the text is cut for the context no concept begins") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  std::vector<int32_t> ids = {256};
  kTokenizer.encode(kText, ids);
  const size_t context = 16;
  const autograd::NoGrad no_grad;
  std::vector<size_t> begins = {1};  // tokens
  for (size_t cut = 0; cut < ids.size(); cut += context) {
    const std::span<const int32_t> piece =
        std::span<const int32_t>(ids).subspan(cut, std::min(context, ids.size() - cut));
    const ForwardOutput output = model->forward(single_document(piece), {});
    const std::vector<uint8_t> boundary = output.segmentation.boundary.to_vector<uint8_t>();
    for (size_t t = 1; t < boundary.size(); ++t) {
      if (boundary[t] != 0 && cut + t > 1) begins.push_back(cut + t);
    }
  }
  std::vector<size_t> found;
  size_t t = 1;
  for (const ConceptSpan& span : concepts_of(*model, kTokenizer, kText, static_cast<int64_t>(context))) {
    found.push_back(t);
    for (size_t i = 0; i < span.probability.size(); ++i, ++t) {
      CHECK(std::isnan(span.probability[i]) == (t % context == 0));
    }
  }
  CHECK(found == begins);
  CHECK(t == ids.size());
}

TEST_CASE("concepts: none in an empty text, refused for a transformer") {
  const auto model = test::tiny_model(test::tiny_config(ModelKind::dlcm));
  CHECK(concepts_of(*model, kTokenizer, "", 1024).empty());
  const auto transformer = test::tiny_model(test::tiny_config(ModelKind::transformer));
  CHECK_THROWS_WITH_AS(concepts_of(*transformer, kTokenizer, "a", 1024), doctest::Contains("transformer"),
                       InputError);
}

TEST_CASE("concepts: histogram of lengths") {
  CHECK(length_histogram({}).empty());
  CHECK(length_histogram({{"a", 1, {1}}, {"abc", 3, {1, 0, 0}}, {"b", 1, {1}}}) ==
        std::vector<int64_t>{2, 0, 1});
}
