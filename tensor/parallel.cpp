#include "tensor/parallel.h"

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sched.h>

namespace dlcm {
namespace {

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::atomic<int>& threads() {
  static std::atomic<int> count{available_cores()};
  return count;
}

// Whether this thread runs part of a loop: loops inside it stay in the thread.
bool& inside_loop() {
  static thread_local bool inside = false;
  return inside;
}

class FirstException {
 public:
  void capture() {
    const std::lock_guard lock(mutex_);
    if (!exception_) exception_ = std::current_exception();
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr exception_;
};

// Until it sleeps a waiting thread looks this often: loops follow one another within microseconds while a
// model runs, and waking a thread takes longer than that. No more, so that a busy machine's other programs
// get the core.
constexpr int kLooks = 4000;

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

// Waits until the value is no longer `old`.
void wait_while(const std::atomic<uint32_t>& value, uint32_t old) {
  for (int look = 0; look < kLooks; ++look) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause();
  }
  value.wait(old, std::memory_order_acquire);
}

// Threads that sleep between loops. One of our own and not OpenMP's: that one's waiting threads take the
// cores of other programs, and ThreadSanitizer does not know its barriers.
class Pool {
 public:
  using Body = std::function<void(int64_t index)>;

  ~Pool() { stop(); }

  // body(0) in the caller, body(1) ... body(count - 1) in the workers; returns when all are done. Where
  // another thread uses the pool, everything runs in the caller.
  void run(int64_t count, const Body& body) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock() || abandoned_.load(std::memory_order_relaxed)) {
      for (int64_t index = 0; index < count; ++index) body(index);
      return;
    }
    while (static_cast<int64_t>(workers_.size()) < count - 1) start_worker();
    body_ = &body;
    count_ = count;
    pending_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    body(0);
    for (uint32_t left; (left = pending_.load(std::memory_order_acquire)) != 0;) wait_while(pending_, left);
  }

  // A forked child has the pool but not its threads.
  void abandon() {
    abandoned_.store(true, std::memory_order_relaxed);
    for (std::thread& worker : workers_) worker.detach();
    workers_.clear();
  }

 private:
  void start_worker() {
    const auto index = static_cast<int64_t>(workers_.size()) + 1;
    workers_.emplace_back(
        [this, index, round = round_.load(std::memory_order_relaxed)] { work(index, round); });
  }

  void work(int64_t index, uint32_t round) {
    inside_loop() = true;
    while (true) {
      wait_while(round_, round);
      ++round;
      if (stopping_.load(std::memory_order_relaxed)) return;
      if (index < count_) (*body_)(index);
      if (pending_.fetch_sub(1, std::memory_order_acq_rel) == 1) pending_.notify_one();
    }
  }

  void stop() {
    stopping_.store(true, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  std::mutex mutex_;  // held by the thread whose loop runs
  std::vector<std::thread> workers_;
  const Body* body_ = nullptr;
  int64_t count_ = 0;
  std::atomic<uint32_t> round_{0};    // grows by one for each loop
  std::atomic<uint32_t> pending_{0};  // workers that have not finished it
  std::atomic<bool> stopping_{false};
  std::atomic<bool> abandoned_{false};
};

Pool& pool() {
  static Pool instance;
  static const int registered = pthread_atfork(nullptr, nullptr, [] { pool().abandon(); });
  static_cast<void>(registered);
  return instance;
}

}  // namespace

int thread_count() {
  return threads().load(std::memory_order_relaxed);
}

void set_thread_count(int count) {
  threads().store(std::max(1, count), std::memory_order_relaxed);
}

namespace detail {

void run_blocks(int64_t blocks, const std::function<void(int64_t)>& body) {
  const int64_t count = inside_loop() ? 1 : std::min<int64_t>(blocks, thread_count());
  if (count == 1) {
    for (int64_t block = 0; block < blocks; ++block) body(block);
    return;
  }
  FirstException failure;
  const auto share = [&](int64_t index) {
    const bool outer = inside_loop();
    inside_loop() = true;
    try {
      const int64_t end = blocks * (index + 1) / count;
      for (int64_t block = blocks * index / count; block < end; ++block) body(block);
    } catch (...) {
      failure.capture();
    }
    inside_loop() = outer;
  };
  pool().run(count, share);
  failure.rethrow();
}

}  // namespace detail
}  // namespace dlcm
