#include "apps/training/dry_run.h"

#include <cstdio>

#include "apps/common/program.h"
#include "apps/training/memory.h"
#include "dlcm/cost.h"

namespace dlcm::apps {
namespace {

constexpr double kFloatBytes = 4;
constexpr double kOperandBytes = 2;

// 2341234567 as "2.34 B", with unit prefixes in steps of 1000.
std::string scaled(double value, const char* unit) {
  constexpr const char* kPrefixes[] = {"", " k", " M", " G", " T", " P", " E"};
  size_t prefix = 0;
  while (value >= 999.5 && prefix + 1 < std::size(kPrefixes)) {
    value /= 1000;
    ++prefix;
  }
  char text[64];
  std::snprintf(text, sizeof(text), prefix == 0 ? "%.0f%s%s%s" : "%.3g%s%s%s", value, kPrefixes[prefix],
                prefix == 0 && *unit ? " " : "", unit);
  return text;
}

std::string parameters_text(int64_t count) {
  char text[64];
  if (count >= 1'000'000'000'000) {
    std::snprintf(text, sizeof(text), "%.2f T", static_cast<double>(count) * 1e-12);
  } else if (count >= 1'000'000'000) {
    std::snprintf(text, sizeof(text), "%.2f B", static_cast<double>(count) * 1e-9);
  } else if (count >= 1'000'000) {
    std::snprintf(text, sizeof(text), "%.2f M", static_cast<double>(count) * 1e-6);
  } else {
    std::snprintf(text, sizeof(text), "%lld", static_cast<long long>(count));
  }
  return text;
}

std::string row(const std::string& name, const std::vector<std::string>& cells) {
  char text[64];
  std::snprintf(text, sizeof(text), "%-18s", name.c_str());
  std::string line = text;
  for (const std::string& cell : cells) {
    std::snprintf(text, sizeof(text), "%15s", cell.c_str());
    line += text;
  }
  return line + "\n";
}

std::string bytes_text(double bytes) {
  return scaled(bytes, "B");
}

std::string parts_table(const ModelCost& cost, double micro_tokens) {
  std::string text =
      row("part", {"parameters", "exact", "weights", "training", "activations", "FLOPs/token"});
  const auto line = [&](const std::string& name, const auto& counted, const TokenFlops& flops) {
    const double weights = kFloatBytes * static_cast<double>(counted.parameters);
    // Weight, gradient and two moments of each parameter, and the rounded copies.
    const double training = 4 * weights + kOperandBytes * static_cast<double>(counted.operands);
    return row(name,
               {parameters_text(counted.parameters), std::to_string(counted.parameters), bytes_text(weights),
                bytes_text(training), bytes_text(counted.activation_bytes_per_token * micro_tokens),
                scaled(flops.total(), "")});
  };
  for (const PartCost& part : cost.parts) text += line(part.name, part, part.flops);
  return text + line("total", cost, cost.forward);
}

std::string flops_table(const ModelCost& cost, int64_t context) {
  std::string text = "\nforward FLOPs per token, documents of " + std::to_string(context) + " tokens\n";
  text += row("matrices", {scaled(cost.forward.matrices, "")});
  text += row("self-attention", {scaled(cost.forward.self_attention, "")});
  text += row("cross-attention", {scaled(cost.forward.cross_attention, "")});
  text += row("logits", {scaled(cost.forward.logits, "")});
  return text + row("total", {scaled(cost.forward.total(), "")});
}

std::string training_table(const ModelCost& cost, const Config& config) {
  const TrainConfig& train = config.train;
  const double per_token = training_flops_per_token(cost, train.recompute);
  const double per_step = per_token * static_cast<double>(train.batch_tokens);
  const TrainingMemory memory = training_memory(cost, train);
  std::string text = "\ntraining\n";
  text += row("FLOPs per token", {scaled(per_token, "")});
  text += row("FLOPs per step", {scaled(per_step, "")});
  text += row("FLOPs of the run", {scaled(per_step * static_cast<double>(config.schedule.steps), "")});
  text += row("bytes needed", {bytes_text(memory.peak())});
  text += "(weights, gradients and moments " + bytes_text(memory.parameters) + ", activations of " +
          std::to_string(largest_micro_batch(train)) + " tokens about " + bytes_text(memory.activations);
  if (memory.never_together > 0) {
    text += "; less " + bytes_text(memory.never_together) + ": gradients come while activations go";
  }
  return text + ")\n";
}

std::string number_text(double value) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.2f", value);
  return text;
}

std::string data_table(const data::Loader& loader, const Config& config, const std::string& folder) {
  const auto tokens = static_cast<double>(loader.tokens());
  const double steps = tokens / static_cast<double>(config.train.batch_tokens);
  std::string text = "\ndata: the shards of " + folder + "\n";
  text += row("vocabulary", {std::to_string(loader.vocab_size())});
  text += row("documents", {std::to_string(loader.documents())});
  text += row("tokens per epoch", {std::to_string(loader.tokens())});
  text += row("steps per epoch", {number_text(steps)});
  return text + row("epochs of the run", {number_text(static_cast<double>(config.schedule.steps) / steps)});
}

}  // namespace

void run_dry(std::ostream& out, const TrainArguments& arguments) {
  const RunInput input = open_run_input(arguments);
  for (const std::string& note : input.notes) print_error("train", note);
  const Config& config = input.config;
  const std::unique_ptr<LanguageModel> model = make_model(config.model);
  const ModelCost cost = cost_of(*model, config.train.context, config.train.recompute, config.train.dtype);
  out << parts_table(cost, static_cast<double>(largest_micro_batch(config.train)))
      << flops_table(cost, config.train.context) << training_table(cost, config);
  if (input.loader) out << data_table(*input.loader, config, arguments.data_folder);
}

}  // namespace dlcm::apps
