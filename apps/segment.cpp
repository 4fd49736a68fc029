// segment: the concepts that a trained model sees in a text.
#include <filesystem>
#include <iostream>

#include "apps/common/command_line.h"
#include "apps/common/concept_text.h"
#include "apps/common/html.h"
#include "apps/common/json.h"
#include "apps/common/loaded_model.h"
#include "apps/common/output_file.h"
#include "apps/common/program.h"
#include "apps/segmenting/concepts.h"
#include "apps/segmenting/page.h"
#include "data/atomic_file.h"

namespace dlcm::apps {
namespace {

constexpr char kDescription[] =
    "Shows the concepts into which a trained model parts a text: in colours on a terminal, with | between "
    "them\n"
    "elsewhere.";
constexpr char kExamples[] =
    "  segment --checkpoint runs/first \"It was the best of times, it was the worst of times.\"\n"
    "  segment --checkpoint runs/first --html concepts.html book.txt\n"
    "  head -n 20 book.txt | segment --checkpoint runs/first --json -\n\n"
    "--json prints one object: concepts, a list of objects with text, tokens (their number) and p (of the "
    "first\n"
    "token); tokens; tokens_per_concept. Exit code: 0, 1 (the work failed), 2 (bad input).";

struct CommandLine {
  std::string checkpoint;
  std::string tokenizer;
  std::string text = "-";
  std::string html;
  bool json = false;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CommandLineParser parser("segment", kDescription, kExamples);
  add_checkpoint(parser, line.checkpoint);
  parser.add_input("--tokenizer", line.tokenizer, "FILE",
                   "The model's tokenizer.json; default: the copy in the run's folder");
  parser.add_output("--html", line.html, "FILE", "Write a page: p on hover, a histogram of concept lengths");
  parser.add_flag("--json", line.json, "Print one JSON object");
  parser.add_text("TEXT", line.text, "TEXT|FILE",
                  "The text, or a file that holds it; - or nothing: standard input");
  if (const auto end = parser.read(argc, argv)) return end;
  require_one_standard_input({{"--checkpoint", line.checkpoint}, {"TEXT", line.text}});
  DLCM_CHECK_INPUT(line.tokenizer != "-", "--tokenizer '-': expected the path of a tokenizer.json");
  return std::nullopt;
}

// The name of an existing file stands for its content.
bool is_file(const std::string& text_or_file) {
  std::error_code error;  // a text may be no possible name
  return std::filesystem::exists(text_or_file, error);
}

std::string read_text(const std::string& text_or_file) {
  const bool is_name = text_or_file == "-" || is_file(text_or_file);
  std::string text = is_name ? read_file_or_input(text_or_file) : text_or_file;
  require_utf8(text, is_name ? "'" + text_or_file + "'" : "the text");
  return text;
}

// The whole text and where its concepts begin.
TextPiece marked(const std::vector<ConceptSpan>& concepts) {
  TextPiece piece;
  for (const ConceptSpan& span : concepts) {
    if (!span.text.empty()) piece.marks.push_back(piece.text.size());
    piece.text += span.text;
  }
  return piece;
}

void print_json(const std::vector<ConceptSpan>& concepts) {
  std::vector<std::string> list;
  int64_t tokens = 0;
  for (const ConceptSpan& span : concepts) {
    JsonObject object;
    object.add("text", span.text);
    object.add("tokens", span.tokens);
    object.add("p", static_cast<double>(span.probability.front()));
    list.push_back(object.text());
    tokens += span.tokens;
  }
  JsonObject result;
  result.add_json("concepts", json_array(list));
  result.add("tokens", tokens);
  result.add("tokens_per_concept",
             concepts.empty() ? 0.0 : static_cast<double>(tokens) / static_cast<double>(concepts.size()));
  std::cout << result.text() << "\n";
}

void print_text(const std::vector<ConceptSpan>& concepts) {
  ConceptPrinter printer(std::cout, concept_marks_for_output(), control_characters_for_output());
  const TextPiece text = marked(concepts);
  printer.print(text);
  printer.finish();
  if (!text.text.ends_with('\n')) std::cout << "\n";
}

int segment_program(int argc, char** argv) {
  CommandLine line;
  if (const auto end = read_command_line(argc, argv, line)) return *end;
  const LoadedModel loaded = load_model(line.checkpoint);
  loaded.model->pack_operands(loaded.config.train.dtype);
  const auto tokenizer = tokenizer_of(loaded, line.tokenizer);
  if (!line.html.empty()) {
    std::vector<std::string> inputs = {loaded.path};
    if (is_file(line.text)) inputs.push_back(line.text);
    require_replaceable("--html", line.html, inputs, {"a page of HTML", is_page});
  }
  const std::string text = read_text(line.text);
  const std::vector<ConceptSpan> concepts =
      concepts_of(*loaded.model, *tokenizer, text, loaded.config.train.context);
  if (!line.html.empty()) {
    data::write_file(line.html,
                     concept_page(concepts, concat("Model: ", loaded.path, ", step ", loaded.step)));
    std::cerr << "segment: wrote " << line.html << "\n";
  }
  if (line.json) {
    print_json(concepts);
  } else {
    print_text(concepts);
  }
  return 0;
}

}  // namespace
}  // namespace dlcm::apps

int main(int argc, char** argv) {
  return dlcm::apps::run_program("segment", [&] { return dlcm::apps::segment_program(argc, argv); });
}
