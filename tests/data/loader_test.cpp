#include "data/loader.h"

#include <algorithm>
#include <map>

#include <doctest/doctest.h>

#include "tensor/random.h"
#include "tests/data/numbered_corpus.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

std::vector<int64_t> some_lengths(size_t count, uint64_t seed) {
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < count; ++i) {
    lengths.push_back(1 + static_cast<int64_t>(random_bits(seed, RandomStream::tests, 4, i) % 90));
  }
  return lengths;
}

bool equal(const std::vector<Piece>& a, const std::vector<Piece>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Piece& x, const Piece& y) {
    return x.tokens == y.tokens && x.following == y.following && x.sample == y.sample;
  });
}

LoaderOptions options(const std::string& folder) {
  LoaderOptions result;
  result.folder = folder;
  result.context = 32;
  result.batch_tokens = 100;
  result.seed = 5;
  return result;
}

// Two shards of 20 documents in one domain, one of 15 in another.
void write_domains(NumberedCorpus& corpus, const std::string& folder) {
  corpus.write(folder + "/code", "train", 0, some_lengths(20, 1));
  corpus.write(folder + "/code", "train", 1, some_lengths(20, 2));
  corpus.write(folder + "/english", "train", 0, some_lengths(15, 3));
}

int64_t loader_tokens_of(const std::string& folder) {
  return Loader(options(folder)).tokens();
}

}  // namespace

TEST_CASE("loader: steps are exactly full, pieces at most the context, samples numbered through") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  write_domains(corpus, folder.path());
  Loader loader(options(folder.path()));
  CHECK(loader.documents() == 55);
  CHECK(loader.tokens() == corpus.tokens());
  CHECK(loader.bytes() == corpus.bytes);
  int64_t sample = 0;
  for (int step = 0; step < 60; ++step) {
    int64_t tokens = 0;
    for (const Piece& piece : loader.next_step()) {
      CHECK(piece.sample == sample++);
      CHECK(piece.size() >= 1);
      CHECK(piece.size() <= 32);
      tokens += piece.size();
    }
    CHECK(tokens == 100);
  }
}

TEST_CASE("loader: in an epoch every token is given once and is a target once, but for documents' firsts") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  corpus.write(folder.path(), "train", 0, some_lengths(37, 8));
  corpus.write(folder.path(), "train", 1, {500, 1, 2, 32, 33, 64, 65});
  LoaderOptions chosen = options(folder.path());
  chosen.batch_tokens = 1;  // every possible cut by a step's end
  for (const int64_t batch_tokens : {int64_t{1}, int64_t{7}, corpus.tokens()}) {
    chosen.batch_tokens = batch_tokens;
    Loader loader(chosen);
    for (int epoch = 0; epoch < 2; ++epoch) {
      std::map<int32_t, int> given, targets;
      int64_t left = corpus.tokens();
      while (left >= batch_tokens) {
        for (const Piece& piece : loader.next_step()) {
          for (size_t i = 0; i < piece.tokens.size(); ++i) {
            ++given[piece.tokens[i]];
            if (i > 0) ++targets[piece.tokens[i]];
            if (i > 0) CHECK(piece.tokens[i] == piece.tokens[i - 1] + 1);
          }
          if (piece.following >= 0) {
            ++targets[piece.following];
            CHECK(piece.following == piece.tokens.back() + 1);
          }
        }
        left -= batch_tokens;
      }
      if (left > 0) break;  // the epoch's end is within a step
      CHECK(static_cast<int64_t>(given.size()) == corpus.tokens());
      for (const auto& [token, count] : given) CHECK(count == 1);
      for (const int32_t first : corpus.firsts) CHECK(targets.count(first) == 0);
      CHECK(targets.size() == given.size() - corpus.firsts.size());
      for (const auto& [token, count] : targets) CHECK(count == 1);
    }
  }
}

TEST_CASE("loader: resumed at any step it goes on as if never stopped") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  write_domains(corpus, folder.path());
  for (const bool weighted : {false, true}) {
    LoaderOptions chosen = options(folder.path());
    if (weighted) chosen.weights = {{"code", 0.3}, {"english", 0.7}};
    Loader unbroken(chosen);
    std::vector<std::vector<Piece>> steps;
    std::vector<std::vector<int64_t>> cursors = {unbroken.cursor()};
    for (int step = 0; step < 120; ++step) {  // several epochs
      steps.push_back(unbroken.next_step());
      cursors.push_back(unbroken.cursor());
    }
    CHECK(100 * 120 > 4 * corpus.tokens());
    Loader resumed(chosen);
    for (uint64_t i = 0; i < 50; ++i) {
      const size_t step = random_bits(9, RandomStream::tests, 5, i) % 118;
      resumed.seek(cursors[step]);
      CHECK(resumed.cursor() == cursors[step]);
      CHECK(equal(resumed.next_step(), steps[step]));
      CHECK(equal(resumed.next_step(), steps[step + 1]));
      CHECK(resumed.cursor() == cursors[step + 2]);
    }
  }
}

TEST_CASE("loader: domains keep their shares; seeds differ") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  write_domains(corpus, folder.path());
  LoaderOptions chosen = options(folder.path());
  chosen.weights = {{"code", 1}, {"english", 3}};
  Loader loader(chosen);
  for (int step = 0; step < 200; ++step) loader.next_step();
  const std::vector<DomainProgress> given = loader.progress();
  REQUIRE(given.size() == 2);
  CHECK(given[0].name == "code");
  CHECK(given[1].name == "english");
  CHECK(given[0].tokens + given[1].tokens == 200 * 100);
  // Never further from the share than two sections, of which one may be under way.
  CHECK(std::abs(static_cast<double>(given[1].tokens) - 0.75 * 200 * 100) <= 64);
  chosen.weights = {{"code", 1}, {"english", 0}};
  Loader code(chosen);
  for (int step = 0; step < 50; ++step) code.next_step();
  CHECK(code.progress()[1].tokens == 0);
  CHECK(code.progress()[1].epochs == 0);
  const double of_code = static_cast<double>(corpus.tokens() - loader_tokens_of(folder / "english"));
  CHECK(code.progress()[0].epochs == doctest::Approx(5000 / of_code));
  for (const char* rare : {"code", "english"}) {  // however little, more than nothing
    chosen.weights = {{"code", 1}, {"english", 1}};
    chosen.weights[rare] = 1e-12;
    Loader mixed(chosen);
    for (int step = 0; step < 5; ++step) mixed.next_step();
    CHECK(mixed.progress()[0].tokens > 0);
    CHECK(mixed.progress()[1].tokens > 0);
  }
  chosen.weights = {{"code", 1}, {"english", 0}};
  chosen.seed = 6;
  Loader other(chosen);
  Loader same(chosen);
  code.seek(Loader(options(folder.path())).cursor());
  const auto first = other.next_step();
  CHECK(!equal(first, code.next_step()));
  CHECK(equal(first, same.next_step()));
}

TEST_CASE("loader: each epoch has an order of its own") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  corpus.write(folder.path(), "train", 0, std::vector<int64_t>(50, 10));
  LoaderOptions chosen = options(folder.path());
  chosen.batch_tokens = corpus.tokens();
  Loader loader(chosen);
  std::vector<std::vector<int32_t>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<int32_t>& firsts = epochs.emplace_back();
    for (const Piece& piece : loader.next_step()) firsts.push_back(piece.tokens[0]);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
  CHECK(epochs[0] != epochs[2]);
}

TEST_CASE("loader: a long document is spread over the epoch") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  std::vector<int64_t> lengths(100, 32);
  lengths.push_back(100 * 32);  // half of the text
  corpus.write(folder.path(), "train", 0, lengths);
  LoaderOptions chosen = options(folder.path());
  chosen.batch_tokens = 20 * 32;
  Loader loader(chosen);
  for (int step = 0; step < 10; ++step) {  // an epoch
    int64_t of_the_long = 0;
    for (const Piece& piece : loader.next_step()) of_the_long += piece.tokens[0] >= 100 * 32 ? 1 : 0;
    CHECK(of_the_long >= 3);
    CHECK(of_the_long <= 17);
  }
}

TEST_CASE("loader: documents that are held out too are never given, and counted") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  write_domains(corpus, folder.path());
  const int64_t documents = Loader(options(folder.path())).documents();
  // Held out: the third and the last document of code's first shard, in either domain, and others.
  const ShardReader shard(folder / "code/train-00000.h5");
  std::vector<int32_t> shared;
  int64_t bytes = 0;
  std::filesystem::create_directories(folder / "math");
  {
    ShardWriter writer(folder / "math/heldout-00000.h5", {NumberedCorpus::kVocabulary, "numbers", ""});
    writer.add(std::vector<int32_t>{7, 7, 7}, 3);
    for (const int64_t document : {int64_t{2}, shard.documents() - 1}) {
      const std::vector<int32_t> tokens = shard.read(document, 0, shard.document_tokens(document));
      shared.insert(shared.end(), tokens.begin(), tokens.end());
      bytes += shard.document_bytes(document);
      writer.add(tokens, 1);
    }
    std::vector<int32_t> similar = shard.read(0, 0, shard.document_tokens(0));
    similar.back() += 1;  // as long, but another
    writer.add(similar, 1);
    writer.finish();
    writer.publish();
  }
  Loader loader(options(folder.path()));
  CHECK(loader.duplicate_documents() == 2);
  CHECK(loader.duplicate_tokens() == static_cast<int64_t>(shared.size()));
  CHECK(loader.documents() == documents - 2);
  CHECK(loader.tokens() == corpus.tokens() - loader.duplicate_tokens());
  CHECK(loader.bytes() == corpus.bytes - bytes);
  std::map<int32_t, int> given;
  for (int step = 0; step < 100; ++step) {
    for (const Piece& piece : loader.next_step()) {
      for (const int32_t token : piece.tokens) ++given[token];
    }
  }
  for (const int32_t token : shared) CHECK(given.count(token) == 0);
  CHECK(static_cast<int64_t>(given.size()) == loader.tokens());
  // What is left out is part of what a position is in.
  const std::vector<int64_t> cursor = loader.cursor();
  Loader same(options(folder.path()));
  CHECK_NOTHROW(same.seek(cursor));
  std::filesystem::remove(folder / "math/heldout-00000.h5");
  Loader all(options(folder.path()));
  CHECK(all.duplicate_documents() == 0);
  CHECK(contains(message_of<InputError>([&] { all.seek(cursor); }), "other data"));
}

TEST_CASE("loader: a domain of which all is held out may have a weight of 0") {
  const TemporaryFolder folder;
  for (const std::string name : {"some/train", "none/train", "none/heldout"}) {
    std::filesystem::create_directories(folder / name.substr(0, 4));
    ShardWriter writer(concat(folder.path(), "/", name, "-00000.h5"), {300, "numbers", ""});
    writer.add(std::vector<int32_t>(name.starts_with("some") ? 7 : 3, 1), 3);
    writer.finish();
    writer.publish();
  }
  LoaderOptions chosen = options(folder.path());
  chosen.weights = {{"some", 1.0}, {"none", 1.0}};
  CHECK(contains(message_of<InputError>([&] { Loader{chosen}; }), "held out too"));
  chosen.weights["none"] = 0;
  Loader loader(chosen);
  CHECK(!loader.next_step().empty());
  for (const DomainProgress& domain : loader.progress())
    CHECK((domain.epochs > 0) == (domain.name == "some"));
}

TEST_CASE("loader: a domain of which all is held out is refused") {
  const TemporaryFolder folder;
  for (const char* kind : {"train", "heldout"}) {
    ShardWriter writer(concat(folder.path(), "/", kind, "-00000.h5"), {300, "numbers", ""});
    writer.add(std::vector<int32_t>{1, 2, 3}, 3);
    writer.finish();
    writer.publish();
  }
  CHECK(contains(message_of<InputError>([&] { Loader(options(folder.path())); }),
                 "hold only documents that are held out too"));
}

TEST_CASE("loader: micro-batches hold every piece once, in whole, and do not change the step") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  write_domains(corpus, folder.path());
  LoaderOptions chosen = options(folder.path());
  chosen.batch_tokens = 512;
  Loader loader(chosen);
  for (int step = 0; step < 5; ++step) {
    const std::vector<Piece> pieces = loader.next_step();
    for (const int64_t micro_tokens : {32, 50, 64, 128, 512, 10000}) {
      const std::vector<PackedBatch> batches = micro_batches(pieces, micro_tokens);
      CHECK(batches.size() >= static_cast<size_t>((512 + micro_tokens - 1) / micro_tokens));
      std::map<int64_t, const Piece*> by_sample;
      for (const Piece& piece : pieces) by_sample[piece.sample] = &piece;
      for (const PackedBatch& batch : batches) {
        CHECK(batch.token_count() <= micro_tokens);
        const auto offsets = batch.cu_seqlens.to_vector<int32_t>();
        const auto tokens = batch.tokens.to_vector<int32_t>();
        const auto targets = batch.targets.to_vector<int32_t>();
        const auto samples = batch.samples.to_vector<int64_t>();
        REQUIRE(offsets.size() == samples.size() + 1);
        CHECK(offsets.front() == 0);
        CHECK(offsets.back() == batch.token_count());
        CHECK(std::is_sorted(samples.begin(), samples.end()));
        for (size_t i = 0; i < samples.size(); ++i) {
          const Piece& piece = *by_sample.at(samples[i]);
          by_sample.erase(samples[i]);
          CHECK(std::vector<int32_t>(tokens.begin() + offsets[i], tokens.begin() + offsets[i + 1]) ==
                piece.tokens);
          CHECK(targets[static_cast<size_t>(offsets[i + 1]) - 1] == piece.following);
          for (int32_t t = offsets[i]; t + 1 < offsets[i + 1]; ++t) {
            CHECK(targets[static_cast<size_t>(t)] == tokens[static_cast<size_t>(t) + 1]);
          }
        }
      }
      CHECK(by_sample.empty());
    }
    if (step == 0) CHECK(micro_batches(pieces, 512).size() == 1);
  }
  const std::vector<Piece> pieces = loader.next_step();
  CHECK(contains(message_of<InputError>([&] { micro_batches(pieces, 8); }), "micro_tokens"));
}

TEST_CASE("loader: what cannot be trained on is said") {
  const TemporaryFolder folder;
  NumberedCorpus corpus;
  const auto message = [&](const LoaderOptions& chosen) {
    return message_of<InputError>([&] { Loader{chosen}; });
  };
  const auto weights = [&](std::map<std::string, double> chosen) {
    LoaderOptions result = options(folder.path());
    result.weights = std::move(chosen);
    return message(result);
  };
  CHECK(contains(message(options(folder / "none")), "there is no folder"));
  CHECK(contains(message(options(folder.path())), "no training shards"));
  corpus.write(folder / "nothing/a", "train", 0, {});
  CHECK(contains(message(options(folder / "nothing")),
                 "nothing', domain 'a', hold no documents: make them with tokenize"));
  std::filesystem::remove_all(folder / "nothing");
  write_domains(corpus, folder.path());
  CHECK(contains(weights({{"code", 1}}), "no weight for the domain 'english'"));
  CHECK(contains(weights({{"code", 1}, {"math", 1}}), "no domain 'math'; it has code, english"));
  CHECK(contains(weights({{"code", -1}, {"english", 2}}), "code = -1"));
  CHECK(contains(weights({{"code", 0}, {"english", 0}}), "sum is 0"));
  LoaderOptions empty_step = options(folder.path());
  empty_step.batch_tokens = 0;
  CHECK(contains(message(empty_step), "train.batch_tokens is 0"));

  Loader loader(options(folder.path()));
  LoaderOptions other_seed = options(folder.path());
  other_seed.seed = 99;
  CHECK(contains(message_of<InputError>([&] { loader.seek(Loader(other_seed).cursor()); }),
                 "of seed 99, but train.seed is 5: resume with --set train.seed=99"));
  std::vector<int64_t> impossible = loader.cursor();
  impossible[4] = 1;
  CHECK(contains(message_of<InputError>([&] { loader.seek(impossible); }), "impossible"));
  CHECK_THROWS_AS(loader.seek({}), InputError);
  const std::vector<int64_t> before = loader.cursor();
  corpus.write(folder / "english", "train", 1, {5});
  Loader changed(options(folder.path()));
  CHECK(contains(message_of<InputError>([&] { changed.seek(before); }), "other data"));

  corpus.write(folder / "english", "train", 2, {5}, NumberedCorpus::kVocabulary, "letters");
  CHECK(contains(message(options(folder.path())), "tokenizer is 'letters'"));
  corpus.write(folder / "english", "train", 2, {5}, NumberedCorpus::kVocabulary + 1);
  CHECK(contains(message(options(folder.path())), "vocab_size is 70001"));
  corpus.write(folder.path(), "train", 0, {5});
  CHECK(contains(message(options(folder.path())), "both itself and in the domain"));
}

TEST_CASE("loader: a position is refused in shards of the same names and sizes but other content") {
  const TemporaryFolder folder;
  const std::string path = folder / "train-00000.h5";
  const auto write = [&](const std::vector<int32_t>& lengths, int32_t last, bool sealed) {
    std::vector<uint16_t> tokens = {1, 2, 3, 4, 5, static_cast<uint16_t>(last)};
    std::vector<uint64_t> offsets = {0}, bytes;
    for (const int32_t length : lengths) {
      offsets.push_back(offsets.back() + static_cast<uint64_t>(length));
      bytes.push_back(9);
    }
    Hdf5Writer writer(path);
    writer.attribute("format", std::string(kShardFormat));
    writer.attribute("version", int64_t{1});
    writer.attribute("vocab_size", int64_t{300});
    writer.attribute("tokenizer", std::string("numbers"));
    writer.dataset("/tokens", {6}, tokens.data());
    writer.dataset("/doc_offsets", {static_cast<int64_t>(offsets.size())}, offsets.data());
    writer.dataset("/doc_bytes", {static_cast<int64_t>(bytes.size())}, bytes.data());
    writer.finish();
    writer.publish();
    // Without the block that HDF5 does not read it is a plain file, as anybody's.
    if (!sealed) write_bytes(path, read_bytes(path).substr(512));
    CHECK(Hdf5Reader(path).sealed() == sealed);
  };
  for (const bool sealed : {true, false}) {
    write({2, 4}, 6, sealed);
    const std::vector<int64_t> cursor = Loader(options(folder.path())).cursor();
    write({2, 4}, 6, sealed);
    CHECK_NOTHROW(Loader(options(folder.path())).seek(cursor));
    const auto refusal = [&] {
      return message_of<InputError>([&] { Loader(options(folder.path())).seek(cursor); });
    };
    write({2, 4}, 7, sealed);
    CHECK(contains(refusal(), "other data"));
    write({4, 2}, 6, sealed);
    CHECK(contains(refusal(), "other data"));
  }
}

TEST_CASE("loader: a position holds in the same documents from another place") {
  const TemporaryFolder folder;
  const std::string path = folder / "train-00000.h5";
  const auto write = [&](const std::string& source, const std::string& tokenizer, int32_t last) {
    ShardWriter writer(path, {300, tokenizer, source});
    writer.add(std::vector<int32_t>{1, 2}, 5);
    writer.add(std::vector<int32_t>{3, 4, 5, last}, 5);
    writer.finish();
    writer.publish();
  };
  const auto refusal = [&](const std::vector<int64_t>& cursor) {
    return message_of<InputError>([&] { Loader(options(folder.path())).seek(cursor); });
  };
  write("one/text", "numbers", 6);
  const std::vector<int64_t> cursor = Loader(options(folder.path())).cursor();
  CHECK(refusal(cursor) == "no exception");
  write("another/text", "numbers", 6);
  CHECK(refusal(cursor) == "no exception");
  write("another/text", "numbers", 7);
  CHECK(contains(refusal(cursor), "other data"));
  write("one/text", "letters", 6);
  CHECK(contains(refusal(cursor), "other data"));
  write("one/text", "numbers", 6);
  std::vector<int64_t> former = cursor;
  former[0] = 3;
  CHECK(contains(refusal(former), "'loader_cursor') has version 3, expected version 4: resume with"));
  CHECK(contains(refusal({}), "has 0 numbers, expected 6 or more: resume with"));
}
