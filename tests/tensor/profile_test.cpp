#include "tensor/profile.h"

#include <thread>

#include <doctest/doctest.h>

#include "tensor/ops/softmax.h"

using namespace dlcm;

namespace {

void wait(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

const ProfileEntry* find(const std::vector<ProfileEntry>& entries, const std::string& name) {
  for (const ProfileEntry& entry : entries) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("profile: calls, operations and exclusive times") {
  profile_start();
  for (int i = 0; i < 2; ++i) {
    const ProfileScope outer("outer", 100);
    const ProfileScope inner("inner");
    wait(15);
  }
  const std::vector<ProfileEntry> entries = profile_stop();
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].name == "inner");  // longest first
  CHECK(entries[0].calls == 2);
  CHECK(entries[0].seconds >= 0.03);
  CHECK(entries[1].flops == 200);
  CHECK(entries[1].seconds < entries[0].seconds);
}

TEST_CASE("profile: nothing is counted while it is off, and a start begins anew") {
  { const ProfileScope ignored("ignored"); }
  profile_start();
  { const ProfileScope counted("counted"); }
  CHECK(profile_stop().size() == 1);
  { const ProfileScope ignored("ignored"); }
  profile_start();
  CHECK(profile_stop().empty());
}

TEST_CASE("profile: operators announce themselves") {
  profile_start();
  const Tensor y = ops::softmax(Tensor::zeros({2, 3}));
  ops::softmax_backward(y, y);
  const std::vector<ProfileEntry> entries = profile_stop();
  REQUIRE(find(entries, "softmax") != nullptr);
  CHECK(find(entries, "softmax")->calls == 1);
  CHECK(find(entries, "softmax_backward") != nullptr);
}
