#include "apps/common/output_file.h"

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;

TEST_CASE("output file: only what is new or an earlier output may be written") {
  const test::TemporaryFolder folder;
  const std::string input = folder / "input";
  const std::string earlier = folder / "earlier";
  test::write_bytes(input, "output");
  test::write_bytes(earlier, "output");
  test::write_bytes(folder / "other", "data");
  std::filesystem::create_symlink("input", folder / "to_input");
  std::filesystem::create_symlink("other", folder / "to_other");
  std::filesystem::create_symlink("nothing", folder / "to_nothing");
  const EarlierOutput kind = {"an output",
                              [](const std::string& path) { return test::read_bytes(path) == "output"; }};
  const auto message = [&](const std::string& path) {
    return test::message_of<InputError>([&] { require_replaceable("--out", path, {input}, kind); });
  };
  CHECK(message(folder / "new") == "no exception");
  CHECK(message(folder / "no/folder/new") == "no exception");
  CHECK(message(earlier) == "no exception");
  for (const std::string& path : {input, folder / "to_input", folder / "./input"}) {
    CHECK(message(path) == concat("--out '", path, "' is a file that is being read; give another name"));
  }
  for (const std::string& path : {folder / "other", folder / "to_other", folder / "to_nothing", folder.path(),
                                  std::string("/dev/null")}) {
    CHECK(test::contains(message(path), concat("--out '", path, "' exists and is not an output")));
  }
}
