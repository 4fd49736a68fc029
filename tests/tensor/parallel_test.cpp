#include "tensor/parallel.h"

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace dlcm;

namespace {

class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }

 private:
  int before_;
};

}  // namespace

TEST_CASE("parallel_for calls the body once for each index, in ranges that depend on n and grain alone") {
  for (const int threads : {1, 2, 3, 8}) {
    const Threads count(threads);
    CHECK(thread_count() == threads);
    for (const int64_t n : {0, 1, 2, 7, 100, 1001}) {
      for (const int64_t grain : {1, 3, 100, 5000}) {
        std::vector<int> visits(static_cast<size_t>(n), 0);
        std::mutex mutex;
        std::set<std::pair<int64_t, int64_t>> ranges;
        parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
          const std::lock_guard lock(mutex);
          ranges.insert({begin, end});
        });
        CHECK(visits == std::vector<int>(static_cast<size_t>(n), 1));
        std::set<std::pair<int64_t, int64_t>> expected;
        for (int64_t begin = 0; begin < n; begin += grain)
          expected.insert({begin, std::min(n, begin + grain)});
        CHECK(ranges == expected);
      }
    }
  }
}

TEST_CASE("parallel_for with a grain of 0 or less takes 1") {
  std::atomic<int> calls = 0;
  parallel_for(5, 0, [&](int64_t begin, int64_t end) {
    CHECK(end == begin + 1);
    ++calls;
  });
  CHECK(calls == 5);
}

TEST_CASE("parallel_for uses the threads it may use") {
  const Threads count(3);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  parallel_for(3, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  CHECK(ids.size() == 3);
}

TEST_CASE("parallel_for rethrows an exception in the caller and works afterwards") {
  for (const int threads : {1, 3}) {
    const Threads count(threads);
    for (const int64_t bad : {0, 50, 99}) {
      CHECK_THROWS_WITH_AS(parallel_for(100, 1,
                                        [&](int64_t begin, int64_t) {
                                          if (begin == bad) throw std::runtime_error("range failed");
                                        }),
                           "range failed", std::runtime_error);
    }
    std::atomic<int> calls = 0;
    parallel_for(100, 1, [&](int64_t, int64_t) { ++calls; });
    CHECK(calls == 100);
  }
}

TEST_CASE("nested parallel_for runs in the calling thread and covers everything") {
  const Threads count(3);
  std::vector<std::atomic<int>> visits(60);
  std::atomic<int> strangers = 0;
  parallel_for(6, 1, [&](int64_t outer, int64_t) {
    const auto caller = std::this_thread::get_id();
    parallel_for(10, 1, [&](int64_t inner, int64_t) {
      if (std::this_thread::get_id() != caller) ++strangers;
      ++visits[static_cast<size_t>(outer * 10 + inner)];
    });
  });
  CHECK(strangers == 0);
  for (const auto& count_of : visits) CHECK(count_of == 1);
}

TEST_CASE("set_thread_count takes at least one; grain_for is worth a thread") {
  const Threads count(0);
  CHECK(thread_count() == 1);
  CHECK(grain_for(16, 160) == 10);
  CHECK(grain_for(1000, 10) == 1);
  CHECK(grain_for(0, 10) == 10);
}
