#include "apps/generation/output.h"

#include "apps/common/json.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

constexpr size_t kMostShown = 60;  // bytes of a prompt in its heading

double rate(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

void require_written(const std::ostream& out) {
  DLCM_CHECK(out.good(), "writing to standard output failed");
}

// On one line, in quotes.
std::string heading(size_t number, const std::string& prompt) {
  const std::string_view shown = data::utf8_prefix(prompt, kMostShown);
  return concat("== ", number, ": ", json_text(shown), shown.size() < prompt.size() ? " ..." : "");
}

}  // namespace

TextOutput::TextOutput(std::ostream& out, const std::vector<std::string>& prompts, ConceptMarks marks,
                       ControlCharacters controls)
    : out_(out),
      prompts_(prompts),
      marks_(marks),
      controls_(controls),
      printer_(out, marks, controls),
      waiting_(prompts.size()),
      finished_(prompts.size()) {
  begin();
}

void TextOutput::begin() {
  if (prompts_.size() > 1) out_ << heading(current_ + 1, prompts_[current_]) << "\n";
  printer_ = ConceptPrinter(out_, marks_, controls_);
  for (const TextPiece& piece : waiting_[current_]) printer_.print(piece);
  waiting_[current_].clear();
  flush();
}

void TextOutput::flush() {
  out_.flush();
  require_written(out_);
}

void TextOutput::text(size_t prompt, const TextPiece& piece) {
  if (prompt != current_) {
    waiting_[prompt].push_back(piece);
    return;
  }
  printer_.print(piece);
  flush();
}

void TextOutput::finished(size_t prompt) {
  finished_[prompt] = true;
  while (current_ < prompts_.size() && finished_[current_]) {
    printer_.finish();
    out_ << "\n";
    flush();
    if (++current_ < prompts_.size()) begin();
  }
}

JsonOutput::JsonOutput(std::ostream& out, const std::vector<std::string>& prompts, ModelKind kind)
    : out_(out), prompts_(prompts), has_concepts_(kind == ModelKind::dlcm), lines_(prompts.size()) {}

void JsonOutput::finished(size_t prompt, const Generation& generation) {
  JsonObject object;
  object.add("prompt", prompts_[prompt]);
  object.add("text", generation.text);
  object.add("tokens", generation.tokens);
  object.add("log_probabilities", generation.log_probabilities);
  object.add_json("boundaries", has_concepts_ ? json_text(generation.boundaries) : "[]");
  object.add("prompt_tokens_per_second", rate(generation.prompt_tokens, generation.prompt_seconds));
  object.add("tokens_per_second", rate(static_cast<int64_t>(generation.tokens.size()), generation.seconds));
  lines_[prompt] = object.text();
  for (; current_ < lines_.size() && !lines_[current_].empty(); ++current_) {
    out_ << lines_[current_] << std::endl;
    require_written(out_);
  }
}

}  // namespace dlcm::apps
