// Which operators made what is in memory. Allocator::watch() uses it; `benchmark step` prints it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dlcm {

struct HeldBytes {
  std::string name;
  int64_t bytes = 0;
};

// Sums by operator as blocks come and go, and a copy of them as they were at the peak.
class HeldByOperator {
 public:
  // `before`: bytes in blocks that were there already.
  explicit HeldByOperator(int64_t before) : now_{{kBefore, before}}, at_peak_(now_) {}

  // `name`: of the operator, null outside of any; it must live as long as this.
  void add(const void* block, int64_t bytes, const char* name);
  void remove(const void* block, int64_t bytes) noexcept;
  void note_peak() { at_peak_ = now_; }
  std::vector<HeldBytes> at_peak() const;  // most first

 private:
  static constexpr std::string_view kBefore = "held before";
  static constexpr std::string_view kNone = "no operator";

  std::map<std::string_view, int64_t> now_, at_peak_;
  std::unordered_map<const void*, std::string_view> maker_;
};

}  // namespace dlcm
