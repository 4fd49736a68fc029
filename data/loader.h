// The training order: which tokens make up each optimizer step.
//
// It is a pure function of (shards, weights, seed, context, batch_tokens) and of the position. In each domain
// the sections (documents cut at the context, sections.h) of all shards are visited epoch by epoch in the
// order of data::permuted: a book is spread over the epoch, else whole steps would read nothing but that
// book. The next section comes from the domain that is furthest behind its share of the tokens drawn so far
// (share * total - drawn, in exact integers). A step holds exactly batch_tokens tokens; the rest of a section
// that the step's end cuts begins the next step. Documents that the folder's held-out shards have too are
// left out (duplicates.h).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "data/duplicates.h"
#include "data/packing.h"
#include "data/sections.h"
#include "data/shard.h"

namespace dlcm::data {

struct LoaderOptions {
  std::string folder;                     // DIR with train-*.h5, or with DOMAIN/train-*.h5
  std::map<std::string, double> weights;  // domain -> weight; empty: by tokens. 0 leaves a domain out
  int64_t seed = 1;
  int64_t context = 1024;       // tokens
  int64_t batch_tokens = 8192;  // tokens of a step
};

// Of a domain, what the steps so far have given.
struct DomainProgress {
  std::string name;  // empty where the shards have no domains
  int64_t tokens = 0;
  double epochs = 0;
};

class Loader {
 public:
  // Opens and verifies all shards, once; of many, few stay open, and one that changes while the loader lives
  // is an InputError when it is opened again (Hdf5Reader). Throws InputError where shards are missing,
  // damaged or of different vocabularies, where weights do not name exactly the domains or are impossible,
  // and where sizes are.
  explicit Loader(const LoaderOptions& options);

  int64_t vocab_size() const { return domains_[0].shards[0].header().vocab_size; }
  const std::string& tokenizer() const { return domains_[0].shards[0].header().tokenizer; }
  int64_t documents() const;  // of one epoch of all domains
  int64_t tokens() const;
  int64_t bytes() const;  // of their text
  // What was left out as a duplicate of held-out documents, and is not among those above.
  int64_t duplicate_documents() const;
  int64_t duplicate_tokens() const;
  int64_t cut_documents() const;  // those longer than the context
  // By domain, in the order of their names.
  std::vector<DomainProgress> progress() const;

  // The pieces of the next step, batch_tokens tokens in all.
  std::vector<Piece> next_step();

  // The position between two steps, for a checkpoint: a few integers. seek() returns to it; it throws
  // InputError where the cursor is of other data or another seed. Data are the same where tokens, documents,
  // shards, domains and tokenizer are, wherever their text came from.
  std::vector<int64_t> cursor() const;
  void seek(const std::vector<int64_t>& cursor);

 private:
  struct Domain {
    std::string name;
    std::vector<ShardReader> shards;
    Sections sections;
    uint64_t order_seed = 0;
    int64_t tokens = 0;
    int64_t documents = 0;
    int64_t bytes = 0;
    int64_t duplicate_documents = 0;
    int64_t duplicate_tokens = 0;
    uint64_t duplicates_hash = 0;  // which they are
    int64_t cut_documents = 0;
    int64_t share = 0;           // of all domains' sum
    int64_t sections_drawn = 0;  // over all epochs
    int64_t tokens_drawn = 0;    // of the sections begun
  };

  void open_domain(const ShardDomain& source, const DocumentSet& heldout);
  // Of the shard opened last.
  void count_documents(Domain& domain, const std::vector<int64_t>& duplicates) const;
  int64_t sum_of(int64_t Domain::*count) const;
  void set_shares(const std::map<std::string, double>& weights);
  int64_t find_fingerprint() const;
  // The section that the domain gives after `drawn` others.
  Section section(const Domain& domain, int64_t drawn) const;
  size_t furthest_behind() const;
  void begin_section();

  LoaderOptions options_;
  std::vector<Domain> domains_;
  int64_t share_sum_ = 0;
  int64_t fingerprint_ = 0;      // of the data
  int64_t pieces_ = 0;           // given so far
  int64_t current_domain_ = -1;  // of the section that is under way; -1: none
  Section current_;              // what is left of it: begin moves on
};

}  // namespace dlcm::data
