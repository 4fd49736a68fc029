#include "apps/benchmark/machine.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

#include "apps/benchmark/random_input.h"
#include "apps/benchmark/timing.h"
#include "build_info.h"
#include "tensor/ops/matmul.h"
#include "tensor/parallel.h"
#include "tensor/vector_math.h"

namespace dlcm::apps {
namespace {

constexpr int64_t kElementsPerRange = 65536;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

// Several times the largest cache, within reason and as far as the time allows.
int64_t array_bytes(double seconds) {
  constexpr int64_t kLeast = int64_t{16} << 20;
  constexpr int64_t kUsual = int64_t{128} << 20;
  constexpr int64_t kMost = int64_t{1} << 30;
  constexpr double kBytesPerSecond = 4e9;  // at which it is filled, read and copied several times
  const int64_t wanted =
      std::clamp<int64_t>(4 * static_cast<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE)), kUsual, kMost);
  return std::max(kLeast, std::min(wanted, static_cast<int64_t>(seconds * kBytesPerSecond)));
}

// Products of growing size, as long as the next one still fits the time.
void measure_matrices(double seconds, DType dtype, MachineLimits& limits) {
  constexpr int64_t kSmallest = 128;
  constexpr int64_t kLargest = 2048;
  for (int64_t size = kSmallest; size <= kLargest; size *= 2) {
    const Tensor a = random_tensor({size, size}, 1).to(dtype);
    const Tensor b = random_tensor({size, size}, 2).to(dtype);
    const Tensor c = Tensor::empty({size, size});
    const Timing timing = measure(
        seconds / 5, [&] { ops::matmul_into(a, ops::Transpose::no, b, ops::Transpose::no, c, false); });
    const auto n = static_cast<double>(size);
    const double flops = 2 * n * n * n / timing.smallest;
    limits.largest_product = size;
    if (flops > limits.flops) {
      limits.flops = flops;
      limits.fastest_product = size;
    }
    if (8 * timing.median > seconds) break;
  }
}

void measure_memory(double seconds, MachineLimits& limits) {
  const MemoryReader reader(seconds);
  limits.read_bytes = reader.bytes_per_second(seconds / 2);
  const Tensor& array = reader.array();
  float* data = array.data<float>();
  const int64_t half = array.numel() / 2;
  limits.copy_bytes = static_cast<double>(array.bytes()) /
                      measure(seconds / 2, [&] {
                        parallel_for(half, kElementsPerRange, [&](int64_t begin, int64_t end) {
                          std::copy(data + begin, data + end, data + half + begin);
                        });
                      }).smallest;
}

// The sum of squares, of whole pages: the processor itself fetches nothing beyond the end of one.
float sum_of_pages(const float* data, int64_t elements) {
  constexpr int64_t kPage = 4096 / sizeof(float), kLine = 64 / sizeof(float);
  float sum = 0;
  for (int64_t page = 0; page < elements; page += kPage) {
    for (int64_t line = 0; line < kPage; line += kLine) __builtin_prefetch(data + page + kPage + line);
    sum += dot_of(data + page, data + page, std::min(kPage, elements - page));
  }
  return sum;
}

}  // namespace

MemoryReader::MemoryReader(double seconds)
    : array_(Tensor::empty({array_bytes(seconds) / static_cast<int64_t>(sizeof(float))})) {
  parallel_for(array_.numel(), kElementsPerRange, [this](int64_t begin, int64_t end) {
    std::fill(array_.data<float>() + begin, array_.data<float>() + end, 1.0f);
  });
}

double MemoryReader::bytes_per_second(double seconds) const {
  const float* data = array_.data<float>();
  const Tensor sums = Tensor::zeros({array_.numel() / kElementsPerRange + 1});
  const Timing timing = measure(seconds, [&] {
    parallel_for(array_.numel(), kElementsPerRange, [&](int64_t begin, int64_t end) {
      sums.data<float>()[begin / kElementsPerRange] = sum_of_pages(data + begin, end - begin);
    });
  });
  return static_cast<double>(array_.bytes()) / timing.smallest;
}

MachineLimits measure_limits(double seconds, DType dtype) {
  MachineLimits limits;
  measure_matrices(seconds, dtype, limits);
  measure_memory(seconds, limits);
  return limits;
}

int64_t largest_resident_bytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

FactGroup machine_facts(const MachineLimits& limits) {
  return {"machine",
          "Machine",
          {{"cpu", "CPU", cpu_model()},
           {"threads", "threads", int64_t{thread_count()}},
           {"matrix_engine", "matrix products", ops::matmul_engine()},
           {"version", "version", "dlcm " DLCM_VERSION ", commit " DLCM_COMMIT},
           {"build", "build", DLCM_COMPILER ", " DLCM_BUILD},
           {"matrix_gflops", "matrix limit, GFLOP/s", limits.flops * 1e-9, Unit::number},
           {"matrix_size", "  by a square product of", limits.fastest_product, Unit::count},
           {"read_gb_per_s", "memory limit, reading, GB/s", limits.read_bytes * 1e-9, Unit::number},
           {"copy_gb_per_s", "memory limit, copying, GB/s", limits.copy_bytes * 1e-9, Unit::number}}};
}

}  // namespace dlcm::apps
