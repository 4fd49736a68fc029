// generate: text from a trained model.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>

#include "apps/common/command_line.h"
#include "apps/common/loaded_model.h"
#include "apps/common/program.h"
#include "apps/generation/generator.h"
#include "apps/generation/output.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Continues prompts with a trained model and prints the continuations as they are made.\n\n"
    "Several prompts run as one batch; each gets exactly the text that it would get alone. Without a prompt "
    "the\n"
    "model begins a document.";
constexpr char kExamples[] =
    "  generate --checkpoint runs/first --prompt \"Once upon a time\" --max-tokens 400\n"
    "  generate --checkpoint runs/first --prompt \"A \" --prompt \"The \" --temperature 0.7 --top-p 0.95 "
    "--seed 7\n"
    "  generate --checkpoint runs/first --prompt \"Alice was \" --show-concepts\n"
    "  head -c 500 book.txt | generate --checkpoint runs/first/checkpoints/step-00001000.h5 --prompt-file - "
    "--json\n\n"
    "--json prints an object a prompt: prompt, text, tokens (ids drawn, the end token too), "
    "log_probabilities (of\n"
    "each under the model, whatever the temperature), boundaries (whether each began a concept; empty of a "
    "transformer),\n"
    "prompt_tokens_per_second, tokens_per_second. Exit code: 0, 1 (the work failed), 2 (bad input).";

enum class OutputFormat { text, text_with_concepts, json };

struct CommandLine {
  std::string checkpoint;
  std::string tokenizer;
  std::optional<std::string> dtype;
  std::vector<std::string> prompts;
  GenerationOptions options;
  OutputFormat format = OutputFormat::text;
};

void add_sampling_options(CommandLineParser& parser, GenerationOptions& options) {
  SamplerConfig& sampler = options.sampler;
  parser.add_whole_number("--max-tokens", options.max_tokens, {}, "Tokens to make, at most, for each prompt");
  parser.add_number("--temperature", sampler.temperature, {},
                    "Divides the logits; 0: always the most likely token; 1: the model's own distribution");
  parser.add_whole_number("--top-k", sampler.top_k, {}, "Only the K most likely tokens; 0: all");
  parser.add_number("--top-p", sampler.top_p, {},
                    "Only the most likely tokens that have the share P together; 1: all");
  parser.add_number("--min-p", sampler.min_p, {},
                    "Only tokens at least P times as likely as the most likely; 0: all");
  parser.add_whole_number("--seed", sampler.seed, {}, "Of the random numbers");
}

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  std::string prompt_file;
  bool ignore_end = false;
  bool show_concepts = false;
  bool json = false;
  CommandLineParser parser("generate", kDescription, kExamples);
  add_checkpoint(parser, line.checkpoint);
  parser.add_input("--tokenizer", line.tokenizer, "FILE",
                   "The model's tokenizer.json; default: the copy in the run's folder");
  parser.add_texts("--prompt", line.prompts, "TEXT", "Text to continue; repeatable");
  parser.add_input("--prompt-file", prompt_file, "FILE", "A prompt: all of the file; - reads standard input");
  parser.add_text("--dtype", line.dtype, "f32|bf16",
                  "Of matrix products; default: the one the model was trained in");
  add_sampling_options(parser, line.options);
  parser.add_texts("--stop", line.options.stops, "TEXT", "Text ends before this; repeatable");
  parser.add_flag("--ignore-end", ignore_end, "Go on after the end token");
  parser.add_flag("--show-concepts", show_concepts,
                  "Mark concepts: colours on a terminal, | between them elsewhere");
  parser.add_flag("--json", json, "Print one JSON object a prompt, in order");
  if (const auto end = parser.read(argc, argv)) return end;
  require_one_standard_input({{"--checkpoint", line.checkpoint}, {"--prompt-file", prompt_file}});
  DLCM_CHECK_INPUT(line.tokenizer != "-", "--tokenizer '-': expected the path of a tokenizer.json");
  line.options.end_token = ignore_end ? EndToken::is_ignored : EndToken::stops;
  line.format = json            ? OutputFormat::json
                : show_concepts ? OutputFormat::text_with_concepts
                                : OutputFormat::text;
  check(line.options);
  if (!prompt_file.empty()) line.prompts.push_back(read_file_or_input(prompt_file));
  if (line.prompts.empty()) line.prompts.emplace_back();
  for (size_t i = 0; i < line.prompts.size(); ++i) require_utf8(line.prompts[i], concat("prompt ", i + 1));
  return std::nullopt;
}

void report_speed(const std::vector<Generation>& generations) {
  int64_t prompt_tokens = 0;
  int64_t tokens = 0;
  double prompt_seconds = 0;
  double seconds = 0;
  for (const Generation& generation : generations) {
    prompt_tokens += generation.prompt_tokens;
    prompt_seconds += generation.prompt_seconds;
    tokens += static_cast<int64_t>(generation.tokens.size());
    seconds = std::max(seconds, generation.seconds);
  }
  const auto rate = [](int64_t count, double time) {
    return time > 0 ? std::llround(static_cast<double>(count) / time) : 0;
  };
  std::cerr << "generate: " << prompt_tokens << " tokens of prompts (" << rate(prompt_tokens, prompt_seconds)
            << "/s), " << tokens << " made (" << rate(tokens, seconds) << "/s)\n";
}

void run_as_json(const LoadedModel& loaded, const data::Tokenizer& tokenizer, const CommandLine& line) {
  JsonOutput output(std::cout, line.prompts, loaded.config.model.kind);
  GenerationEvents events;
  events.finished = [&](size_t prompt, const Generation& generation) { output.finished(prompt, generation); };
  generate(*loaded.model, tokenizer, line.prompts, line.options, events);
}

void run_as_text(const LoadedModel& loaded, const data::Tokenizer& tokenizer, const CommandLine& line) {
  const bool marks = line.format == OutputFormat::text_with_concepts;
  TextOutput output(std::cout, line.prompts, marks ? concept_marks_for_output() : ConceptMarks::none,
                    control_characters_for_output());
  GenerationEvents events;
  events.text = [&](size_t prompt, const TextPiece& piece) { output.text(prompt, piece); };
  events.finished = [&](size_t prompt, const Generation&) { output.finished(prompt); };
  report_speed(generate(*loaded.model, tokenizer, line.prompts, line.options, events));
}

int generate_program(int argc, char** argv) {
  CommandLine line;
  if (const auto end = read_command_line(argc, argv, line)) return *end;
  const LoadedModel loaded = load_model(line.checkpoint);
  loaded.model->pack_operands(dtype_option(line.dtype, loaded.config.train.dtype));
  const auto tokenizer = tokenizer_of(loaded, line.tokenizer);
  if (line.format == OutputFormat::json) {
    run_as_json(loaded, *tokenizer, line);
  } else {
    run_as_text(loaded, *tokenizer, line);
  }
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("generate", [&] { return dlcm::apps::generate_program(argc, argv); });
}
