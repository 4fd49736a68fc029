#include "tensor/scratch.h"

#include <memory>
#include <mutex>
#include <new>
#include <vector>

namespace dlcm::detail {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Free {
  void operator()(std::byte* bytes) const { ::operator delete(bytes, kAlignment); }
};

struct Block {
  std::unique_ptr<std::byte, Free> bytes;
  size_t capacity = 0;
};

// Blocks outlive their threads and serve later ones. All are held here, so that they are found in a forked
// process too, which has none of the threads.
struct Blocks {
  std::mutex mutex;
  std::vector<std::unique_ptr<Block>> all;
  std::vector<Block*> unused;
};

Blocks& blocks() {
  static auto* held = new Blocks;  // never destroyed: threads may end after static storage does
  return *held;
}

// The calling thread's block, given back when the thread ends.
class Lease {
 public:
  Lease() {
    Blocks& held = blocks();
    const std::lock_guard lock(held.mutex);
    if (held.unused.empty()) {
      held.all.push_back(std::make_unique<Block>());
      held.unused.reserve(held.all.size());  // so that giving back never allocates
      block_ = held.all.back().get();
    } else {
      block_ = held.unused.back();
      held.unused.pop_back();
    }
  }
  ~Lease() {
    const std::lock_guard lock(blocks().mutex);
    blocks().unused.push_back(block_);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Block& block() { return *block_; }

 private:
  Block* block_ = nullptr;
};

}  // namespace

void* thread_scratch_bytes(size_t bytes) {
  thread_local Lease lease;
  Block& block = lease.block();
  if (block.capacity < bytes) {
    block.bytes.reset(static_cast<std::byte*>(::operator new(bytes, kAlignment)));
    block.capacity = bytes;
  }
  return block.bytes.get();
}

}  // namespace dlcm::detail
