#include "data/packing.h"

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::data {
namespace {

using namespace dlcm::test;
using Numbers = std::vector<int32_t>;

Piece piece_of(int64_t size, int64_t sample, int32_t following = -1) {
  Piece piece;
  for (int64_t i = 0; i < size; ++i) piece.tokens.push_back(static_cast<int32_t>(100 * sample + i));
  piece.sample = sample;
  piece.following = following;
  return piece;
}

std::vector<std::vector<int64_t>> samples_of(const std::vector<PackedBatch>& batches) {
  std::vector<std::vector<int64_t>> samples;
  for (const PackedBatch& batch : batches) samples.push_back(batch.samples.to_vector<int64_t>());
  return samples;
}

TEST_CASE("packing: targets are the next tokens, at a cut the document's next one") {
  const Piece cut = piece_of(3, 1, 77), end = piece_of(2, 2), single = piece_of(1, 3);
  const PackedBatch batch = pack({&cut, &end, &single});
  CHECK(batch.tokens.to_vector<int32_t>() == Numbers{100, 101, 102, 200, 201, 300});
  CHECK(batch.targets.to_vector<int32_t>() == Numbers{101, 102, 77, 201, -1, -1});
  CHECK(batch.cu_seqlens.to_vector<int32_t>() == Numbers{0, 3, 5, 6});
  CHECK(batch.samples.to_vector<int64_t>() == std::vector<int64_t>{1, 2, 3});
  const Piece empty;
  CHECK_THROWS_WITH_AS(pack({&cut, &empty}), "a packed batch with an empty piece", Error);
}

TEST_CASE("packing: the checksum tells tokens and the pieces that they lie in apart") {
  const auto checksum = [](std::vector<std::vector<int32_t>> pieces) {
    std::vector<Piece> result;
    for (auto& tokens : pieces) result.push_back({std::move(tokens), -1, 0});
    return checksum_of(result);
  };
  CHECK(checksum({{1, 2}, {3}}) == checksum({{1, 2}, {3}}));
  CHECK(checksum({{1, 2}, {3}}) != checksum({{1, 2}, {4}}));
  CHECK(checksum({{1, 2}, {3}}) != checksum({{1}, {2, 3}}));
  CHECK(checksum({{1, 2}, {3}}) != checksum({{3}, {1, 2}}));
}

TEST_CASE("packing: the largest first into the first batch with room, in a batch in their order") {
  const std::vector<Piece> pieces = {piece_of(2, 0), piece_of(5, 1), piece_of(4, 2), piece_of(3, 3),
                                     piece_of(4, 4)};
  CHECK(samples_of(micro_batches(pieces, 8)) == std::vector<std::vector<int64_t>>{{1, 3}, {2, 4}, {0}});
  CHECK(samples_of(micro_batches(pieces, 9)) == std::vector<std::vector<int64_t>>{{1, 2}, {0, 3, 4}});
  CHECK(samples_of(micro_batches(pieces, 18)) == std::vector<std::vector<int64_t>>{{0, 1, 2, 3, 4}});
  CHECK(micro_batches({}, 8).empty());
  CHECK(contains(message_of<InputError>([&] { micro_batches(pieces, 4); }),
                 "train.micro_tokens is 4, but a piece has 5 tokens"));
}

}  // namespace
}  // namespace dlcm::data
