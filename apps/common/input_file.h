// A file that must be jumped about in (HDF5), as an argument names it: "-" is standard input.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace dlcm::apps {

class InputFile {
 public:
  // For "-" takes standard input: as it is where a file is redirected to it, else a copy in a temporary file
  // (in the folder TMPDIR, or /tmp) that is removed with this object. Throws InputError where standard input
  // is empty, Error where the copy cannot be made.
  explicit InputFile(const std::string& argument);

  const std::string& path() const { return path_; }  // to open while this object lives
  std::string name() const;                          // for people: the argument, or "standard input"

  // Runs body(path()). Errors that it throws name standard input, not the place of the copy.
  void use(const std::function<void(const std::string& path)>& body) const;

 private:
  struct Copy {
    Copy();
    ~Copy();
    Copy(const Copy&) = delete;
    Copy& operator=(const Copy&) = delete;
    std::string path;
  };

  std::string path_;
  bool is_standard_input_ = false;
  std::unique_ptr<Copy> copy_;  // null where none is needed
};

}  // namespace dlcm::apps
