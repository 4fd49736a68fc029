#include "apps/benchmark/onednn_product.h"

#ifdef DLCM_ONEDNN
#include <oneapi/dnnl/dnnl.hpp>

#include <omp.h>

#include "tensor/parallel.h"

namespace dlcm::apps {
namespace {

// op(x) [rows, columns] of a row-major tensor.
dnnl::memory::desc description(const Tensor& x, bool transposed) {
  const dnnl::memory::dims sizes = {x.size(transposed ? 1 : 0), x.size(transposed ? 0 : 1)};
  const auto type = x.dtype() == DType::bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
  return {sizes, type, transposed ? dnnl::memory::format_tag::ba : dnnl::memory::format_tag::ab};
}

}  // namespace

std::string onednn_name() {
  const dnnl::version_t* version = dnnl::version();
  return concat("oneDNN ", version->major, ".", version->minor, ".", version->patch);
}

std::function<void()> onednn_product(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                                     const Tensor& c) {
  omp_set_num_threads(thread_count());
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  const dnnl::stream stream(engine);
  const dnnl::memory::desc first = description(a, transpose_a), second = description(b, transpose_b),
                           result = description(c, false);
  const dnnl::matmul product(dnnl::matmul::primitive_desc(dnnl::matmul::desc(first, second, result), engine));
  const std::unordered_map<int, dnnl::memory> arguments = {
      {DNNL_ARG_SRC, dnnl::memory(first, engine, a.raw_data())},
      {DNNL_ARG_WEIGHTS, dnnl::memory(second, engine, b.raw_data())},
      {DNNL_ARG_DST, dnnl::memory(result, engine, c.raw_data())}};
  return [product, arguments, stream] {
    dnnl::stream own = stream;
    product.execute(own, arguments);
    own.wait();
  };
}

}  // namespace dlcm::apps

#else
namespace dlcm::apps {

std::string onednn_name() {
  return "none";
}

std::function<void()> onednn_product(const Tensor&, bool, const Tensor&, bool, const Tensor&) {
  return {};
}

}  // namespace dlcm::apps
#endif
