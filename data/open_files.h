// How many files the readers of this process hold open. A data folder may have any number of shards, a
// process 1,024 descriptors (the usual `ulimit -n`), and HDF5 keeps up to 1 MiB of chunks of every open
// dataset, or the one that was read last where chunks are larger (32 MiB at most).
#pragma once

#include <cstddef>
#include <list>

namespace dlcm::data {

// A file that is opened when it is used and may be closed between two uses: past most_open() of them the one
// whose last use is longest ago is. Like HDF5, for one thread at a time:
// used within a session of it (data/hdf5_internal.h).
class PooledFile {
 public:
  PooledFile() = default;
  PooledFile(const PooledFile&) = delete;
  PooledFile& operator=(const PooledFile&) = delete;

  // 128, but at most half of the descriptors that the process may have, and at least 1.
  static size_t most_open();
  static size_t open_now();

 protected:
  ~PooledFile();  // the file is released already
  // Before every use of the file: opens it where it is closed. Throws what open_file() does.
  void use();
  // Closes the file where it is open. A class that derives from this one calls it in its destructor.
  void release();

  virtual void open_file() = 0;
  virtual void close_file() = 0;

 private:
  bool is_open_ = false;
  std::list<PooledFile*>::iterator place_;  // among the open ones, the last used first
};

}  // namespace dlcm::data
