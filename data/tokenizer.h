// From text to token ids and back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/atomic_file.h"

namespace dlcm::data {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  // What shards and checkpoints carry: the name and the SHA-256 of the vocabulary, "NAME sha256=HEX". Two
  // tokenizers with the same identity give the same ids.
  virtual std::string identity() const = 0;
  virtual int32_t begin_id() const = 0;  // before a document's first token
  virtual int32_t end_id() const = 0;    // after its last
  // What stands before a text that a model is to read: the begin token, unless the model has another habit.
  virtual std::vector<int32_t> prompt_begin() const { return {begin_id()}; }
  // Whether text ends with this id: the end token, unless the model has others.
  virtual bool ends_text(int32_t id) const { return id == end_id(); }
  // Whether the id is a mark of the file, as begin and end are, and no text: a special token of
  // tokenizer.json.
  virtual bool is_special(int32_t id) const { return id == begin_id() || id == end_id(); }
  // Appends the ids of the text, without begin and end. May be called by several threads at once.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids) const = 0;
  // The last place behind `from` at which the text may be cut: the ids of both parts together are those of
  // the whole, whatever follows the text. 0 where none is known. Looks at text[from - 1] and what follows it.
  virtual size_t last_cut(std::string_view text, size_t from) const = 0;
  // The bytes that the id stands for: empty for begin and end. Throws InputError outside [0, vocab_size). A
  // character may be spread over several ids.
  virtual std::string_view decode(int32_t id) const = 0;
};

// Ids 0 to 255 are the bytes of UTF-8 text, 256 is both begin and end. As there is no vocabulary file, the
// hash is that of the text "bytes 257".
class ByteTokenizer final : public Tokenizer {
 public:
  ByteTokenizer();
  int64_t vocab_size() const override { return 257; }
  std::string identity() const override;
  int32_t begin_id() const override { return 256; }
  int32_t end_id() const override { return 256; }
  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  size_t last_cut(std::string_view text, size_t from) const override;  // the last character's begin
  std::string_view decode(int32_t id) const override;

 private:
  std::string bytes_;  // all 256 in order
};

// "bytes", or the path of a tokenizer.json: see data/bpe/json_tokenizer.h.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& name_or_path);

// The identity in full of what a shard or checkpoint says: files of others may say "bytes" alone, which with
// 257 ids is the bytes tokenizer. Any other is as it stands.
std::string full_identity(const std::string& stated, int64_t vocab_size);

// Whether it is one of `bytes`, by name.
bool names_bytes(const std::string& identity);

// A tokenizer.json goes with what was made by it: a copy lies in the folder of the shards and in that of the
// run, with the tokenizer_config.json that names its begin and end where there is one.
inline constexpr char kTokenizerFile[] = "tokenizer.json";
inline constexpr char kTokenizerConfigFile[] = "tokenizer_config.json";
// Copies both to the folder, each whole or not at all; nothing for "bytes". The config is the one beside it.
void copy_tokenizer(const std::string& name_or_path, const std::string& to_folder);
// The same in two steps: the copies under temporary names, durable, and then their names, which the caller
// makes durable (sync_folder).
class TokenizerCopies {
 public:
  TokenizerCopies(const std::string& name_or_path, const std::string& to_folder);
  void publish();

 private:
  std::vector<std::unique_ptr<AtomicFile>> files_;
};
// Where the copy of a shard or checkpoint is looked for: in its folder, and in the one above.
std::vector<std::string> tokenizer_places(const std::string& shard_or_checkpoint);

// The tokenizer whose identity a shard or checkpoint carries: bytes, or the first of the files in `places`
// that is there and has it, with at most `vocab_size` ids (a model may have more); null where none has. Only
// text needs it: training and evaluation work on ids.
std::unique_ptr<Tokenizer> find_tokenizer(const std::string& identity, int64_t vocab_size,
                                          const std::vector<std::string>& places);
// InputError in place of null. `file` is for the message.
std::unique_ptr<Tokenizer> tokenizer_of_identity(const std::string& identity, int64_t vocab_size,
                                                 const std::vector<std::string>& places,
                                                 const std::string& file);

}  // namespace dlcm::data
