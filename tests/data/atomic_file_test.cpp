#include "data/atomic_file.h"

#include <memory>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/data/temporary_folder.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;
using namespace dlcm::test;

size_t files_in(const TemporaryFolder& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder.path()), {}));
}

TEST_CASE("atomic file: the name holds the old text until it holds the new one") {
  const TemporaryFolder folder;
  const std::string path = folder / "a";
  write_bytes(path, "old");
  {
    AtomicFile file(path);
    file.write("new");
    file.finish();
    CHECK(read_bytes(path) == "old");
    file.publish();
    CHECK(read_bytes(path) == "new");
  }
  CHECK(read_bytes(path) == "new");
  {
    AtomicFile abandoned(path);
    abandoned.write("newer");
    abandoned.finish();
  }
  CHECK(read_bytes(path) == "new");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("atomic file: a text in one call, in place of an older one, or not at all") {
  const TemporaryFolder folder;
  for (const std::string text : {"older", "new", ""}) {
    write_file(folder / "a", text);
    CHECK(read_bytes(folder / "a") == text);
  }
  CHECK(contains(message_of<Error>([&] { write_file(folder / "no/a", "text"); }), "no/a'"));
  CHECK(files_in(folder) == 1);
}

TEST_CASE("atomic file: space that was reserved and not used is given back") {
  const TemporaryFolder folder;
  AtomicFile file(folder / "a");
  file.reserve(1 << 20);
  file.write("text");
  file.finish();
  file.publish();
  CHECK(read_bytes(folder / "a") == "text");
  CHECK(fs::file_size(folder / "a") == 4);
}

TEST_CASE("atomic file: temporaries that nobody holds are removed, whatever process their name tells") {
  const TemporaryFolder folder;
  const std::string own = concat(".b.tmp-", getpid());  // of an earlier run in a container
  const std::string running = concat(".b.tmp-", getppid());
  const std::string held = ".c.tmp-2147483647";  // above any process id here: of another machine
  const std::vector<std::string> abandoned = {own, running, ".d.tmp-2147483647", ".e.tmp-12.3"};
  const std::vector<std::string> others = {".c.tmp-12x", ".c.tmp-12.", ".c.tmp-", "d.tmp-2147483647"};
  for (const auto& names : {abandoned, others, {held}}) {
    for (const std::string& name : names) write_bytes(folder / name, "");
  }
  const int holder = open((folder / held).c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(flock(holder, LOCK_EX | LOCK_NB) == 0);
  { const AtomicFile file(folder / "a"); }
  for (const std::string& name : abandoned) CHECK_FALSE(fs::exists(folder / name));
  for (const std::string& name : others) CHECK(fs::exists(folder / name));
  CHECK(fs::exists(folder / held));
  close(holder);
  { const AtomicFile file(folder / "a"); }
  CHECK_FALSE(fs::exists(folder / held));
}

TEST_CASE("atomic file: one that is finished and not published yet is not abandoned") {
  const TemporaryFolder folder;
  AtomicFile first(folder / "a");
  first.write("first");
  first.finish();
  AtomicFile second(folder / "a");  // the same process, the same name
  second.write("second");
  second.finish();
  CHECK(first.temporary() != second.temporary());
  first.publish();
  CHECK(read_bytes(folder / "a") == "first");
  second.publish();
  CHECK(read_bytes(folder / "a") == "second");
  CHECK(files_in(folder) == 1);
}

TEST_CASE("atomic file: a left-over link goes unless its folder is held") {
  const TemporaryFolder folder;
  const std::string link = folder / ".latest.h5.tmp-7";
  fs::create_symlink("none", link);
  const int holder = open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(flock(holder, LOCK_EX | LOCK_NB) == 0);
  { const AtomicFile file(folder / "a"); }
  CHECK(fs::is_symlink(link));
  close(holder);
  { const AtomicFile file(folder / "a"); }
  CHECK_FALSE(fs::is_symlink(link));
}

TEST_CASE("atomic file: more of them than the soft limit of descriptors") {
  const TemporaryFolder folder;
  struct rlimit before {};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  if (before.rlim_max < 2000) return;
  struct rlimit low = before;
  low.rlim_cur = 300;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &low) == 0);
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (int i = 0; i < 400; ++i) files.push_back(std::make_unique<AtomicFile>(folder / std::to_string(i)));
  for (const auto& file : files) file->finish();
  for (const auto& file : files) file->publish();
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(files_in(folder) == 400);
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
