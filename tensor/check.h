// The one way in which the library reports that something is wrong.
//
//   DLCM_CHECK(gain.numel() == d, "rms_norm: gain has ", gain.numel(), " elements, x has rows of ", d);
//
// throws Error with the parts joined. Programs turn an Error into one line and exit code 1, and an InputError
// (the command line or a file's content is wrong) into exit code 2.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace dlcm {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What the user gave is wrong: a flag, a configuration key, the content of a file.
class InputError : public Error {
 public:
  using Error::Error;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace dlcm

#define DLCM_CHECK(condition, ...)                                      \
  do {                                                                  \
    if (!(condition)) throw ::dlcm::Error(::dlcm::concat(__VA_ARGS__)); \
  } while (false)

#define DLCM_CHECK_INPUT(condition, ...)                                     \
  do {                                                                       \
    if (!(condition)) throw ::dlcm::InputError(::dlcm::concat(__VA_ARGS__)); \
  } while (false)
