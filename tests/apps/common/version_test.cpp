#include <stdexcept>

#include <doctest/doctest.h>

#include "apps/common/cpu_features.h"
#include "apps/common/program.h"
#include "tensor/check.h"
#include "tensor/ops/matmul.h"

namespace dlcm::apps {

TEST_CASE("version: says what the program is made of") {
  const std::string text = version_text();
  for (const std::string part : {"dlcm ", "commit: ", "compiler: ", "HDF5 ", "zlib ", "zstd ", "toml++ "}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(text.find(ops::matmul_engine()) != std::string::npos);
  CHECK(text.back() == '\n');
}

TEST_CASE("version: this machine has what the tests were compiled for") {
  CHECK(cpu_is_supported("unit_tests"));
}

TEST_CASE("program: errors become exit codes") {
  CHECK(run_program("test", [] { return 0; }) == 0);
  CHECK(run_program("test", []() -> int { throw InputError("wrong flag"); }) == 2);
  CHECK(run_program("test", []() -> int { throw Error("a failure, as this test wants it"); }) == 1);
  CHECK(run_program("test", []() -> int { throw std::bad_alloc(); }) == 1);
}

}  // namespace dlcm::apps
