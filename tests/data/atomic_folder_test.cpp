#include "data/atomic_folder.h"

#include <doctest/doctest.h>

#include "data/atomic_file.h"
#include "tests/data/temporary_folder.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;
using namespace dlcm::test;

size_t entries_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

TEST_CASE("atomic folder: the name holds the old files until it holds the new ones") {
  const TemporaryFolder place;
  const std::string path = place / "above/a";
  for (const std::string text : {"old", "new"}) {
    {
      AtomicFolder folder(path + (text == "new" ? "/" : ""));
      write_file(folder.temporary() + "/" + text, text);
      if (text == "new") CHECK(read_bytes(path + "/old") == "old");
      if (text == "old") CHECK_FALSE(fs::exists(path));
      folder.publish();
      CHECK(read_bytes(path + "/" + text) == text);
    }
    CHECK(entries_in(path) == 1);
    CHECK(entries_in(place / "above") == 1);
  }
  {
    AtomicFolder abandoned(path);
    write_file(abandoned.temporary() + "/newer", "newer");
  }
  CHECK(read_bytes(path + "/new") == "new");
  CHECK(entries_in(place / "above") == 1);
}

TEST_CASE("atomic folder: an empty folder of the name, and a link to one") {
  const TemporaryFolder place;
  fs::create_directory(place / "empty");
  fs::create_directory_symlink(place / "empty", place / "link");
  AtomicFolder folder(place / "link");
  write_file(folder.temporary() + "/a", "a");
  folder.publish();
  CHECK(read_bytes(place / "empty/a") == "a");
  CHECK(fs::is_symlink(place / "link"));
}

TEST_CASE("atomic folder: what a killed process left is removed, what another writes is not") {
  const TemporaryFolder place;
  const std::string path = place / "a";
  fs::create_directories(place / ".a.folder-123");
  write_bytes(place / ".a.folder-123/half", "half");
  fs::create_directories(place / ".a.folder-mine");  // not such a name
  const AtomicFolder other(place / "b");
  const AtomicFolder first(path);
  CHECK_FALSE(fs::exists(place / ".a.folder-123"));
  CHECK(fs::exists(place / ".a.folder-mine"));
  CHECK(fs::exists(other.temporary()));
  CHECK(contains(message_of<Error>([&] { const AtomicFolder second(path); }), "is held by another"));
  CHECK(fs::exists(first.temporary()));
}

TEST_CASE("atomic folder: where it cannot be made") {
  const TemporaryFolder place;
  write_bytes(place / "file", "");
  CHECK(contains(message_of<Error>([&] { const AtomicFolder folder(place / "file/a"); }),
                 "cannot write the folder '"));
}

}  // namespace
}  // namespace dlcm::data
