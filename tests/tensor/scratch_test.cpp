#include "tensor/scratch.h"

#include <cstring>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace dlcm;

TEST_CASE("scratch: a thread keeps its memory until it needs more, two threads have different ones") {
  auto* first = thread_scratch<float>(1000);
  REQUIRE(reinterpret_cast<uintptr_t>(first) % 64 == 0);
  std::memset(first, 1, 4000);
  CHECK(thread_scratch<double>(500) == reinterpret_cast<double*>(first));
  float* other = nullptr;
  std::thread([&] { other = thread_scratch<float>(1000); }).join();
  CHECK(other != first);
  auto* larger = thread_scratch<float>(100'000);
  std::memset(larger, 2, 400'000);
  CHECK(reinterpret_cast<uintptr_t>(larger) % 64 == 0);
}
