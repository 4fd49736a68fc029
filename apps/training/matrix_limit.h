// How fast this machine multiplies matrices: what the speed of a run is compared with.
#pragma once

#include "tensor/dtype.h"

namespace dlcm::apps {

// FLOPs per second of the fastest of a few square products with operands of `dtype`, f32 or bf16, by all
// threads. Takes less than a tenth of a second; `benchmark` measures more thoroughly.
double matrix_limit(DType dtype);

}  // namespace dlcm::apps
