// The modes of the emulation, read from the environment once. README.md says what each is for.
#pragma once

#include <cstdint>

namespace cuda_emulation {

enum class Order : uint8_t { kForward, kReverse, kRandom };

struct Options {
  Order order = Order::kForward;  // EMU_ORDER=fwd|rev|randN
  uint64_t seed = 1;              // the N of randN
  bool defer = false;             // EMU_DEFER=1
  bool protect = false;           // EMU_PROTECT=1
  bool relaxed = false;           // EMU_RELAXED=1
  bool stats = false;             // EMU_STATS=1
};

const Options& options();

}  // namespace cuda_emulation
