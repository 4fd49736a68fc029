#include "data/bpe/json_tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <initializer_list>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "data/bpe/added_tokens.h"
#include "data/bpe/byte_pairs.h"
#include "data/bpe/json_value.h"
#include "data/bpe/normalizer.h"
#include "data/bpe/piece_cache.h"
#include "data/bpe/pre_tokenizer.h"
#include "data/bpe/unicode_classes.h"
#include "data/bpe/vocabulary.h"
#include "data/sha256.h"
#include "data/utf8.h"
#include "tensor/check.h"

namespace dlcm::data {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostFileBytes = size_t{512} << 20;

void refuse_unless_null(const JsonValue& root, const char* key) {
  if (root.has(key)) root[key].refuse("is not supported; expected null");
}

// Those that add nothing to the ids, or only what the caller adds: begin and end.
void check_post_processor(const JsonValue& field) {
  const std::string_view type = field.type();
  if (type == "Sequence") {
    for (const JsonValue& inner : field["processors"].elements()) {
      if (inner.type() != "ByteLevel" && inner.type() != "TemplateProcessing") {
        inner.refuse_name(inner.type(), {"ByteLevel", "TemplateProcessing"});
      }
    }
  } else if (type != "ByteLevel" && type != "TemplateProcessing") {
    field.refuse_name(type, {"ByteLevel", "TemplateProcessing", "a Sequence of them"});
  }
}

void check_decoder(const JsonValue& field) {
  if (field.is_null()) field.refuse("there is none; supported: ByteLevel");
  const bool in_sequence = field.type() == "Sequence";
  if (in_sequence && field["decoders"].size() != 1) field.refuse("supported is a Sequence of one, ByteLevel");
  const JsonValue decoder = in_sequence ? field["decoders"].element(0) : field;
  if (decoder.type() != "ByteLevel") decoder.refuse_name(decoder.type(), {"ByteLevel"});
}

void check_format(const JsonValue& root) {
  if (root.has("version") && root["version"].string() != "1.0") {
    root["version"].refuse_name(root["version"].string(), {"1.0"});
  }
  refuse_unless_null(root, "truncation");
  refuse_unless_null(root, "padding");
  if (root.has("post_processor")) check_post_processor(root["post_processor"]);
  check_decoder(root["decoder"]);
}

struct BeginAndEnd {
  int32_t begin;
  int32_t end;
};

// The id of the token that a tokenizer_config.json names.
std::optional<int32_t> configured(const JsonValue& config, const char* key, const Vocabulary& vocabulary) {
  if (!config.has(key)) return std::nullopt;
  const JsonValue field = config[key];
  const JsonValue name = field.is_object() ? field["content"] : field;
  const std::optional<int32_t> id = vocabulary.find(name.string());
  if (!id) name.refuse(concat("the token '", shown(name.string()), "' is not one of tokenizer.json"));
  return id;
}

std::optional<int32_t> well_known(std::initializer_list<const char*> names, const Vocabulary& vocabulary) {
  for (const char* name : names) {
    const auto& special = vocabulary.special;
    if (std::find(special.begin(), special.end(), name) != special.end()) return vocabulary.find(name);
  }
  return std::nullopt;
}

BeginAndEnd find_begin_and_end(const std::string& path, const Vocabulary& vocabulary) {
  const std::string config_path = (fs::path(path).parent_path() / "tokenizer_config.json").string();
  std::optional<int32_t> begin;
  std::optional<int32_t> end;
  std::error_code ignored;
  if (fs::exists(config_path, ignored)) {
    const JsonDocument document(config_path, read_file(config_path, kMostFileBytes));
    const JsonValue config = document.root();
    begin = configured(config, "bos_token", vocabulary);
    end = configured(config, "eos_token", vocabulary);
  }
  if (!begin && !end) {
    begin = well_known({"<｜begin▁of▁sentence｜>", "<|begin_of_text|>", "<s>", "<bos>", "<|endoftext|>"},
                       vocabulary);
    end = well_known(
        {"<｜end▁of▁sentence｜>", "<|end_of_text|>", "</s>", "<eos>", "<|im_end|>", "<|endoftext|>"},
        vocabulary);
  }
  DLCM_CHECK_INPUT(begin || end, "'", path,
                   "': no begin or end token: name them as bos_token and eos_token in '", config_path, "'");
  return {begin ? *begin : *end, end ? *end : *begin};
}

// None where an added token looks at its neighbours.
TextCutter make_cutter(const PreTokenizer& pre_tokenizer, const Normalizer& normalizer,
                       const Vocabulary& vocabulary) {
  Cuts cuts = normalizer.can_be_cut() ? pre_tokenizer.cuts() : Cuts::none;
  std::vector<std::string_view> kept;
  for (const auto* tokens : {&vocabulary.raw, &vocabulary.normalized}) {
    for (const AddedToken& token : *tokens) {
      if (token.single_word || token.left_strip || token.right_strip) cuts = Cuts::none;
      kept.push_back(token.content);
    }
  }
  return {cuts, normalizer.changes_nothing() ? CutCharacters::any : CutCharacters::ascii, kept};
}

// What one call of encode needs; kept for the next.
struct Work {
  PieceCache cache;
  BytePairs::Work pairs;
  std::vector<int32_t> piece;  // ids of one that the cache lacks
  std::vector<AddedTokens::Section> raw_sections;
  std::vector<AddedTokens::Section> sections;
  std::string normalized;
};

}  // namespace

struct JsonTokenizer::Parts {
  Parts(const std::string& path, const std::string& file_bytes, const JsonValue& root)
      : normalizer(root.has("normalizer") ? Normalizer(root["normalizer"]) : Normalizer()),
        pre_tokenizer(root["pre_tokenizer"]),
        vocabulary(read_vocabulary(root, normalizer)),
        raw(vocabulary.raw),
        normalized(vocabulary.normalized),
        pairs(vocabulary.byte_ids, vocabulary.merges),
        cutter(make_cutter(pre_tokenizer, normalizer, vocabulary)),
        ends(find_begin_and_end(path, vocabulary)),
        identity(concat(kTokenizerFile, " sha256=", sha256(file_bytes))) {
    for (const std::string& token : vocabulary.special) special_ids.insert(vocabulary.added.at(token));
    if (vocabulary.ignore_merges) {
      for (const TokenTable::Entry& entry : vocabulary.model.entries()) {
        if (const auto bytes = bytes_of_token(vocabulary.model.text(entry))) {
          whole_pieces.emplace(*bytes, entry.id);
        }
      }
    }
  }

  std::unique_ptr<Work> take_work() {
    const std::lock_guard lock(mutex);
    if (idle.empty()) return std::make_unique<Work>();
    std::unique_ptr<Work> work = std::move(idle.back());
    idle.pop_back();
    return work;
  }
  void give_back(std::unique_ptr<Work> work) {
    const std::lock_guard lock(mutex);
    idle.push_back(std::move(work));
  }

  void encode_valid(std::string_view text, Work& work, std::vector<int32_t>& ids) const;
  void encode_normalized(std::string_view text, Work& work, std::vector<int32_t>& ids) const;
  void encode_plain(std::string_view text, Work& work, std::vector<int32_t>& ids) const;
  void encode_batch(std::span<const std::string_view> pieces, Work& work, std::vector<int32_t>& ids) const;
  void encode_piece(std::string_view piece, Work& work, std::vector<int32_t>& ids) const;

  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Vocabulary vocabulary;
  AddedTokens raw;
  AddedTokens normalized;
  BytePairs pairs;
  TextCutter cutter;
  BeginAndEnd ends;
  std::string identity;
  std::unordered_set<int32_t> special_ids;
  std::unordered_map<std::string, int32_t> whole_pieces;  // with ignore_merges
  std::mutex mutex;
  std::vector<std::unique_ptr<Work>> idle;  // as many as there were calls at the same time
};

void JsonTokenizer::Parts::encode_piece(std::string_view piece, Work& work, std::vector<int32_t>& ids) const {
  if (vocabulary.ignore_merges) {
    if (const auto found = whole_pieces.find(std::string(piece)); found != whole_pieces.end()) {
      ids.push_back(found->second);
      return;
    }
  }
  pairs.encode(piece, work.pairs, ids);
}

void JsonTokenizer::Parts::encode_batch(std::span<const std::string_view> pieces, Work& work,
                                        std::vector<int32_t>& ids) const {
  std::array<PieceCache::Key, PieceBatch::kPieces> keys;
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].size() <= PieceCache::kMaxBytes) keys[i] = work.cache.key_of(pieces[i]);
  }
  // Room for what the cache has: it is copied without a look at how many they are.
  const auto room_from = [&](size_t i) { return (pieces.size() - i) * PieceCache::kMaxIds; };
  size_t count = ids.size();
  ids.resize(count + room_from(0));
  for (size_t i = 0; i < pieces.size(); ++i) {
    const bool is_short = pieces[i].size() <= PieceCache::kMaxBytes;
    if (const PieceCache::Entry* entry = is_short ? work.cache.find(keys[i]) : nullptr) {
      std::copy(entry->ids.begin(), entry->ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(count));
      count += entry->count;
      continue;
    }
    work.piece.clear();
    encode_piece(pieces[i], work, work.piece);
    if (is_short) work.cache.add(keys[i], work.piece);
    const size_t needed = count + work.piece.size() + room_from(i + 1);
    if (ids.size() < needed) ids.resize(needed + room_from(0));
    std::copy(work.piece.begin(), work.piece.end(), ids.begin() + static_cast<std::ptrdiff_t>(count));
    count += work.piece.size();
  }
  ids.resize(count);
}

// Text without added tokens.
void JsonTokenizer::Parts::encode_plain(std::string_view text, Work& work, std::vector<int32_t>& ids) const {
  pre_tokenizer.split(text,
                      [&](std::span<const std::string_view> pieces) { encode_batch(pieces, work, ids); });
}

void JsonTokenizer::Parts::encode_normalized(std::string_view text, Work& work,
                                             std::vector<int32_t>& ids) const {
  if (normalized.empty()) return encode_plain(text, work, ids);
  work.sections.clear();
  normalized.find(text, work.sections);
  for (const AddedTokens::Section& section : work.sections) {
    if (section.id != AddedTokens::kText) {
      ids.push_back(section.id);
    } else {
      encode_plain(text.substr(section.span.begin, section.span.end - section.span.begin), work, ids);
    }
  }
}

void JsonTokenizer::Parts::encode_valid(std::string_view text, Work& work, std::vector<int32_t>& ids) const {
  work.raw_sections.clear();
  raw.find(text, work.raw_sections);
  for (const AddedTokens::Section& section : work.raw_sections) {
    const std::string_view part = text.substr(section.span.begin, section.span.end - section.span.begin);
    if (section.id != AddedTokens::kText) {
      ids.push_back(section.id);
    } else if (normalizer.changes_nothing()) {
      encode_normalized(part, work, ids);
    } else {
      work.normalized = part;
      normalizer.normalize(work.normalized);
      encode_normalized(work.normalized, work, ids);
    }
  }
}

JsonTokenizer::JsonTokenizer(const std::string& path) {
  const std::string bytes = read_file(path, kMostFileBytes);
  const JsonDocument document(path, bytes);
  const JsonValue root = document.root();
  check_format(root);
  unicode_classes();  // takes a while: here, not in the first call of encode
  parts_ = std::make_unique<Parts>(path, bytes, root);
}

JsonTokenizer::~JsonTokenizer() = default;

int64_t JsonTokenizer::vocab_size() const {
  return static_cast<int64_t>(parts_->vocabulary.bytes.size());
}
std::string JsonTokenizer::identity() const {
  return parts_->identity;
}
int32_t JsonTokenizer::begin_id() const {
  return parts_->ends.begin;
}
int32_t JsonTokenizer::end_id() const {
  return parts_->ends.end;
}

bool JsonTokenizer::is_special(int32_t id) const {
  return Tokenizer::is_special(id) || parts_->special_ids.contains(id);
}

void JsonTokenizer::encode(std::string_view text, std::vector<int32_t>& ids) const {
  std::unique_ptr<Work> work = parts_->take_work();
  while (!text.empty()) {
    const size_t valid = first_invalid_utf8(text);
    parts_->encode_valid(text.substr(0, valid), *work, ids);
    text.remove_prefix(valid);
    if (text.empty()) break;
    parts_->pairs.encode(text.substr(0, 1), work->pairs, ids);
    text.remove_prefix(1);
  }
  parts_->give_back(std::move(work));
}

size_t JsonTokenizer::last_cut(std::string_view text, size_t from) const {
  return parts_->cutter.last_cut(text, from);
}

std::string_view JsonTokenizer::decode(int32_t id) const {
  DLCM_CHECK_INPUT(id >= 0 && id < vocab_size(), "tokenizer '", identity(), "': id ", id,
                   ", allowed are 0 to ", vocab_size() - 1);
  if (id == begin_id() || id == end_id()) return {};
  return parts_->vocabulary.bytes[static_cast<size_t>(id)];
}

}  // namespace dlcm::data
