// Where time and memory go: operators announce themselves, `benchmark` reads the totals.
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

// Names the operator that makes what is allocated in this thread while it lives: see Allocator::watch. Every
// ProfileScope is one; an operator that allocates its result and then calls one with a scope opens another.
// `name` must live as long as the process.
class AllocationScope {
 public:
  explicit AllocationScope(const char* name);
  ~AllocationScope();
  AllocationScope(const AllocationScope&) = delete;
  AllocationScope& operator=(const AllocationScope&) = delete;

 private:
  const char* outer_;
};
// The name of the innermost such scope of this thread; null outside of any.
const char* operator_at_work();

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
  AllocationScope allocations_;
  bool active_ = false;
};

}  // namespace dlcm
