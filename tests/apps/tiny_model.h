// A randomly initialised model of a few thousand parameters over bytes, as object and as a checkpoint on
// disk.
#pragma once

#include <memory>
#include <string>

#include "apps/common/config.h"
#include "dlcm/language_model.h"
#include "tests/data/temporary_folder.h"

namespace dlcm::test {

// Widths of 16 and 24; context 32.
apps::Config tiny_config(ModelKind kind);
// The unembedding, which starts at 0, and the boundary matrices, which start as the identity, are filled with
// random numbers, so that texts and concepts vary.
std::unique_ptr<LanguageModel> tiny_model(const apps::Config& config, uint64_t seed = 1);
// As train writes one.
void write_tiny_checkpoint(const std::string& path, const apps::Config& config, const LanguageModel& model);
// Documents of the bytes of each text, as tokenize writes them.
void write_tiny_shard(const std::string& path, const std::vector<std::string>& texts);

// A program of this build run by the shell with `arguments` (quoted for it).
struct ProgramRun {
  int code = -1;
  std::string output;
  std::string errors;
};
ProgramRun run_program(const std::string& name, const std::string& arguments, const std::string& input = "");
// CHECKs: this exit code, nothing on standard output and on standard error one line, with `part` in it.
void check_refused(const ProgramRun& run, int code, const std::string& part);

}  // namespace dlcm::test
