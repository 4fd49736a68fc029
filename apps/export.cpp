// export: a trained model as a folder that other programs read.
#include "apps/hugging_face/export.h"

#include <iostream>
#include <optional>

#include "apps/common/command_line.h"
#include "apps/common/loaded_model.h"
#include "apps/common/program.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Writes a model as a folder of Hugging Face's form: config.json, model.safetensors, tokenizer.json,\n"
    "tokenizer_config.json, generation_config.json.\n\n"
    "A transformer becomes a Qwen3ForCausalLM that transformers loads, with the same logits; a DLCM keeps "
    "the "
    "names of\nits parameters, with its configuration beside them.";
constexpr char kExamples[] =
    "  export --checkpoint runs/first --output exported/first\n"
    "  export --checkpoint runs/first/checkpoints/step-00001000.h5 --dtype bf16 --output exported/first "
    "--overwrite\n"
    "  generate --checkpoint exported/first --prompt \"Once upon a time\"\n\n"
    "The folder appears whole or not at all. Exit code: 0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  std::string checkpoint;
  std::optional<std::string> dtype;
  bool overwrite = false;
  ExportOptions options;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CommandLineParser parser("export", kDescription, kExamples);
  add_checkpoint(parser, line.checkpoint);
  parser.add_output("--output", line.options.output, "DIR", "The folder to write", Presence::required);
  parser.add_text("--dtype", line.dtype, "f32|bf16", "Of the weights; default: f32, their own");
  parser.add_input("--tokenizer", line.options.tokenizer, "FILE",
                   "The model's tokenizer.json; default: the copy in the run's folder");
  parser.add_flag("--overwrite", line.overwrite, "Replace an earlier export");
  if (const auto end = parser.read(argc, argv)) return end;
  DLCM_CHECK_INPUT(line.options.tokenizer != "-", "--tokenizer '-': expected the path of a tokenizer.json");
  line.options.dtype = dtype_option(line.dtype, DType::f32);
  line.options.overwrite = line.overwrite ? Overwrite::yes : Overwrite::no;
  return std::nullopt;
}

int export_program(int argc, char** argv) {
  CommandLine line;
  if (const auto end = read_command_line(argc, argv, line)) return *end;
  require_exportable(line.options);
  const LoadedModel loaded = load_model(line.checkpoint);
  for (const std::string& note : export_model(loaded, line.options)) print_error("export", note);
  std::cerr << "export: wrote " << line.options.output << "\n";
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("export", [&] { return dlcm::apps::export_program(argc, argv); });
}
