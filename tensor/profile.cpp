#include "tensor/profile.h"

#include <algorithm>
#include <map>
#include <utility>

namespace dlcm {
namespace {

using Clock = std::chrono::steady_clock;

struct OpenScope {
  const char* name;
  double flops;
  Clock::time_point resumed;  // when this scope last became the innermost one
  double seconds = 0;
};

struct Profiler {
  bool active = false;
  std::map<std::string, ProfileEntry> entries;
  std::vector<OpenScope> open;
};

// Per thread: only the thread that started profiling is observed.
Profiler& profiler() {
  static thread_local Profiler instance;
  return instance;
}

const char*& current_operator() {
  static thread_local const char* name = nullptr;
  return name;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void profile_start() {
  profiler().entries.clear();
  profiler().active = true;
}

std::vector<ProfileEntry> profile_stop() {
  profiler().active = false;
  std::vector<ProfileEntry> result;
  for (auto& [name, entry] : profiler().entries) result.push_back(entry);
  std::sort(result.begin(), result.end(),
            [](const ProfileEntry& a, const ProfileEntry& b) { return a.seconds > b.seconds; });
  return result;
}

AllocationScope::AllocationScope(const char* name) : outer_(std::exchange(current_operator(), name)) {}

AllocationScope::~AllocationScope() {
  current_operator() = outer_;
}

const char* operator_at_work() {
  return current_operator();
}

ProfileScope::ProfileScope(const char* name, double flops) : allocations_(name), active_(profiler().active) {
  if (!active_) return;
  auto& open = profiler().open;
  if (!open.empty()) open.back().seconds += seconds_since(open.back().resumed);
  open.push_back({name, flops, Clock::now()});
}

ProfileScope::~ProfileScope() {
  if (!active_) return;
  auto& open = profiler().open;
  const OpenScope scope = open.back();
  open.pop_back();
  ProfileEntry& entry = profiler().entries[scope.name];
  entry.name = scope.name;
  ++entry.calls;
  entry.seconds += scope.seconds + seconds_since(scope.resumed);
  entry.flops += scope.flops;
  if (!open.empty()) open.back().resumed = Clock::now();
}

}  // namespace dlcm
