#include "apps/common/input_file.h"

#include <filesystem>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

// Standard input is `descriptor`, which is closed here, while this lives.
class StandardInput {
 public:
  explicit StandardInput(int descriptor) : before_(dup(STDIN_FILENO)) {
    dup2(descriptor, STDIN_FILENO);
    close(descriptor);
  }
  ~StandardInput() {
    dup2(before_, STDIN_FILENO);
    close(before_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int before_;
};

// The reading end of a pipe that holds the text and is at its end.
int pipe_of(const std::string& text) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  REQUIRE(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  close(ends[1]);
  return ends[0];
}

}  // namespace

TEST_CASE("input file: a name is itself") {
  const InputFile file("some/name");
  CHECK(file.path() == "some/name");
  CHECK(file.name() == "some/name");
}

TEST_CASE("input file: a pipe is copied to a file that is removed") {
  const StandardInput input(pipe_of(std::string("abc\0def", 7)));
  std::string path;
  {
    const InputFile file("-");
    path = file.path();
    CHECK(file.name() == "standard input");
    CHECK(test::read_bytes(path) == std::string("abc\0def", 7));
    CHECK(test::message_of<InputError>([&] {
            file.use([](const std::string& name) { throw InputError("'" + name + "' is wrong"); });
          }) == "standard input is wrong");
    CHECK_THROWS_WITH_AS(file.use([](const std::string& name) { throw Error(name + ": full"); }),
                         "standard input: full", Error);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("input file: a redirected file is not copied, an empty pipe is refused") {
  const test::TemporaryFolder folder;
  test::write_bytes(folder / "a", "abc");
  {
    const StandardInput input(open((folder / "a").c_str(), O_RDONLY));
    const InputFile file("-");
    CHECK(std::filesystem::equivalent(file.path(), folder / "a"));
    CHECK(test::read_bytes(file.path()) == "abc");
  }
  const StandardInput input(pipe_of(""));
  CHECK_THROWS_WITH_AS(InputFile("-"), "standard input ('-') is empty, expected an HDF5 file", InputError);
}
