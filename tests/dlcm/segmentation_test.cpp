#include "dlcm/segmentation.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm {
namespace {

using Ints = std::vector<int32_t>;

// Documents of 5, 1 and 4 tokens; segments of 2, 3 | 1 | 1, 3 tokens.
Tensor documents() {
  return Tensor::from<int32_t>({0, 5, 6, 10});
}
Tensor boundaries() {
  return Tensor::from<uint8_t>({1, 0, 1, 0, 0, 1, 1, 1, 0, 0});
}

void check_logarithms(const Tensor& found, const std::vector<double>& of) {
  REQUIRE(found.defined());
  REQUIRE(found.numel() == static_cast<int64_t>(of.size()));
  const std::vector<double> values = found.to(DType::f64).to_vector<double>();
  for (size_t i = 0; i < of.size(); ++i) CHECK(values[i] == doctest::Approx(std::log(of[i])));
}

TEST_CASE("segments run from boundary to boundary and stay within documents") {
  const Segmentation segmentation = segment(boundaries(), documents());
  CHECK(segmentation.count == 5);
  CHECK(segmentation.offsets.to_vector<int32_t>() == Ints{0, 2, 5, 6, 7, 10});
  CHECK(segmentation.concept_of.to_vector<int32_t>() == Ints{0, 0, 1, 1, 1, 2, 3, 4, 4, 4});
  CHECK(segmentation.cu_seqlens.to_vector<int32_t>() == Ints{0, 2, 3, 5});
  CHECK(segmentation.boundary.to_vector<uint8_t>() == boundaries().to_vector<uint8_t>());
}

TEST_CASE("a document must begin with a boundary") {
  const std::string message = test::message_of<Error>([] {
    segment(Tensor::from<uint8_t>({1, 0, 0, 1}), Tensor::from<int32_t>({0, 2, 4}));
  });
  CHECK(message.find("token 2") != std::string::npos);
  CHECK(message.find("document 1") != std::string::npos);
}

TEST_CASE("a document without tokens is refused, as everywhere") {
  const std::string message = test::message_of<Error>([] {
    segment(boundaries(), Tensor::from<int32_t>({0, 5, 5, 6, 10}));
  });
  CHECK(message.find("segment: offset 2 is 5, not above the one before, 5") != std::string::npos);
  CHECK(test::message_of<Error>([] {
          segment(boundaries(), Tensor::from<int32_t>({0, 5}));
        }).find("there are 10 rows") != std::string::npos);
}

TEST_CASE("completed: a token sees the concepts of its document that ended before it") {
  const Segmentation segmentation = segment(boundaries(), documents());
  CrossAttentionConfig config;
  const ops::AttentionLayout layout = concept_ranges(segmentation, documents(), config, DType::f64);
  CHECK(layout.key_begin.to_vector<int32_t>() == Ints{0, 0, 0, 0, 0, 2, 3, 3, 3, 3});
  CHECK(layout.key_end.to_vector<int32_t>() == Ints{0, 0, 1, 1, 1, 2, 3, 4, 4, 4});
  CHECK_FALSE(layout.key_bias.defined());
  CHECK_FALSE(layout.last_bias.defined());
  config.weighting = Weighting::length;
  const ops::AttentionLayout weighted = concept_ranges(segmentation, documents(), config, DType::f32);
  check_logarithms(weighted.key_bias, {2, 3, 1, 1, 3});
  CHECK(weighted.key_bias.dtype() == DType::f32);
  CHECK_FALSE(weighted.last_bias.defined());
}

TEST_CASE("containing: it sees its own concept as well, which counts its tokens so far") {
  const Segmentation segmentation = segment(boundaries(), documents());
  CrossAttentionConfig config;
  config.visibility = Visibility::containing;
  config.weighting = Weighting::length;
  const ops::AttentionLayout layout = concept_ranges(segmentation, documents(), config, DType::f64);
  CHECK(layout.key_begin.to_vector<int32_t>() == Ints{0, 0, 0, 0, 0, 2, 3, 3, 3, 3});
  CHECK(layout.key_end.to_vector<int32_t>() == Ints{1, 1, 2, 2, 2, 3, 4, 5, 5, 5});
  check_logarithms(layout.key_bias, {2, 3, 1, 1, 3});
  check_logarithms(layout.last_bias, {1, 2, 1, 2, 3, 1, 1, 1, 2, 3});
}

TEST_CASE("replicated keys cover the tokens of the visible concepts") {
  const Segmentation segmentation = segment(boundaries(), documents());
  CrossAttentionConfig config;
  const auto layout_of = [&] { return replicated_ranges(segmentation, documents(), config, DType::f64); };
  const Ints begin = {0, 0, 0, 0, 0, 5, 6, 6, 6, 6};
  const std::vector<double> once = {0.5, 0.5, 1.0 / 3, 1.0 / 3, 1.0 / 3, 1, 1, 1.0 / 3, 1.0 / 3, 1.0 / 3};
  const ops::AttentionLayout completed = layout_of();
  CHECK(completed.key_begin.to_vector<int32_t>() == begin);
  CHECK(completed.key_end.to_vector<int32_t>() == Ints{0, 0, 2, 2, 2, 5, 6, 7, 7, 7});
  check_logarithms(completed.key_bias, once);
  config.visibility = Visibility::containing;
  CHECK(layout_of().key_end.to_vector<int32_t>() == Ints{2, 2, 5, 5, 5, 6, 7, 10, 10, 10});
  check_logarithms(layout_of().key_bias, once);
  config.weighting = Weighting::length;
  CHECK(layout_of().key_begin.to_vector<int32_t>() == begin);
  CHECK(layout_of().key_end.to_vector<int32_t>() == Ints{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK_FALSE(layout_of().key_bias.defined());
}

}  // namespace
}  // namespace dlcm
