// What the two halves of hdf5_file share: handles, the one checker, element types. For their sources alone.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include <hdf5.h>

#include "data/hdf5_file.h"
#include "tensor/check.h"

namespace dlcm::data {

enum class Hdf5Use : uint8_t { reading, writing };

// The file, and what is done with it: decides whether a failure is an InputError or an Error.
struct Hdf5Site {
  std::string path;
  Hdf5Use use = Hdf5Use::reading;
};

// Lives as long as calls of HDF5 that belong together: they are one thread's, as the library (1.10, as Debian
// builds it) has no locks of its own. Others wait, so long work lets go in between. A thread may hold
// several.
class Hdf5Session {
 public:
  Hdf5Session();

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};

// The innermost reason of the last failure, empty where HDF5 gave none.
std::string hdf5_reason();

[[noreturn]] void hdf5_fail(const Hdf5Site& site, const std::string& what, const char* call);

// The one checker: returns `result`, or throws a line with the file, what was touched ("dataset '/tokens'"),
// the call that failed and HDF5's reason.
template <class T>
T hdf5_check(T result, const Hdf5Site& site, const std::string& what, const char* call) {
  if (result < 0) hdf5_fail(site, what, call);
  return result;
}

class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, herr_t (*closer)(hid_t)) : id_(id), closer_(closer) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(closer_, other.closer_);
    return *this;
  }
  ~Hdf5Handle() { close(); }
  hid_t get() const { return id_; }
  bool is_open() const { return id_ >= 0; }
  herr_t close() { return id_ >= 0 ? closer_(std::exchange(id_, -1)) : 0; }

 private:
  hid_t id_ = -1;
  herr_t (*closer_)(hid_t) = nullptr;
};

hid_t native_type(ElementType type);                            // in memory
hid_t stored_type(ElementType type);                            // in files: little-endian
ElementType element_of(hid_t type);                             // of any file, either byte order
Hdf5Handle file_access(const Hdf5Site& site);                   // file access properties
std::string quoted(const char* kind, const std::string& name);  // "dataset '/tokens'"

}  // namespace dlcm::data
