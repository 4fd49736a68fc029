// The report's numbers as tables and words.
#pragma once

#include <string>
#include <vector>

#include "apps/report/recorded_run.h"

namespace dlcm::apps {

// A column a run: its model, how far it is, its last evaluation by domain, its speed and memory.
std::string runs_table(const std::vector<RecordedRun>& runs);

// Whether tokens per concept differ between the run's domains, in plain text: where they are most and fewest
// at the last evaluation, and whether the evaluations before it agree. Empty where a comparison is not
// possible: a transformer, fewer than two domains, no evaluation.
std::string domain_comparison(const RecordedRun& run);

// Every held-out number of a run, a row an evaluation; of many evaluations some, evenly apart, and a note
// says so. Empty without.
std::string evaluations_table(const RecordedRun& run);

// `count` numbers, at most `most` of them, of [0, count), evenly apart, both ends among them.
std::vector<size_t> evenly_chosen(size_t count, size_t most);

}  // namespace dlcm::apps
