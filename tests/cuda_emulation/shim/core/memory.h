// Device memory: a range of addresses of its own, so that a pointer tells whether it is the device's.
#pragma once

#include <cstddef>

namespace cuda_emulation {

inline constexpr size_t kArenaBytes = size_t{64}
                                      << 30;  // of addresses; pages take memory when they are touched

bool is_device_pointer(const void* pointer);
// Inside an allocation or, for empty views at the end of one, just past it.
bool is_live_device_pointer(const void* pointer);

// With EMU_PROTECT device memory is readable only within such a scope: while the device works.
class DeviceMemoryAccess {
 public:
  DeviceMemoryAccess();
  ~DeviceMemoryAccess();
  DeviceMemoryAccess(const DeviceMemoryAccess&) = delete;
  DeviceMemoryAccess& operator=(const DeviceMemoryAccess&) = delete;
};

}  // namespace cuda_emulation
