#include "data/step_reader.h"

#include <doctest/doctest.h>

#include "tests/data/numbered_corpus.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

LoaderOptions options(const std::string& folder) {
  LoaderOptions result;
  result.folder = folder;
  result.context = 32;
  result.batch_tokens = 100;
  return result;
}

std::vector<std::vector<int32_t>> tokens_of(const std::vector<Piece>& pieces) {
  std::vector<std::vector<int32_t>> tokens;
  for (const Piece& piece : pieces) tokens.push_back(piece.tokens);
  return tokens;
}

}  // namespace

TEST_CASE("step reader: the loader's steps, and the position behind each") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  corpus.write(folder.path(), "train", 0, {90, 3, 70, 41, 1, 200});
  Loader expected(options(folder.path())), ahead(options(folder.path()));
  StepReader reader(ahead);
  CHECK(reader.cursor() == expected.cursor());
  for (int step = 0; step < 30; ++step) {
    CAPTURE(step);
    CHECK(tokens_of(reader.next_step()) == tokens_of(expected.next_step()));
    CHECK(reader.cursor() == expected.cursor());
    CHECK(reader.seconds_waited() >= 0);
    REQUIRE(reader.progress().size() == 1);
    CHECK(reader.progress()[0].tokens == 100 * (step + 1));
    CHECK(reader.progress()[0].epochs == doctest::Approx(100.0 * (step + 1) / 405));
    if (step != 12) continue;
    // From the position of any step on, by another loader: no step is lost that was only read ahead.
    Loader resumed(options(folder.path()));
    resumed.seek(reader.cursor());
    Loader same(options(folder.path()));
    same.seek(expected.cursor());
    CHECK(tokens_of(StepReader(resumed).next_step()) == tokens_of(same.next_step()));
  }
}
