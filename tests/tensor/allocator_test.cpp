#include "tensor/allocator.h"

#include <cstring>
#include <thread>

#include <doctest/doctest.h>

#include "tensor/check.h"
#include "tensor/profile.h"

using namespace dlcm;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kCaching = false;  // every block goes back at once, so that a use after free is seen
#else
constexpr bool kCaching = true;
#endif

TEST_CASE("allocator: bytes in use, peak and what is held") {
  Allocator pool(Device::cpu());
  auto a = pool.allocate(1000);
  auto b = pool.allocate(500);
  CHECK(pool.statistics().allocated_bytes == 1500);
  CHECK(pool.statistics().reserved_bytes >= 1500);
  a.reset();
  CHECK(pool.statistics().allocated_bytes == 500);
  CHECK(pool.statistics().peak_bytes == 1500);
  pool.reset_peak();
  CHECK(pool.statistics().peak_bytes == 500);
  b.reset();
  pool.release_cached();
  CHECK(pool.statistics().reserved_bytes == 0);
}

TEST_CASE("allocator: a freed block serves the next request of its class") {
  Allocator pool(Device::cpu());
  void* first = nullptr;
  {
    const auto block = pool.allocate(1000);
    first = block.get();
  }
  if (kCaching) {
    CHECK(pool.allocate(1010).get() == first);
    CHECK(pool.statistics().system_calls == 1);
  }
  const auto larger = pool.allocate(5000);
  CHECK(pool.statistics().allocated_bytes == 5000);
}

TEST_CASE("allocator: sizes that vary from step to step soon need nothing from the system") {
  if (!kCaching) return;
  Allocator pool(Device::cpu());
  const auto step = [&](size_t concepts) {
    const auto a = pool.allocate(concepts * 64), b = pool.allocate(concepts * 16);
  };
  for (size_t m = 900; m < 1100; ++m) step(m);
  const int64_t calls = pool.statistics().system_calls;
  for (size_t m = 900; m < 1100; m += 7) step(m);
  CHECK(pool.statistics().system_calls == calls);
  CHECK(calls < 10);
}

TEST_CASE("allocator: what is held stays within bounds, however sizes vary") {
  Allocator pool(Device::cpu());
  size_t most = 0;
  for (size_t i = 0; i < 40; ++i) {
    const size_t bytes = (size_t{100} << 20) + i * (size_t{20} << 20);  // never touched: address space only
    const auto a = pool.allocate(bytes);
    const auto b = pool.allocate(bytes / 3);
    most = bytes + bytes / 3;
    CHECK(pool.statistics().reserved_bytes <= static_cast<int64_t>(most + most / 2 + (size_t{64} << 20)));
  }
  pool.release_cached();
  CHECK(pool.statistics().reserved_bytes == 0);
}

TEST_CASE("allocator: blocks smaller than a huge page share slabs, which go back when none is in use") {
  if (!kCaching) return;
  constexpr size_t kPage = size_t{2} << 20;
  for (const size_t bytes : {size_t{32} << 10, size_t{160} << 10, size_t{640} << 10, size_t{1} << 20,
                             size_t{1280} << 10, size_t{1792} << 10}) {
    CAPTURE(bytes);
    Allocator pool(Device::cpu());
    std::vector<std::shared_ptr<void>> blocks;
    int64_t used = 0;
    while (pool.statistics().system_calls < 3) {
      blocks.push_back(pool.allocate(bytes));
      std::memset(blocks.back().get(), 0xab, bytes);
      used += static_cast<int64_t>(bytes);
    }
    used -= static_cast<int64_t>(bytes);  // the first of the third slab
    const int64_t reserved = pool.statistics().reserved_bytes;
    CHECK(reserved % static_cast<int64_t>(kPage) == 0);
    CHECK(used >= reserved / 3 * 2 * 7 / 8);
    if ((bytes & (bytes - 1)) == 0) CHECK(used == reserved / 3 * 2);
    for (size_t i = 0; i < blocks.size(); ++i) {
      CHECK(reinterpret_cast<uintptr_t>(blocks[i].get()) % 64 == 0);
      for (size_t j = 0; j < i; ++j) {
        const auto a = reinterpret_cast<uintptr_t>(blocks[i].get());
        const auto b = reinterpret_cast<uintptr_t>(blocks[j].get());
        CHECK((a + bytes <= b || b + bytes <= a));
      }
    }
    auto last = blocks.back();
    const auto first = blocks.front();
    blocks.clear();
    pool.release_cached();  // of the three slabs the second has no block in use
    CHECK(pool.statistics().reserved_bytes == reserved / 3 * 2);
    last.reset();
    pool.release_cached();
    CHECK(pool.statistics().reserved_bytes == reserved / 3);
  }
}

TEST_CASE("allocator: what is held of slabs stays within bounds, however sizes vary") {
  Allocator pool(Device::cpu());
  size_t most = 0;
  for (size_t bytes = size_t{32} << 10; bytes < size_t{2} << 20; bytes += size_t{20} << 10) {
    std::vector<std::shared_ptr<void>> blocks;
    size_t held = 0;
    for (; held < size_t{100} << 20; held += bytes) blocks.push_back(pool.allocate(bytes));
    most = std::max(most, held);
    CHECK(pool.statistics().reserved_bytes <= static_cast<int64_t>(most + most / 2 + (size_t{64} << 20)));
  }
  pool.release_cached();
  CHECK(pool.statistics().reserved_bytes == 0);
}

TEST_CASE("allocator: blocks are aligned, distinct and whole, none of size 0 is null") {
  Allocator pool(Device::cpu());
  std::vector<std::shared_ptr<void>> blocks;
  for (const size_t bytes : {0, 1, 63, 64, 65, 100, 1000, 4097}) {
    blocks.push_back(pool.allocate(bytes));
    REQUIRE(blocks.back() != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(blocks.back().get()) % 64 == 0);
    std::memset(blocks.back().get(), 0xab, bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (size_t j = 0; j < i; ++j) CHECK(blocks[i].get() != blocks[j].get());
  }
}

TEST_CASE("allocator: threads may allocate and free at once") {
  Allocator pool(Device::cpu());
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 3; ++thread) {
      threads.emplace_back([&pool, thread] {
        for (size_t i = 0; i < 300; ++i) {
          const auto block = pool.allocate(i % 2 == 0 ? 64 + i % 7 * 100 : size_t{40} << 10);
          std::memset(block.get(), thread, 64);
        }
      });
    }
  }
  CHECK(pool.statistics().allocated_bytes == 0);
}

TEST_CASE("allocator: what no machine has is an error, not a crash") {
  Allocator pool(Device::cpu());
  CHECK_THROWS_AS(pool.allocate(size_t{1} << 62), Error);
  CHECK_THROWS_WITH_AS(pool.unwatch(), "allocator: unwatch() without watch()", Error);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they abort where the system's allocator would say no
  CHECK_THROWS_AS(pool.allocate(size_t{1} << 59), Error);
  CHECK(pool.statistics().allocated_bytes == 0);
#endif
}

TEST_CASE("allocator: what is held at the peak, by the operator that made it") {
  Allocator pool(Device::cpu());
  auto weights = pool.allocate(1000);
  pool.watch();
  std::shared_ptr<void> result, inner, again;
  {
    const ProfileScope outer("outer");
    result = pool.allocate(300);
    {
      const ProfileScope scope("inner");
      inner = pool.allocate(4000);
      inner.reset();
      inner = pool.allocate(70);
    }
    again = pool.allocate(20);
  }
  const auto by_nobody = pool.allocate(5);
  weights.reset();  // a block from before may go as well
  CHECK(pool.statistics().peak_bytes == 5300);
  const std::vector<HeldBytes> held = pool.unwatch();
  REQUIRE(held.size() == 3);
  CHECK((held[0].name == "inner" && held[0].bytes == 4000));
  CHECK((held[1].name == "held before" && held[1].bytes == 1000));
  CHECK((held[2].name == "outer" && held[2].bytes == 300));
  result.reset();  // after it: nothing is noted any more

  pool.watch();
  const auto later = pool.allocate(50);
  const std::vector<HeldBytes> second = pool.unwatch();
  REQUIRE(second.size() == 2);
  CHECK(second[0].bytes == 95);  // what the first watch has left
  CHECK((second[1].name == "no operator" && second[1].bytes == 50));
}
