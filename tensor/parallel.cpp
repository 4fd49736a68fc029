#include "tensor/parallel.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>

#ifdef _OPENMP
#include <omp.h>
#endif

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

// The share [begin, end) of `blocks` that thread `index` of `count` takes.
int64_t share_begin(int64_t blocks, int64_t index, int64_t count) {
  return blocks * index / count;
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

}  // namespace

int thread_count() {
  return threads().load(std::memory_order_relaxed);
}

void set_thread_count(int count) {
  threads().store(std::max(1, count), std::memory_order_relaxed);
#ifdef _OPENMP
  omp_set_num_threads(std::max(1, count));  // what the matrix library reads
#endif
}

namespace detail {

// OpenMP where the compiler has it: the matrix library uses the same team of threads, and two teams that wait
// actively would take each other's cores. ThreadSanitizer does not know OpenMP's barriers, so its build (and
// a compiler without OpenMP) starts plain threads, which it does know.
#ifdef _OPENMP
void run_blocks(int64_t blocks, const std::function<void(int64_t)>& body) {
  const int count = static_cast<int>(std::min<int64_t>(blocks, omp_in_parallel() ? 1 : thread_count()));
  FirstException failure;
#pragma omp parallel num_threads(count)
  {
    const int64_t team = omp_get_num_threads();
    const int64_t index = omp_get_thread_num();
    try {
      const int64_t end = share_begin(blocks, index + 1, team);
      for (int64_t block = share_begin(blocks, index, team); block < end; ++block) body(block);
    } catch (...) {
      failure.capture();
    }
  }
  failure.rethrow();
}
#else
void run_blocks(int64_t blocks, const std::function<void(int64_t)>& body) {
  static thread_local bool nested = false;
  const int64_t count = nested ? 1 : std::min<int64_t>(blocks, thread_count());
  FirstException failure;
  const auto run = [&](int64_t index) {
    const bool outer = nested;
    nested = true;
    try {
      const int64_t end = share_begin(blocks, index + 1, count);
      for (int64_t block = share_begin(blocks, index, count); block < end; ++block) body(block);
    } catch (...) {
      failure.capture();
    }
    nested = outer;
  };
  {
    std::vector<std::jthread> workers;
    workers.reserve(static_cast<size_t>(count - 1));
    for (int64_t index = 1; index < count; ++index) workers.emplace_back(run, index);
    run(0);
  }
  failure.rethrow();
}
#endif

}  // namespace detail
}  // namespace dlcm
