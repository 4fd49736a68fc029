// Where the time goes: operators announce themselves, `benchmark` reads the totals.
//
//   const ProfileScope profile("attention");
//
// costs a branch while profiling is off. Times are exclusive: an operator that calls another is not charged
// for it. Scopes are opened on the thread that runs the tape.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace dlcm {

struct ProfileEntry {
  std::string name;
  int64_t calls = 0;
  double seconds = 0;  // exclusive
  // As announced by the operator: additions, multiplications, divisions and comparisons of floating-point
  // numbers; an exponential or a root counts as one. 0 where it only moves data.
  double flops = 0;
};

void profile_start();                      // clears the totals and begins
std::vector<ProfileEntry> profile_stop();  // ends; longest first

class ProfileScope {
 public:
  explicit ProfileScope(const char* name, double flops = 0);
  ProfileScope(const char* name, double flops_per_element, int64_t elements)
      : ProfileScope(name, flops_per_element * static_cast<double>(elements)) {}
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  bool active_ = false;
};

}  // namespace dlcm
