#include "data/bpe/piece_counts.h"

#include <map>
#include <random>

#include <doctest/doctest.h>

#include "data/bpe/scanners.h"
#include "tensor/parallel.h"

using namespace dlcm;
using namespace dlcm::data;

namespace {

using Counts = std::map<std::string, uint64_t>;

std::vector<std::string> pieces_of(std::string_view text) {
  std::vector<std::string> pieces;
  const PieceSink sink = [&](std::span<const std::string_view> batch) {
    for (const std::string_view piece : batch) pieces.emplace_back(piece);
  };
  PieceBatch batch(sink);
  scan_deepseek(text, batch);
  batch.flush();
  return pieces;
}

Counts counts_of(const PieceCounts& counts) {
  Counts all;
  counts.for_each([&](std::string_view piece, uint64_t count) {
    const bool is_new = all.emplace(piece, count).second;
    CHECK(is_new);
  });
  CHECK(all.size() == counts.distinct());
  return all;
}

std::string random_text(std::mt19937& random, size_t words) {
  static const std::vector<std::string> alphabet = {
      "a",     "b",    "Z",      " ",    "  ",     "\n",     "\r\n",
      "\n \n", ".",    "!?",     "\t",   "1",      "中",     "の",
      "é",     "🙂", "\u0301", "\x01", "\u2028", "\u3000", "a-word-of-many-letters",
      "\n"};
  std::string text;
  for (size_t i = 0; i < words; ++i) text += alphabet[random() % alphabet.size()];
  return text;
}

}  // namespace

TEST_CASE("piece counts: each piece as often as it occurs, short and long, with zeros in it") {
  PieceCounts counts;
  Counts expected;
  std::mt19937 random(3);
  uint64_t pieces = 0;
  uint64_t bytes = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string piece(1 + random() % 20, '\0');
    for (char& c : piece) c = static_cast<char>(random() % 2);
    piece.resize(1 + random() % piece.size());
    const uint64_t count = random() % 3;
    counts.add(piece, count);
    if (count > 0) expected[piece] += count;
    pieces += count;
    bytes += count * piece.size();
  }
  CHECK(counts_of(counts) == expected);
  CHECK(counts.pieces() == pieces);
  CHECK(counts.bytes() == bytes);
}

TEST_CASE("piece counts: bytes that are no characters are no pieces, and texts end there") {
  PieceCounts counts;
  counts.add_text("ab \xFF  cd\xE4\xB8");
  CHECK(counts_of(counts) == Counts{{"ab", 1}, {" ", 2}, {" cd", 1}});
  counts.add_text("");
  counts.add_text("\x80");
  CHECK(counts.pieces() == 4);
}

TEST_CASE("piece counts: both parts of a cut text have the pieces of the whole") {
  std::mt19937 random(11);
  int cuts = 0;
  for (int i = 0; i < 2500; ++i) {
    const std::string text = random_text(random, 1 + random() % 12);
    const std::vector<std::string> whole = pieces_of(text);
    for (size_t cut = next_cut(text, 0); cut < text.size(); cut = next_cut(text, cut + 1)) {
      std::vector<std::string> parts = pieces_of(std::string_view(text).substr(0, cut));
      const std::vector<std::string> rest = pieces_of(std::string_view(text).substr(cut));
      parts.insert(parts.end(), rest.begin(), rest.end());
      CHECK(parts == whole);
      ++cuts;
    }
  }
  CHECK(cuts > 1000);
  CHECK(next_cut("a\nb\nc", 2) == 2);
  CHECK(next_cut("a\nb\nc", 3) == 4);
  CHECK(next_cut("a\n  b", 0) == 5);
  CHECK(next_cut("a\n\xE4\xB8", 0) == 4);  // nothing that is known to be no white space
  CHECK(next_cut("", 0) == 0);
}

TEST_CASE("piece counter: the same counts with any number of threads, also of one long document") {
  std::mt19937 random(5);
  std::vector<std::string> documents;
  for (int i = 0; i < 40; ++i) documents.push_back(random_text(random, random() % 500));
  documents.push_back(random_text(random, 400000));
  PieceCounts plain;
  for (const std::string& document : documents) plain.add_text(document);
  const Counts expected = counts_of(plain);
  const int before = thread_count();
  for (const int threads : {1, 2, 5}) {
    set_thread_count(threads);
    PieceCounter counter;
    counter.add(std::span(documents).first(20));
    counter.add(std::span(documents).subspan(20));
    CHECK(counts_of(counter.finish()) == expected);
    CHECK(counter.finish().distinct() == 0);
  }
  set_thread_count(before);
}
