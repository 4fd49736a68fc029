#include "apps/tokenize/shard_set.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "data/atomic_file.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> existing_shards(const std::string& folder) {
  std::vector<std::string> paths = data::shard_paths(folder, "train");
  const std::vector<std::string> heldout = data::shard_paths(folder, "heldout");
  paths.insert(paths.end(), heldout.begin(), heldout.end());
  return paths;
}

// What the mark says: whether shards of an earlier, complete run may be in the folder.
constexpr char kFirstRun[] = "tokenize was naming shards in a folder that held none\n";
constexpr char kReplacing[] = "tokenize was replacing shards\n";

std::string mark_path(const std::string& folder) {
  return (fs::path(folder) / data::kIncompleteMark).string();
}

std::string read_mark(const std::string& folder) {
  std::ifstream file(mark_path(folder), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

bool is_heldout(std::string_view text, double share) {
  return is_heldout_hash(hash_name(text), share);
}

bool is_heldout_hash(uint64_t name_hash, double share) {
  // FNV-1a leaves its upper bits poorly mixed.
  return static_cast<double>(mixed_bits(name_hash) >> 11) * 0x1.0p-53 < share;
}

ShardSet::ShardSet(std::string folder, data::ShardHeader header, int64_t shard_tokens, bool overwrite)
    : folder_(std::move(folder)),
      header_(std::move(header)),
      shard_tokens_(shard_tokens),
      parts_((fs::path(folder_) / "document.tokens").string()) {
  std::error_code error;
  DLCM_CHECK_INPUT(!fs::exists(folder_, error) || fs::is_directory(folder_, error), "--output '", folder_,
                   "' is a file, expected a folder");
  fs::create_directories(folder_, error);
  DLCM_CHECK(!error, "cannot make the folder '", folder_, "': ", error.message());
  const std::vector<std::string> existing = existing_shards(folder_);
  first_run_ = data::is_incomplete(folder_) ? read_mark(folder_) == kFirstRun : existing.empty();
  DLCM_CHECK_INPUT(existing.empty() || first_run_ || overwrite, "'", folder_, "' holds shards already ('",
                   existing[0], "'): choose another --output, or replace them with --overwrite");
}

void ShardSet::open_shard(Split& split) {
  if (!split.writers.empty()) split.writers.back()->finish();
  char number[32];
  std::snprintf(number, sizeof(number), "-%05zu.h5", split.writers.size());
  split.paths.push_back((fs::path(folder_) / (split.kind + number)).string());
  split.writers.push_back(std::make_unique<data::ShardWriter>(split.paths.back(), header_));
}

// Of the shard that a document of so many tokens belongs to, which is counted.
data::ShardWriter& ShardSet::writer_for(int64_t count, int64_t bytes, bool heldout) {
  Split& split = heldout ? heldout_ : train_;
  // A document that is larger than a shard gets one for itself.
  const bool full = !split.writers.empty() && split.writers.back()->documents() > 0 &&
                    split.writers.back()->tokens() + count > shard_tokens_;
  if (split.writers.empty() || full) open_shard(split);
  ++split.counts.documents;
  split.counts.tokens += count;
  split.counts.bytes += bytes;
  return *split.writers.back();
}

void ShardSet::add(std::span<const int32_t> tokens, int64_t bytes, bool heldout) {
  writer_for(static_cast<int64_t>(tokens.size()), bytes, heldout).add(tokens, bytes);
}

void ShardSet::add_part(std::span<const int32_t> tokens) {
  parts_.add(tokens);
}

void ShardSet::end_document(int64_t bytes, bool heldout) {
  data::ShardWriter& writer = writer_for(parts_.tokens(), bytes, heldout);
  parts_.take([&](std::span<const int32_t> tokens) { writer.add_part(tokens); });
  writer.end_document(bytes);
}

void ShardSet::finish() {
  for (Split* split : {&train_, &heldout_}) {
    if (!split->writers.empty()) split->writers.back()->finish();
  }
}

void ShardSet::publish() {
  std::set<std::string> written;
  for (Split* split : {&train_, &heldout_}) {
    for (const auto& writer : split->writers) writer->publish(data::FolderSync::by_caller);
    written.insert(split->paths.begin(), split->paths.end());
  }
  data::sync_folder(folder_);
  for (const std::string& path : existing_shards(folder_)) {
    if (!written.contains(path)) data::remove_durably(path);
  }
}

void ShardSet::mark_incomplete() {
  data::write_file(mark_path(folder_), first_run_ ? kFirstRun : kReplacing);
}

void ShardSet::mark_complete() {
  data::remove_durably(mark_path(folder_));
}

}  // namespace dlcm::apps
