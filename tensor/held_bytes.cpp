#include "tensor/held_bytes.h"

#include <algorithm>

namespace dlcm {

void HeldByOperator::add(const void* block, int64_t bytes, const char* name) {
  const std::string_view maker = name != nullptr ? std::string_view(name) : kNone;
  now_[maker] += bytes;
  maker_[block] = maker;
}

void HeldByOperator::remove(const void* block, int64_t bytes) noexcept {
  const auto found = maker_.find(block);
  now_.find(found != maker_.end() ? found->second : kBefore)->second -= bytes;
  if (found != maker_.end()) maker_.erase(found);
}

std::vector<HeldBytes> HeldByOperator::at_peak() const {
  std::vector<HeldBytes> result;
  for (const auto& [name, bytes] : at_peak_) {
    if (bytes > 0) result.push_back({std::string(name), bytes});
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const HeldBytes& a, const HeldBytes& b) { return a.bytes > b.bytes; });
  return result;
}

}  // namespace dlcm
