#include "apps/generation/generator.h"

#include <algorithm>
#include <chrono>

#include "apps/generation/text_stream.h"
#include "autograd/tape.h"
#include "data/utf8.h"

namespace dlcm::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kMostTokens = int64_t{1} << 30;  // with any prompt, positions stay within 32 bits

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One prompt under way.
struct Row {
  size_t prompt = 0;
  std::unique_ptr<SequenceState> state;
  Tensor logits;  // [V], of the next token
  TextStream text;
  Generation result;
  bool is_finished = false;
};

class Batch {
 public:
  Batch(const LanguageModel& model, const data::Tokenizer& tokenizer, const GenerationOptions& options,
        const GenerationEvents& events)
      : model_(model), tokenizer_(tokenizer), options_(options), events_(events) {}

  std::vector<Generation> run(const std::vector<std::string>& prompts) {
    results_.resize(prompts.size());
    for (size_t prompt = 0; prompt < prompts.size(); ++prompt) read(prompt, prompts[prompt]);
    began_ = Clock::now();
    remove_finished();
    while (!rows_.empty()) {
      for (Row& row : rows_) draw(row);
      step();
      remove_finished();
    }
    return std::move(results_);
  }

 private:
  void read(size_t prompt, const std::string& text);
  void draw(Row& row);
  void step();
  void show(Row& row, bool begins_concept);
  void deliver(Row& row, const TextPiece& piece);
  void remove_finished();
  bool has_concepts() const { return model_.config().kind == ModelKind::dlcm; }

  const LanguageModel& model_;
  const data::Tokenizer& tokenizer_;
  const GenerationOptions& options_;
  const GenerationEvents& events_;
  std::vector<Row> rows_;  // unfinished, in the order of the prompts
  std::vector<Generation> results_;
  Clock::time_point began_;
};

// Alone and at once, whatever the batch.
void Batch::read(size_t prompt, const std::string& text) {
  const Clock::time_point begin = Clock::now();
  std::vector<int32_t> tokens = tokenizer_.prompt_begin();
  tokenizer_.encode(text, tokens);
  DLCM_CHECK_INPUT(!tokens.empty(), "prompt ", prompt + 1,
                   " is empty, and the model's tokenizer puts no token in front of it: give it text");
  DLCM_CHECK_INPUT(static_cast<int64_t>(tokens.size()) <= kMostTokens, "prompt ", prompt + 1, " has ",
                   tokens.size(), " tokens, allowed are ", kMostTokens);
  Row row;
  row.prompt = prompt;
  row.state = model_.new_state();
  row.text = TextStream(options_.stops);
  const ForwardOutput output = model_.forward(single_document(tokens), {}, row.state.get());
  const Tensor& hidden = output.hidden.value();
  row.logits =
      model_.logits(hidden.slice(hidden.size(0) - 1, hidden.size(0))).view({model_.config().vocab_size});
  row.result.prompt_tokens = static_cast<int64_t>(tokens.size());
  row.result.prompt_seconds = seconds_since(begin);
  row.is_finished = options_.max_tokens == 0;
  rows_.push_back(std::move(row));
}

void Batch::draw(Row& row) {
  Generation& result = row.result;
  const int64_t position = result.prompt_tokens + static_cast<int64_t>(result.tokens.size());
  const std::span<const float> logits(row.logits.data<float>(), static_cast<size_t>(row.logits.numel()));
  const SampledToken token = sample(logits, options_.sampler, static_cast<uint64_t>(position));
  result.tokens.push_back(token.id);
  result.log_probabilities.push_back(token.log_probability);
  if (tokenizer_.ends_text(token.id) && options_.end_token == EndToken::stops) {
    result.reason = FinishReason::end_token;
    row.is_finished = true;
  } else if (static_cast<int64_t>(result.tokens.size()) == options_.max_tokens) {
    row.is_finished = true;
  }
}

// The last token runs too: whether it began a concept is only known then. A transformer has no concepts.
void Batch::step() {
  std::vector<Row*> rows;
  std::vector<int32_t> tokens;
  std::vector<SequenceState*> states;
  for (Row& row : rows_) {
    if (row.is_finished && !has_concepts()) {
      show(row, false);
      continue;
    }
    rows.push_back(&row);
    tokens.push_back(row.result.tokens.back());
    states.push_back(row.state.get());
  }
  if (rows.empty()) return;
  const StepOutput output = model_.step(tokens, states);
  const Tensor logits = model_.logits(output.hidden);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto b = static_cast<int64_t>(i);
    rows[i]->logits = logits.slice(b, b + 1).view({logits.size(1)});
    if (has_concepts()) rows[i]->result.boundaries.push_back(output.boundary[i]);
    show(*rows[i], has_concepts() && output.boundary[i] != 0);
  }
}

void Batch::show(Row& row, bool begins_concept) {
  const int32_t id = row.result.tokens.back();
  const std::string_view text = tokenizer_.is_special(id) ? std::string_view() : tokenizer_.decode(id);
  deliver(row, row.text.push(text, begins_concept));
  if (!row.text.stopped()) return;
  row.result.reason = FinishReason::stop_string;
  row.is_finished = true;
}

void Batch::deliver(Row& row, const TextPiece& piece) {
  if (piece.text.empty()) return;
  row.result.text += piece.text;
  if (events_.text) events_.text(row.prompt, piece);
}

void Batch::remove_finished() {
  for (Row& row : rows_) {
    if (!row.is_finished) continue;
    deliver(row, row.text.finish());
    row.result.seconds = seconds_since(began_);
    if (events_.finished) events_.finished(row.prompt, row.result);
    results_[row.prompt] = std::move(row.result);
  }
  std::erase_if(rows_, [](const Row& row) { return row.is_finished; });
}

}  // namespace

void check(const GenerationOptions& options) {
  check(options.sampler);
  DLCM_CHECK_INPUT(options.max_tokens >= 0 && options.max_tokens <= kMostTokens,
                   "--max-tokens = ", options.max_tokens, ": expected a whole number from 0 to ",
                   kMostTokens);
  for (const std::string& stop : options.stops) {
    DLCM_CHECK_INPUT(!stop.empty(), "--stop: expected text, found nothing");
    DLCM_CHECK_INPUT(data::first_invalid_utf8(stop) == stop.size(), "--stop: not UTF-8 text");
  }
}

std::vector<Generation> generate(const LanguageModel& model, const data::Tokenizer& tokenizer,
                                 const std::vector<std::string>& prompts, const GenerationOptions& options,
                                 const GenerationEvents& events) {
  check(options);
  const ModelConfig& config = model.config();
  DLCM_CHECK_INPUT(
      config.kind == ModelKind::transformer || config.cross_attention.visibility == Visibility::completed,
      "model.cross_attention.visibility = \"containing\": such a model sees the tokens it is to predict and "
      "cannot generate; train it with \"completed\"");
  DLCM_CHECK(config.vocab_size == tokenizer.vocab_size(), "generate: the model has ", config.vocab_size,
             " tokens, the tokenizer ", tokenizer.vocab_size());
  const autograd::NoGrad no_grad;
  return Batch(model, tokenizer, options, events).run(prompts);
}

}  // namespace dlcm::apps
