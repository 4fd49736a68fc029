#include "data/open_files.h"

#include <algorithm>

#include <sys/resource.h>

namespace dlcm::data {
namespace {

constexpr size_t kMostOpen = 128;

std::list<PooledFile*>& open_files() {
  static std::list<PooledFile*> files;
  return files;
}

}  // namespace

size_t PooledFile::most_open() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kMostOpen;
  // The other half is for what else the program opens.
  return std::clamp<size_t>(limit.rlim_cur / 2, 1, kMostOpen);
}

size_t PooledFile::open_now() {
  return open_files().size();
}

PooledFile::~PooledFile() {
  if (is_open_) open_files().erase(place_);
}

void PooledFile::use() {
  std::list<PooledFile*>& files = open_files();
  if (is_open_) {
    files.splice(files.begin(), files, place_);
    return;
  }
  const size_t most = most_open();
  while (files.size() >= most) files.back()->release();
  open_file();
  place_ = files.insert(files.begin(), this);
  is_open_ = true;
}

void PooledFile::release() {
  if (!is_open_) return;
  open_files().erase(place_);
  is_open_ = false;
  close_file();
}

}  // namespace dlcm::data
