#include "tensor/ops/matmul.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "apps/benchmark/benchmarks.h"
#include "apps/benchmark/onednn_product.h"
#include "apps/benchmark/random_input.h"
#include "apps/benchmark/rates.h"
#include "dlcm/cost.h"

namespace dlcm::apps {
namespace {

using ops::Transpose;

// C [m, n] = op(A) op(B) over k.
struct Product {
  std::string use;
  int64_t m, k, n;
  Transpose transpose_a, transpose_b;
};

// Rows x in x out of every matrix that a token or concept meets, each once, named after the first one.
std::vector<Product> model_products(const Config& config) {
  const std::unique_ptr<LanguageModel> model = make_model(config.model);
  std::vector<std::tuple<int64_t, int64_t, int64_t>> seen;
  std::vector<Product> products;
  const double tokens_per_concept = expected_tokens_per_concept(config.model.boundary);
  for (const nn::Parameter* parameter : model->parameters()) {
    const nn::RoleKind kind = parameter->role().kind;
    if (kind == nn::RoleKind::embedding || kind == nn::RoleKind::vector) continue;
    const double share = rows_per_token(parameter->path(), tokens_per_concept);
    const int64_t rows =
        std::max<int64_t>(1, std::llround(share * static_cast<double>(config.train.micro_tokens)));
    const int64_t out = parameter->shape()[0];
    const int64_t in = parameter->shape()[1];
    if (std::find(seen.begin(), seen.end(), std::tuple(rows, in, out)) != seen.end()) continue;
    seen.emplace_back(rows, in, out);
    const std::string& name = parameter->path();
    products.push_back({name, rows, in, out, Transpose::no, Transpose::yes});
    products.push_back({name + ", input's gradient", rows, out, in, Transpose::no, Transpose::no});
    products.push_back({name + ", weight's gradient", out, rows, in, Transpose::yes, Transpose::no});
  }
  return products;
}

void add_squares(int64_t largest, std::vector<Product>& products) {
  for (int64_t size = 128; size <= largest; size *= 2) {
    products.push_back({"square", size, size, size, Transpose::no, Transpose::no});
  }
}

// A step of few streams multiplies few rows: the widest matrices of the model.
void add_decoding(const ModelConfig& config, std::vector<Product>& products) {
  const std::vector<StackConfig> stacks =
      config.kind == ModelKind::dlcm ? std::vector{config.token, config.backbone} : std::vector{config.token};
  for (const StackConfig& stack : stacks) {
    for (const int64_t rows : {1, 4, 16}) {
      products.push_back({"decoding", rows, stack.width, stack.ff, Transpose::no, Transpose::yes});
    }
  }
}

std::vector<Value> measured_row(const Product& product, const BenchmarkOptions& options,
                                const MachineLimits& limits) {
  const bool ta = product.transpose_a == Transpose::yes;
  const bool tb = product.transpose_b == Transpose::yes;
  const DType dtype = options.config.train.dtype;
  const Tensor a = random_tensor(ta ? Shape{product.k, product.m} : Shape{product.m, product.k}, 1).to(dtype);
  const Tensor b = random_tensor(tb ? Shape{product.n, product.k} : Shape{product.k, product.n}, 2).to(dtype);
  const Tensor c = Tensor::empty({product.m, product.n});
  const Timing own = measure(
      options.seconds, [&] { ops::matmul_into(a, product.transpose_a, b, product.transpose_b, c, false); });
  const std::function<void()> alternative = onednn_product(a, ta, b, tb, c);
  const double flops =
      2.0 * static_cast<double>(product.m) * static_cast<double>(product.k) * static_cast<double>(product.n);
  const auto bytes = static_cast<double>(a.bytes() + b.bytes() + c.bytes());
  const std::string form = ta ? "A^T B" : tb ? "A B^T" : "A B";
  std::vector<Value> row = {product.use, product.m, product.k, product.n, form};
  append_rates(row, own, flops, bytes, limits);
  if (alternative) {
    const Timing other = measure(options.seconds, alternative);
    row.insert(row.end(),
               {1e3 * other.median, ratio(flops, other.median * 1e9), ratio(other.median, own.median)});
  } else {
    row.insert(row.end(), {Value(), Value(), Value()});
  }
  return row;
}

Table empty_table() {
  Table table = {"products",
                 "Matrix products C [m, n] = A B over k",
                 {{"use", "use"},
                  {"m", "m", Unit::count},
                  {"k", "k", Unit::count},
                  {"n", "n", Unit::count},
                  {"product", "form"}},
                 {}};
  append_rate_columns(table.columns);
  table.columns.insert(table.columns.end(), {{"alternative_ms", "alternative ms", Unit::number},
                                             {"alternative_gflops", "GFLOP/s", Unit::number},
                                             {"speedup", "alternative/ours", Unit::number}});
  return table;
}

}  // namespace

void benchmark_matmul(const BenchmarkOptions& options, Report& report) {
  const MachineLimits limits = measure_limits(std::min(1.0, 2 * options.seconds), options.config.train.dtype);
  report.groups.push_back(machine_facts(limits));
  report.facts.push_back({"alternative", "alternative", onednn_name()});
  std::vector<Product> products = model_products(options.config);
  add_squares(limits.largest_product, products);
  add_decoding(options.config.model, products);
  Table table = empty_table();
  for (const Product& product : products) {
    table.rows.push_back(measured_row(product, options, limits));
  }
  report.tables.push_back(std::move(table));
}

}  // namespace dlcm::apps
