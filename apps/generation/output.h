// Generated text on standard output, for people or as JSON Lines.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "apps/generation/generator.h"

namespace dlcm::apps {

// Prints texts in the order of their prompts, each as soon as it is made and its predecessors are complete;
// where there are several, each below a line with its prompt. Throws Error where writing fails.
class TextOutput {
 public:
  TextOutput(std::ostream& out, const std::vector<std::string>& prompts, ConceptMarks marks,
             ControlCharacters controls);
  void text(size_t prompt, const TextPiece& piece);
  void finished(size_t prompt);

 private:
  void begin();
  void flush();

  std::ostream& out_;
  const std::vector<std::string>& prompts_;
  ConceptMarks marks_;
  ControlCharacters controls_;
  ConceptPrinter printer_;
  size_t current_ = 0;                           // the prompt whose text is being printed
  std::vector<std::vector<TextPiece>> waiting_;  // of later prompts
  std::vector<bool> finished_;
};

// One JSON object a prompt, one a line, in the order of the prompts. `boundaries` is empty of a transformer.
class JsonOutput {
 public:
  JsonOutput(std::ostream& out, const std::vector<std::string>& prompts, ModelKind kind);
  void finished(size_t prompt, const Generation& generation);

 private:
  std::ostream& out_;
  const std::vector<std::string>& prompts_;
  bool has_concepts_;
  size_t current_ = 0;
  std::vector<std::string> lines_;  // that wait for earlier prompts; empty: not finished
};

}  // namespace dlcm::apps
