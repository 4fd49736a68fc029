#include "data/numbered_name.h"

#include <doctest/doctest.h>

#include "data/shard.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

TEST_CASE("numbered names: in the order of their numbers") {
  CHECK(numbered_before("train-99999.h5", "train-100000.h5"));
  CHECK_FALSE(numbered_before("train-100000.h5", "train-99999.h5"));
  CHECK(numbered_before("train-00009.h5", "train-00010.h5"));
  CHECK(numbered_before("train-009.h5", "train-9.h5"));  // equal numbers: by text
  CHECK_FALSE(numbered_before("train-9.h5", "train-9.h5"));
  CHECK(numbered_before("a/step-2.h5", "b/step-1.h5"));
  CHECK(numbered_before("", "step-0.h5"));
  CHECK(numbered_before("train-x.h5", "train-y.h5"));
}

TEST_CASE("shard paths: a hundred thousandth shard comes after those of five digits") {
  const TemporaryFolder folder;
  for (const char* name : {"train-100000.h5", "train-00002.h5", "train-99999.h5", "train-00010.h5"}) {
    write_bytes(folder / name, "");
  }
  CHECK(shard_paths(folder.path(), "train") ==
        std::vector<std::string>{folder / "train-00002.h5", folder / "train-00010.h5",
                                 folder / "train-99999.h5", folder / "train-100000.h5"});
}
