#include "tensor/random.h"

#include <bit>
#include <cmath>
#include <set>
#include <vector>

#include <doctest/doctest.h>

using namespace dlcm;

TEST_CASE("philox gives the known answers of the Random123 distribution") {
  using Words = std::array<uint32_t, 4>;
  CHECK(philox(0, 0, 0) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox(~0ull, ~0ull, ~0ull) == Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("draws are pure functions of seed, stream, index and position, and all four matter") {
  const auto draw = [](uint64_t seed, RandomStream stream, uint64_t index, uint64_t position) {
    return random_bits(seed, stream, index, position);
  };
  const uint64_t value = draw(1, RandomStream::parameters, 2, 3);
  CHECK(draw(1, RandomStream::parameters, 2, 3) == value);
  const std::set<uint64_t> all = {value,
                                  draw(2, RandomStream::parameters, 2, 3),
                                  draw(1, RandomStream::boundaries, 2, 3),
                                  draw(1, RandomStream::parameters, 3, 3),
                                  draw(1, RandomStream::parameters, 2, 4),
                                  draw(1, RandomStream::parameters, 3, 2)};
  CHECK(all.size() == 6);
}

TEST_CASE("random_uniform lies in [0, 1) with the moments of a uniform variable") {
  double sum = 0, squares = 0;
  constexpr int kDraws = 20000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const float u = random_uniform(7, RandomStream::tests, 0, i);
    REQUIRE(u >= 0.0f);
    REQUIRE(u < 1.0f);
    sum += u;
    squares += u * u;
  }
  CHECK(sum / kDraws == doctest::Approx(0.5).epsilon(0.02));
  CHECK(squares / kDraws == doctest::Approx(1.0 / 3).epsilon(0.03));
}

TEST_CASE("random_normal has the moments of a normal variable and neighbours do not correlate") {
  double sum = 0, squares = 0, fourth = 0, products = 0, before = 0;
  constexpr int kDraws = 20000;
  for (uint64_t i = 0; i < kDraws; ++i) {
    const double x = random_normal(7, RandomStream::tests, 0, i);
    REQUIRE(std::isfinite(x));
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
    products += x * before;
    before = x;
  }
  CHECK(std::abs(sum / kDraws) < 0.03);
  CHECK(squares / kDraws == doctest::Approx(1.0).epsilon(0.04));
  CHECK(fourth / kDraws == doctest::Approx(3.0).epsilon(0.1));
  CHECK(std::abs(products / kDraws) < 0.03);
}

// Sizes that end within a block, scales that give subnormal numbers and none at all.
TEST_CASE("random_normals are the bits of random_normal") {
  std::vector<float> found;
  int64_t different = 0;
  for (const double scale : {0.02, 1.0, 3e-39, 0.0}) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{127}, size_t{128}, size_t{300000}}) {
      found.assign(count, 7);
      const uint64_t first = 0xFFFFFF00u;  // so that positions pass 32 bits
      random_normals(5, RandomStream::tests, 3, first, scale, found);
      for (size_t i = 0; i < count; ++i) {
        const auto expected = static_cast<float>(scale * random_normal(5, RandomStream::tests, 3, first + i));
        different += std::bit_cast<uint32_t>(found[i]) != std::bit_cast<uint32_t>(expected) ? 1 : 0;
      }
    }
  }
  CHECK(different == 0);
}

TEST_CASE("hash_name is FNV-1a") {
  CHECK(hash_name("") == 0xcbf29ce484222325ull);
  CHECK(hash_name("a") == 0xaf63dc4c8601ec8cull);
  CHECK(hash_name("foobar") == 0x85944171f73967e8ull);
}
