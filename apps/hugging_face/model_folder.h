// Models in folders of Hugging Face's form (apps/hugging_face/names.h), read.
#pragma once

#include <string>

#include "apps/common/loaded_model.h"

namespace dlcm::apps {

// Whether `path` is a folder with a config.json. (A run's folder has config.toml and checkpoints/.)
bool is_model_folder(const std::string& path);

// Throws InputError that names the folder where `path` is a file of one, as model.safetensors: it alone is no
// model.
void refuse_file_of_folder(const std::string& path);

// Everything but the weights. Documents longer than max_position_embeddings, or kLongestContext where that is
// less, are cut (train.context). Throws InputError where the model is of another architecture, or asks for
// something that ours do not compute.
LoadedModel describe_model_folder(const std::string& folder);
inline constexpr int64_t kLongestContext = 8192;

// Its weights, as float32, one tensor at a time. Shapes are compared before anything is allocated. Throws
// InputError that names file and tensor where one is missing, unknown, of another shape or not finite, and
// where a tied model's file has an unembedding that is not the embedding.
void read_model_folder(const std::string& folder, LoadedModel& described);

}  // namespace dlcm::apps
