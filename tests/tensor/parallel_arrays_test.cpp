#include "tensor/parallel_arrays.h"

#include <doctest/doctest.h>

using namespace dlcm;

TEST_CASE("parallel_for_arrays visits every element once, in ranges that do not depend on the threads") {
  const int before = thread_count();
  const std::vector<int64_t> sizes = {0, 7, 1, 0, 0, 25, 3, 0};
  struct Part {
    size_t array;
    int64_t begin, end;
    bool operator==(const Part&) const = default;
  };
  std::vector<std::vector<Part>> expected;
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    std::vector<std::vector<int>> visits;
    for (const int64_t size : sizes) visits.emplace_back(static_cast<size_t>(size));
    std::vector<std::vector<Part>> ranges(4);  // 36 elements by 10
    parallel_for_arrays(sizes, 10, [&](int64_t range, size_t array, int64_t begin, int64_t end) {
      ranges[static_cast<size_t>(range)].push_back({array, begin, end});
      for (int64_t i = begin; i < end; ++i) ++visits[array][static_cast<size_t>(i)];
    });
    for (const std::vector<int>& array : visits) CHECK(array == std::vector<int>(array.size(), 1));
    if (threads == 1) expected = ranges;
    CHECK(ranges == expected);
  }
  CHECK(expected[0] == std::vector<Part>{{1, 0, 7}, {2, 0, 1}, {5, 0, 2}});
  CHECK(expected[3] == std::vector<Part>{{5, 22, 25}, {6, 0, 3}});
  set_thread_count(before);
}

TEST_CASE("parallel_for_arrays without elements calls nothing") {
  parallel_for_arrays({}, 10, [](int64_t, size_t, int64_t, int64_t) { CHECK(false); });
  parallel_for_arrays({0, 0}, 10, [](int64_t, size_t, int64_t, int64_t) { CHECK(false); });
}
