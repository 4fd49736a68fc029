// Three stages that items pass in order of reading, shared by all threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "tensor/parallel.h"

namespace dlcm::apps {

// `read` fills an item, `work` changes it, `write` takes it. Items are read and written in the same order,
// one at a time; `work` runs on several at once. Two for each thread are under way at most, and are used
// again. Results do not depend on the number of threads. Of several failures the one of the first item
// counts: those before it are written, none behind it.
template <class Item>
class OrderedStages {
 public:
  struct Stages {
    std::function<bool(Item&)> read;  // false at the end, where it leaves nothing to write
    std::function<void(Item&)> work;
    std::function<void(Item&)> write;
  };

  explicit OrderedStages(Stages stages)
      : stages_(std::move(stages)), slots_(2 * static_cast<size_t>(thread_count())) {}

  // Once. Throws what a stage throws.
  void run() {
    parallel_for(thread_count(), 1, [this](int64_t, int64_t) { take_part(); });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  struct Slot {
    Item item;
    std::exception_ptr failure;  // of reading it or of the work on it
    bool ready = false;          // to be written
  };

  Slot& slot_of(int64_t number) { return slots_[static_cast<size_t>(number) % slots_.size()]; }

  // What there is to do, what was read first before what comes after it. A thread waits only for what others
  // are doing, so one alone never does.
  void take_part() {
    std::unique_lock lock(mutex_);
    while (!failure_ && !(ended_ && written_ == read_)) {
      if (!writing_ && written_ < read_ && slot_of(written_).ready) {
        write_next(lock);
      } else if (!reading_ && !ended_ && read_ - written_ < static_cast<int64_t>(slots_.size())) {
        read_next(lock);
      } else {
        changed_.wait(lock);
      }
    }
  }

  template <class Stage>
  static std::exception_ptr failure_of(const Stage& stage) {
    try {
      stage();
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }

  void write_next(std::unique_lock<std::mutex>& lock) {
    writing_ = true;
    Slot& slot = slot_of(written_);
    lock.unlock();
    const std::exception_ptr failure =
        slot.failure ? slot.failure : failure_of([&] { stages_.write(slot.item); });
    lock.lock();
    failure_ = failure;
    slot.ready = false;
    ++written_;
    writing_ = false;
    changed_.notify_all();
  }

  void read_next(std::unique_lock<std::mutex>& lock) {
    reading_ = true;
    Slot& slot = slot_of(read_);
    lock.unlock();
    bool is_item = true;
    slot.failure = failure_of([&] { is_item = stages_.read(slot.item); });
    lock.lock();
    reading_ = false;
    ended_ = !is_item || slot.failure != nullptr;
    if (is_item) ++read_;
    changed_.notify_all();
    if (!is_item) return;
    lock.unlock();
    if (!slot.failure) slot.failure = failure_of([&] { stages_.work(slot.item); });
    lock.lock();
    slot.ready = true;
    changed_.notify_all();
  }

  Stages stages_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;  // item i is in slot i modulo their number, from its reading to its writing
  int64_t read_ = 0;         // items so far
  int64_t written_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool ended_ = false;
  std::exception_ptr failure_;
};

}  // namespace dlcm::apps
