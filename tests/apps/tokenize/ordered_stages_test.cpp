#include "apps/tokenize/ordered_stages.h"

#include <atomic>
#include <string>

#include <doctest/doctest.h>

#include "tensor/check.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::apps;
using namespace dlcm::test;

namespace {

struct Item {
  int number = 0;
  int square = 0;
};

enum class Fails { nowhere, reading, working, writing };

struct Outcome {
  std::vector<int> written;
  std::string failure;
  int most_under_way = 0;
};

// 200 numbers; from the 100th on the stage fails.
Outcome run(int threads, Fails fails) {
  set_thread_count(threads);
  Outcome outcome;
  std::atomic<int> under_way = 0;
  int next = 0;
  const auto fail = [&](Fails stage, int number) {
    DLCM_CHECK(fails != stage || number < 100, "item ", number);
  };
  OrderedStages<Item> stages({[&](Item& item) {
                                if (next == 200) return false;
                                item.number = next++;
                                outcome.most_under_way = std::max(outcome.most_under_way, ++under_way);
                                fail(Fails::reading, item.number);
                                return true;
                              },
                              [&](Item& item) {
                                fail(Fails::working, item.number);
                                item.square = item.number * item.number;
                              },
                              [&](Item& item) {
                                fail(Fails::writing, item.number);
                                CHECK(item.square == item.number * item.number);
                                outcome.written.push_back(item.number);
                                --under_way;
                              }});
  outcome.failure = message_of<Error>([&] { stages.run(); });
  set_thread_count(2);
  return outcome;
}

}  // namespace

TEST_CASE("ordered stages: everything is written in order, and few items are under way") {
  for (const int threads : {1, 2, 3}) {
    const Outcome outcome = run(threads, Fails::nowhere);
    CHECK(outcome.failure == "no exception");
    REQUIRE(outcome.written.size() == 200);
    for (int i = 0; i < 200; ++i) CHECK(outcome.written[static_cast<size_t>(i)] == i);
    CHECK(outcome.most_under_way <= 2 * threads);
  }
}

TEST_CASE("ordered stages: the first failure ends it behind the items before it, wherever it is") {
  for (const int threads : {1, 2, 3}) {
    for (const Fails fails : {Fails::reading, Fails::working, Fails::writing}) {
      const Outcome outcome = run(threads, fails);
      CHECK(outcome.failure == "item 100");
      CHECK(outcome.written.size() == 100);
    }
  }
}
