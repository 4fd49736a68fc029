#include "data/atomic_file.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;
using namespace dlcm::test;

size_t files_in(const TemporaryFolder& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder.path()), {}));
}

void put(const AtomicFile& file, const std::string& text) {
  REQUIRE(write(file.descriptor(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

TEST_CASE("atomic file: the name holds the old text until it holds the new one") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  write_bytes(path, "old");
  {
    AtomicFile file(path);
    put(file, "new");
    file.finish();
    CHECK(read_bytes(path) == "old");
    file.publish();
    CHECK(read_bytes(path) == "new");
  }
  CHECK(read_bytes(path) == "new");
  {
    AtomicFile abandoned(path);
    put(abandoned, "newer");
    abandoned.finish();
  }
  CHECK(read_bytes(path) == "new");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("atomic file: space that was reserved and not used is given back") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.reserve(1 << 20);
  put(file, "text");
  file.finish();
  file.publish();
  CHECK(read_bytes(folder / "a") == "text");
  CHECK(fs::file_size(folder / "a") == 4);
}

TEST_CASE("atomic file: temporaries of processes that are gone are removed, others are not") {
  const TemporaryFolder folder;
  const std::string gone = ".a.tmp-2147483647";  // above any process id that Linux gives
  const std::string running = concat(".b.tmp-", getppid());
  for (const std::string& name : {gone, running, std::string(".c.tmp-12x"), std::string("d.tmp-2147483647")})
    write_bytes(folder / name, "");
  const AtomicFile file(folder / "a");
  CHECK_FALSE(fs::exists(folder / gone));
  CHECK(fs::exists(folder / running));
  CHECK(fs::exists(folder / ".c.tmp-12x"));
  CHECK(fs::exists(folder / "d.tmp-2147483647"));
}

TEST_CASE("atomic file: errors name the file") {
  const TemporaryFolder folder;
  const auto message = [](const std::string& path) {
    return message_of<Error>([&] { const AtomicFile file(path); });
  };
  CHECK(message(folder / "no/a") ==
        concat("cannot write '", folder / "no/a", "': there is no folder '", folder / "no", "'"));
  CHECK(message(folder.path()) == concat("cannot write '", folder.path(), "': it is a folder"));
  AtomicFile file(folder / "a");
  CHECK(message_of<Error>([&] { file.publish(); }) ==
        concat("'", folder / "a", "' is published before it is finished"));
}

TEST_CASE("replace_link: a link is replaced, a file is not") {
  const TemporaryFolder folder;
  replace_link(folder / "link", "one");
  CHECK(fs::read_symlink(folder / "link") == "one");
  replace_link(folder / "link", "two");
  CHECK(fs::read_symlink(folder / "link") == "two");
  write_bytes(folder / "file", "precious");
  CHECK(contains(message_of<Error>([&] { replace_link(folder / "file", "one"); }), "not a link"));
  CHECK(read_bytes(folder / "file") == "precious");
  CHECK(contains(message_of<Error>([&] { replace_link(folder / "no/link", "one"); }), "no/link"));
  CHECK(files_in(folder) == 2);
}

}  // namespace
}  // namespace dlcm::data
