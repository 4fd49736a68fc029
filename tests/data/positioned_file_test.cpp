#include "data/positioned_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

TEST_CASE("positioned file: any place, and no further than the end") {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  write_bytes(path, "0123456789");
  const PositionedFile file(path);
  CHECK(file.bytes() == 10);
  CHECK(file.text(3, 4) == "3456");
  CHECK(file.text(10, 0).empty());
  const std::string message = message_of<InputError>([&] { file.text(8, 5); });
  CHECK(message == "'" + path + "' ends at byte 10, expected 3 more: it was cut since it was opened");
}

TEST_CASE("positioned file: what is no file is named, and a pipe is not waited for") {
  const TemporaryFolder folder;
  const auto message = [](const std::string& path) {
    return message_of<InputError>([&] { const PositionedFile file(path); });
  };
  CHECK(message(folder / "none") == "cannot read '" + (folder / "none") + "': No such file or directory");
  CHECK(message(folder.path()) == "cannot read '" + folder.path() + "': it is not a file");
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(message(folder / "pipe") == "cannot read '" + (folder / "pipe") + "': it is not a file");
}
