// Float32 matrix products by oneDNN. Its sgemm takes sizes as arguments, so no primitive is made for a new M.
#ifdef DLCM_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

#include <omp.h>

#include "tensor/ops/matmul.h"

namespace dlcm::cpu {
namespace {

// oneDNN takes as many threads as OpenMP offers where it is called: one, as the products are shared already
// (tensor/ops/matmul.cpp), the same way on every machine.
void use_one_thread() {
  static thread_local bool told = false;
  if (told) return;
  omp_set_num_threads(1);
  told = true;
}

}  // namespace

void library_gemm(const Gemm<float>& g) {
  use_one_thread();
  const dnnl::status status =
      dnnl::sgemm(g.transpose_a ? 'T' : 'N', g.transpose_b ? 'T' : 'N', g.m, g.n, g.k, 1.0f, g.a, g.lda, g.b,
                  g.ldb, g.accumulate ? 1.0f : 0.0f, g.c, g.ldc);
  DLCM_CHECK(status == dnnl::status::success, "oneDNN sgemm failed with status ", static_cast<int>(status),
             " for ", g.m, " x ", g.n, " x ", g.k);
}

}  // namespace dlcm::cpu

std::string dlcm::ops::matmul_library() {
  const dnnl::version_t* version = dnnl::version();
  return concat("oneDNN ", version->major, ".", version->minor, ".", version->patch);
}
#endif
