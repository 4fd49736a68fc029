// What a model predicted, token by token, for study outside this program: HDF5 with
//   /tokens                int32 [T]
//   /cu_seqlens            int32 [documents + 1]: documents, or pieces of those longer than the context
//   /loss                  float32 [T], nats; NaN where nothing is to be predicted
//   /boundary_probability  float32 [T]; 0 of a transformer, which has no concepts
//   /boundary              uint8 [T], thresholded; 0 of a transformer
//   /logits                float32 [T, V]; only where asked for
// and the attributes format = "dlcm-evaluation", version = 1, checkpoint and data.
#pragma once

#include <string>
#include <vector>

#include "apps/evaluation/evaluate.h"
#include "data/hdf5_file.h"

namespace dlcm::apps {

enum class DumpLogits { no, yes };

struct DumpSources {
  std::string checkpoint;
  std::string data;
};

// Whether the existing file is a dump, of any version.
bool is_evaluation_dump(const std::string& path);

// Streams batches to a file that appears whole, with close(), or not at all.
class EvaluationDump {
 public:
  EvaluationDump(const std::string& path, const LanguageModel& model, DumpLogits logits,
                 const DumpSources& sources);
  // Throws Error where all batches together have more tokens than int32 offsets can tell.
  void add(const EvaluatedBatch& evaluated);
  void close();

 private:
  void add_boundaries(const ForwardOutput& output, int64_t tokens);
  void add_logits(const Tensor& hidden);

  const LanguageModel& model_;
  DumpLogits logits_;
  std::vector<int32_t> offsets_ = {0};
  data::Hdf5Writer writer_;
};

}  // namespace dlcm::apps
