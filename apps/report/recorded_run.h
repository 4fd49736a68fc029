// A run as its folder records it: what a report is made of.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/common/config.h"
#include "apps/report/curve.h"

namespace dlcm::apps {

// A line of samples.jsonl (apps/training/samples.h).
struct RecordedSample {
  int64_t step = 0;
  std::string domain;
  // Equally many.
  std::vector<std::string> concepts;
  std::vector<int64_t> tokens;
  std::vector<double> p;
};

// "FIELD/DOMAIN": the field of one domain.
std::string of_domain(const std::string& field, const std::string& domain);

struct RecordedRun {
  std::string name;
  std::string folder;
  std::optional<Config> config;          // nothing where there is no config.toml
  int64_t parameters = 0;                // 0: not known
  bool has_concepts = false;             // whether it is no transformer
  std::map<std::string, Curve> metrics;  // each field of metrics.jsonl by step; null is a gap
  std::vector<RecordedSample> samples;
  int64_t last_step = 0;  // 0: none was made yet

  // Empty where there is no such field.
  const Curve& metric(const std::string& field) const;
  // The last number of the field, NaN where it has none.
  double last(const std::string& field) const;
  // Of the fields "heldout_.../NAME".
  std::vector<std::string> domains() const;
};

// "NAME=RUN_DIR" or "RUN_DIR", which is named after its folder; an existing folder is never parted at its
// "=". A run may be under way: a last line that is cut in the middle is left out. Fields about concepts of a
// model that has none, which are 0, are left out. Throws InputError naming file and line where there is no
// run, or a line is none that train writes.
RecordedRun read_run(const std::string& argument);

// Runs with names of their own: equal ones are told apart by their folders. Throws InputError where a folder
// is given twice, or two names are equal all the same.
std::vector<RecordedRun> read_runs(const std::vector<std::string>& arguments);

}  // namespace dlcm::apps
