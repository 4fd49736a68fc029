#include "apps/tokenize/token_spool.h"

#include <filesystem>
#include <numeric>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;
using namespace dlcm::test;

namespace {

bool is_empty(const TemporaryFolder& folder) {
  return std::filesystem::is_empty(folder.path());
}

}  // namespace

TEST_CASE("token spool: gives what was added, from memory and from the disk, and leaves nothing") {
  const TemporaryFolder folder;
  TokenSpool spool(folder / "tokens");
  std::vector<int32_t> part(TokenSpool::kMostInMemory / 3);
  for (const int parts : {0, 1, 4, 9, 2}) {
    std::vector<int32_t> expected;
    for (int i = 0; i < parts; ++i) {
      std::iota(part.begin(), part.end(), 1000 * i);
      spool.add(part);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    CHECK(spool.tokens() == static_cast<int64_t>(expected.size()));
    CHECK(is_empty(folder) == (parts < 4));
    std::vector<int32_t> given;
    spool.take(
        [&](std::span<const int32_t> tokens) { given.insert(given.end(), tokens.begin(), tokens.end()); });
    CHECK((given == expected));
    CHECK(spool.tokens() == 0);
    CHECK(is_empty(folder));
  }
}
