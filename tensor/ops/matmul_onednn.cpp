// Float32 matrix products by oneDNN. Its sgemm takes sizes as arguments, so no primitive is made for a new M.
#ifdef DLCM_ONEDNN
#ifdef _OPENMP
#include <omp.h>
#endif

#include <oneapi/dnnl/dnnl.hpp>

#include "tensor/ops/matmul.h"

namespace dlcm::cpu {
namespace {

// oneDNN takes as many threads as OpenMP offers where it is called.
class SingleThread {
 public:
#ifdef _OPENMP
  SingleThread() : before_(omp_get_max_threads()) {
    omp_set_num_threads(1);
  }
  ~SingleThread() {
    omp_set_num_threads(before_);
  }
#else
  SingleThread() = default;
#endif
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  [[maybe_unused]] int before_ = 1;
};

}  // namespace

void library_gemm(const Gemm<float>& g) {
  const SingleThread single_thread;
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
