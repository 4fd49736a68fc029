// A model as a folder of Hugging Face's form (apps/hugging_face/names.h).
#pragma once

#include <string>
#include <vector>

#include "apps/common/loaded_model.h"

namespace dlcm::apps {

enum class Overwrite { no, yes };

struct ExportOptions {
  std::string output;
  DType dtype = DType::f32;  // of the weights: f32 or bf16
  Overwrite overwrite = Overwrite::no;
  std::string tokenizer;  // the model's tokenizer.json where it is not beside the checkpoint; empty: there
};

// Throws InputError where the folder is a file, or holds something: without Overwrite::yes anything, with it
// something that no export has written.
void require_exportable(const ExportOptions& options);

// Writes the folder, whole or not at all, and returns notes for the user. A transformer becomes a
// Qwen3ForCausalLM of the same logits: muP's multiplier of the logits goes into the unembedding, which a tied
// model then gets of its own. A DLCM keeps its parameters' names, and load_model reads it back. Texts begin
// and end as the model's do.
std::vector<std::string> export_model(const LoadedModel& loaded, const ExportOptions& options);

}  // namespace dlcm::apps
