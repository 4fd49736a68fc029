// bug_corpus list | bug_corpus NAME planted|fixed | bug_corpus all fixed
#include <cstring>
#include <exception>

#include "corpus.h"

namespace {

std::vector<corpus::Case> all_cases() {
  std::vector<corpus::Case> all;
  for (const auto* cases : {&corpus::reduction_cases(), &corpus::attention_cases(), &corpus::memory_cases(),
                            &corpus::thread_cases(), &corpus::host_cases()}) {
    all.insert(all.end(), cases->begin(), cases->end());
  }
  return all;
}

int run(const std::string& name, bool planted) {
  bool found = false;
  for (const corpus::Case& bug : all_cases()) {
    if (name != bug.name && name != "all") continue;
    found = true;
    try {
      bug.run(planted);
    } catch (const std::exception& error) {
      std::printf("%s: %s\n", bug.name, error.what());
      return 1;
    }
  }
  if (!found) std::printf("no case is called %s\n", name.c_str());
  return found ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "list") == 0) {
    for (const corpus::Case& bug : all_cases()) std::printf("%s\n", bug.name);
    return 0;
  }
  if (argc != 3) {
    std::printf("usage: %s list | NAME planted|fixed | all fixed\n", argv[0]);
    return 2;
  }
  return run(argv[1], std::strcmp(argv[2], "planted") == 0);
}
