// samples.jsonl: how the model parts held-out text into concepts, at each evaluation; boundaries thresholded.
// A line a domain:
//   {"step": 200, "domain": "code", "concepts": ["def ", "main"], "tokens": [3, 1], "p": [1.0, 0.8125]}
// concepts: their texts, joined the whole sample; tokens: how many each has; p: of each one's first token, to
// four digits. The domain is "" where the shards lie in no folders of domains.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/training/append_file.h"
#include "apps/training/metrics.h"
#include "data/heldout.h"
#include "dlcm/language_model.h"

namespace dlcm::apps {

// The beginning of a held-out document: the same text throughout a run, so that steps can be compared.
struct HeldoutSample {
  std::string domain;
  std::vector<int32_t> tokens;     // with the begin token
  std::vector<std::string> texts;  // what each stands for
};

struct HeldoutSamples {
  std::vector<HeldoutSample> samples;
  std::string missing;  // why there are none; empty where there are
};

// A sample of each domain that has text: whole tokens and whole characters of at most 300 bytes, at most
// `context` tokens. Training needs no tokenizer, so that one that is not in `tokenizer_places`
// (find_tokenizer), or is damaged there, is no error.
HeldoutSamples heldout_samples(const data::HeldoutReader& reader,
                               const std::vector<std::string>& tokenizer_places, int64_t context);

class SampleLog {
 public:
  // Opens for appending, without the lines of steps after `last_step` (without_later_lines).
  SampleLog(const std::string& path, int64_t last_step) : file_(without_later_lines(path, last_step)) {}

  // A line for each sample, by a model that is no transformer. What the disk does not take waits, as with
  // metrics.jsonl.
  void write(int64_t step, const LanguageModel& model, const std::vector<HeldoutSample>& samples);
  void retry() { file_.retry(); }
  const std::string& failure() const { return file_.failure(); }

 private:
  AppendFile file_;
};

}  // namespace dlcm::apps
