#include "options.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace cuda_emulation {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool enabled(const char* name) {
  const std::string value = environment(name);
  return !value.empty() && value != "0";
}

void read_order(Options& options) {
  const std::string order = environment("EMU_ORDER");
  if (order.empty() || order == "fwd") return;
  if (order == "rev") {
    options.order = Order::kReverse;
  } else if (order.starts_with("rand")) {
    options.order = Order::kRandom;
    options.seed = 1 + std::strtoull(order.c_str() + 4, nullptr, 10);
  } else {
    // A misspelt mode that runs as the default would look like a test that passed.
    throw std::invalid_argument("EMU_ORDER=" + order + ": fwd, rev or randN (rand1, rand2, ...) expected");
  }
}

Options read_options() {
  Options options;
  read_order(options);
  options.defer = enabled("EMU_DEFER");
  options.protect = enabled("EMU_PROTECT");
  options.relaxed = enabled("EMU_RELAXED");
  options.stats = enabled("EMU_STATS");
  return options;
}

}  // namespace

const Options& options() {
  static const Options value = read_options();
  return value;
}

}  // namespace cuda_emulation
