// segment: the concepts that a trained model sees in a text.
#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/common/command_line.h"
#include "apps/common/concept_text.h"
#include "apps/common/loaded_model.h"
#include "apps/common/output_file.h"
#include "apps/common/program.h"
#include "apps/segmenting/concepts.h"
#include "apps/segmenting/page.h"

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
  std::string text = "-";
  std::string html;
  bool json = false;
};

std::optional<int> read_command_line(int argc, char** argv, CommandLine& line) {
  CLI::App app(kDescription, "segment");
  app.add_option("--checkpoint", line.checkpoint, "A checkpoint, or a run's folder: its newest one")
      ->type_name("FILE|RUN_DIR")
      ->required();
  app.add_option("--html", line.html, "Write a page: p on hover, a histogram of concept lengths")
      ->type_name("FILE");
  app.add_flag("--json", line.json, "Print one JSON object");
  app.add_option("TEXT", line.text, "The text, or a file that holds it; - or nothing: standard input")
      ->type_name("TEXT|FILE");
  return parse_command_line(app, kExamples, argc, argv);
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
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  int64_t tokens = 0;
  for (const ConceptSpan& span : concepts) {
    nlohmann::ordered_json object;
    object["text"] = span.text;
    object["tokens"] = span.tokens;
    object["p"] = span.probability.front();
    list.push_back(object);
    tokens += span.tokens;
  }
  nlohmann::ordered_json result;
  result["concepts"] = list;
  result["tokens"] = tokens;
  result["tokens_per_concept"] =
      concepts.empty() ? 0.0 : static_cast<double>(tokens) / static_cast<double>(concepts.size());
  std::cout << result.dump() << "\n";
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
  if (!line.html.empty()) {
    std::vector<std::string> inputs = {loaded.path};
    if (is_file(line.text)) inputs.push_back(line.text);
    require_replaceable("--html", line.html, inputs, {"a page of HTML", is_page});
  }
  const std::string text = read_text(line.text);
  const std::vector<ConceptSpan> concepts =
      concepts_of(*loaded.model, *loaded.tokenizer, text, loaded.config.train.context);
  if (!line.html.empty()) {
    write_page(line.html, concept_page(concepts, concat("Model: ", loaded.path, ", step ", loaded.step)));
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
