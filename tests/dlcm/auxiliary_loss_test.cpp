#include "dlcm/auxiliary_loss.h"

#include <cmath>

#include <doctest/doctest.h>

#include "tensor/random.h"

namespace dlcm {
namespace {

// A document's p and b; the first p is 1 and its b is 1, as the predictor makes them.
struct Document {
  std::vector<double> p;
  std::vector<uint8_t> b;
};

Document random_document(int64_t length, uint64_t seed) {
  Document document;
  for (int64_t t = 0; t < length; ++t) {
    const double p = t == 0 ? 1.0 : random_uniform(seed, RandomStream::tests, 0, static_cast<uint64_t>(t));
    const double u = random_uniform(seed, RandomStream::tests, 1, static_cast<uint64_t>(t));
    document.p.push_back(p);
    document.b.push_back(t == 0 || u < p ? 1 : 0);
  }
  return document;
}

struct Batch {
  Tensor p, b, cu_seqlens;
};

Batch packed(const std::vector<Document>& documents) {
  std::vector<double> p;
  std::vector<uint8_t> b;
  std::vector<int32_t> offsets = {0};
  for (const Document& document : documents) {
    p.insert(p.end(), document.p.begin(), document.p.end());
    b.insert(b.end(), document.b.begin(), document.b.end());
    offsets.push_back(static_cast<int32_t>(p.size()));
  }
  return {Tensor::from(p), Tensor::from(b), Tensor::from(offsets)};
}

struct Counts {
  double p = 0, b = 0, n = 0;
  double f() const { return b / n; }
  double g() const { return p / n; }
};

Counts counted(const std::vector<Document>& documents) {
  Counts counts;
  for (const Document& document : documents) {
    for (size_t t = 1; t < document.p.size(); ++t) {
      counts.p += document.p[t];
      counts.b += document.b[t];
      ++counts.n;
    }
  }
  return counts;
}

// Eq. 10.
double equation_10(double r, double f, double g) {
  return r / (r - 1) * ((r - 1) * f * g + (1 - f) * (1 - g)) - 1;
}

BoundaryConfig config_of(Scope scope, Predictor predictor = Predictor::decoupled) {
  BoundaryConfig config;
  config.scope = scope;
  config.predictor = predictor;
  config.tokens_per_concept = 3.0;
  config.weight = 0.2;
  return config;
}

StepTotals totals_of(const std::vector<std::vector<Document>>& batches) {
  StepTotals totals;
  for (const std::vector<Document>& batch : batches) {
    for (const Document& document : batch) {
      const auto length = static_cast<int64_t>(document.p.size());
      totals.counted_tokens += std::max<int64_t>(0, length - 1);
      totals.documents += length > 1 ? 1 : 0;
    }
    ++totals.micro_batches;
  }
  return totals;
}

// Two micro-batches, with documents of one token.
std::vector<std::vector<Document>> two_batches() {
  return {{random_document(9, 1), random_document(1, 2), random_document(4, 3)}, {random_document(12, 5)}};
}

std::vector<Document> all_documents(const std::vector<std::vector<Document>>& batches) {
  std::vector<Document> all;
  for (const std::vector<Document>& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

std::vector<double> weights_of(AuxiliaryLoss& loss, const std::vector<Document>& documents) {
  const Batch batch = packed(documents);
  const Tensor weights = loss.add(batch.p, batch.b, batch.cu_seqlens);
  CHECK(weights.dtype() == DType::f64);
  CHECK(weights.shape() == batch.p.shape());
  return weights.to_vector<double>();
}

TEST_CASE("F, G and tokens per concept count every token but the documents' first") {
  const auto batches = two_batches();
  for (const Scope scope : {Scope::sequence, Scope::batch, Scope::global}) {
    AuxiliaryLoss loss(config_of(scope), totals_of(batches));
    for (const auto& batch : batches) weights_of(loss, batch);
    const Counts counts = counted(all_documents(batches));
    CHECK(counts.n == 8 + 3 + 11);
    CHECK(loss.boundary_rate() == doctest::Approx(counts.f()).epsilon(1e-12));
    CHECK(loss.boundary_mean() == doctest::Approx(counts.g()).epsilon(1e-12));
    CHECK(loss.tokens_per_concept() == doctest::Approx(26 / (counts.b + 4)));  // 4 documents
  }
  AuxiliaryLoss loss(config_of(Scope::global), totals_of(batches));
  CHECK_THROWS_AS(weights_of(loss, {random_document(3, 4), random_document(0, 4)}), Error);
}

TEST_CASE("the value is Eq. 10 over the scope") {
  const auto batches = two_batches();
  const auto value = [&](Scope scope) {
    AuxiliaryLoss loss(config_of(scope), totals_of(batches));
    for (const auto& batch : batches) weights_of(loss, batch);
    return loss.value();
  };
  const auto of = [](const std::vector<Document>& documents) {
    const Counts counts = counted(documents);
    return equation_10(3.0, counts.f(), counts.g());
  };
  CHECK(value(Scope::global) == doctest::Approx(of(all_documents(batches))).epsilon(1e-12));
  CHECK(value(Scope::batch) == doctest::Approx((of(batches[0]) + of(batches[1])) / 2).epsilon(1e-12));
  const double documents = of({batches[0][0]}) + of({batches[0][2]}) + of({batches[1][0]});
  CHECK(value(Scope::sequence) == doctest::Approx(documents / 3).epsilon(1e-12));
}

// lambda dL/dp with F constant, by differences of Eq. 10.
TEST_CASE("the weights are the gradient of the loss with F constant") {
  const auto batches = two_batches();
  const std::vector<Document> first = batches[0];
  const auto slope = [](const Counts& counts) {  // lambda dL/dG / n
    const double step = 0.5;                     // Eq. 10 is linear in G
    const double rise =
        equation_10(3.0, counts.f(), counts.g() + step) - equation_10(3.0, counts.f(), counts.g());
    return 0.2 * rise / step / counts.n;
  };
  {
    AuxiliaryLoss loss(config_of(Scope::sequence), totals_of(batches));
    const std::vector<double> weights = weights_of(loss, first);
    CHECK(weights[1] == doctest::Approx(slope(counted({first[0]})) / 3).epsilon(1e-12));
    CHECK(weights[11] == doctest::Approx(slope(counted({first[2]})) / 3).epsilon(1e-12));
    CHECK(loss.deferred_factor() == 1.0);
  }
  {
    AuxiliaryLoss loss(config_of(Scope::batch), totals_of(batches));
    const std::vector<double> weights = weights_of(loss, first);
    CHECK(weights[5] == doctest::Approx(slope(counted(first)) / 2).epsilon(1e-12));
    CHECK(loss.deferred_factor() == 1.0);
  }
  {
    AuxiliaryLoss loss(config_of(Scope::global), totals_of(batches));
    const std::vector<double> weights = weights_of(loss, first);
    CHECK(weights[5] == 1.0);  // F of the step is not known yet
    weights_of(loss, batches[1]);
    CHECK(loss.deferred_factor() == doctest::Approx(slope(counted(all_documents(batches)))).epsilon(1e-12));
  }
  for (const Scope scope : {Scope::sequence, Scope::batch, Scope::global}) {
    AuxiliaryLoss loss(config_of(scope), totals_of(batches));
    const std::vector<double> weights = weights_of(loss, first);
    for (const size_t document_first : {0, 9, 10}) CHECK(weights[document_first] == 0);
  }
}

TEST_CASE("learned with scope global weighs with the counts of the step so far") {
  auto batches = two_batches();
  for (Document& document : batches[1]) document.b.assign(document.b.size(), 1);
  REQUIRE(counted(batches[0]).f() != counted(batches[1]).f());
  AuxiliaryLoss loss(config_of(Scope::global, Predictor::learned), totals_of(batches));
  const auto weight = [](double f) { return 0.2 * 1.5 * (3 * f - 1) / 22; };
  CHECK(weights_of(loss, batches[0])[1] == doctest::Approx(weight(counted(batches[0]).f())).epsilon(1e-12));
  CHECK(weights_of(loss, batches[1])[1] ==
        doctest::Approx(weight(counted(all_documents(batches)).f())).epsilon(1e-12));
  CHECK(loss.deferred_factor() == 1.0);
}

TEST_CASE("at F = 1/R the loss is 0 and has no gradient, whatever G is") {
  for (const double p : {0.1, 0.5, 0.9}) {
    Document document = {std::vector<double>(10, p), std::vector<uint8_t>(10, 0)};
    document.b[0] = document.b[2] = document.b[3] = document.b[7] = 1;  // 3 of the 9 that count
    AuxiliaryLoss loss(config_of(Scope::sequence), totals_of({{document}}));
    for (const double weight : weights_of(loss, {document})) CHECK(std::abs(weight) < 1e-15);
    CHECK(std::abs(loss.value()) < 1e-15);
  }
}

TEST_CASE("a step without a counted token is 0, not NaN") {
  const std::vector<Document> documents = {random_document(1, 1), random_document(1, 2)};
  for (const Predictor predictor : {Predictor::decoupled, Predictor::learned}) {
    for (const Scope scope : {Scope::sequence, Scope::batch, Scope::global}) {
      AuxiliaryLoss loss(config_of(scope, predictor), totals_of({documents}));
      for (const double weight : weights_of(loss, documents)) CHECK(weight == 0);
      CHECK(loss.value() == 0);
      CHECK(loss.boundary_rate() == 0);
      CHECK(loss.boundary_mean() == 0);
      CHECK(loss.tokens_per_concept() == 1);
      CHECK(std::isfinite(loss.deferred_factor()));
    }
  }
}

}  // namespace
}  // namespace dlcm
