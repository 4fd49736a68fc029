// What is thrown where a computation has left the finite numbers.
#pragma once

#include "tensor/check.h"

namespace dlcm {

// Training has diverged or parameters are damaged: weights that lead here are not worth keeping, other than
// after any other Error.
class NotFiniteError : public Error {
 public:
  using Error::Error;
};

}  // namespace dlcm
