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
  double flops = 0;    // as announced by the operator; 0 where it announces none
};

void profile_start();                      // clears the totals and begins
std::vector<ProfileEntry> profile_stop();  // ends; longest first

class ProfileScope {
 public:
  explicit ProfileScope(const char* name, double flops = 0);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  bool active_ = false;
};

}  // namespace dlcm
