#include "apps/common/cpu_features.h"
#include "apps/common/program.h"
#include "build_info.h"
#include "tensor/ops/matmul.h"

namespace dlcm::apps {

std::string version_text() {
  return "dlcm " DLCM_VERSION "\ncommit: " DLCM_COMMIT "\ncompiler: " DLCM_COMPILER ", " DLCM_BUILD
         "\nmatrix products: " +
         ops::matmul_engine() + "\nlibraries: " DLCM_LIBRARIES "\ncuda: " DLCM_CUDA_TEXT "\n" + cpu_text();
}

}  // namespace dlcm::apps
