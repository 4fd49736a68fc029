// Reading a JSON file whose every mistake ends in one InputError that says where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>

#include <simdjson.h>

namespace dlcm::data {

class JsonElements;

// A value and where it stands: "'my/tokenizer.json': model.merges[3]". Views of strings last as long as the
// document.
class JsonValue {
 public:
  const std::string& place() const { return place_; }
  const simdjson::dom::element& value() const { return value_; }
  const char* type_name() const;  // "object", "number", ...
  std::string dump() const;
  bool is_null() const { return value_.is_null(); }
  bool is_object() const { return value_.is_object(); }
  bool has(std::string_view key) const;              // and it is not null
  bool contains(std::string_view key) const;         // also where it is null
  JsonValue operator[](std::string_view key) const;  // which must be there; of several the last
  simdjson::dom::object object() const;
  simdjson::dom::array array() const;
  size_t size() const;                // of an array; takes time linear in it
  JsonValue element(size_t i) const;  // of an array; takes time linear in i: loops go through elements()
  JsonElements elements() const;
  // Of an object by key, of several of a key the last: for many lookups. A single one is operator[].
  std::unordered_map<std::string_view, JsonValue> fields() const;

  std::string_view string() const;
  bool boolean() const;
  int64_t integer(int64_t least, int64_t most) const;
  double number() const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  // The field `type`.
  std::string_view type() const { return (*this)["type"].string(); }

  [[noreturn]] void refuse(std::string_view what) const;
  // "is 'x', supported: a, b"
  [[noreturn]] void refuse_name(std::string_view found,
                                std::initializer_list<std::string_view> supported) const;

 private:
  friend class JsonDocument;
  friend class JsonElements;
  JsonValue(simdjson::dom::element value, std::string file) : value_(value), place_(std::move(file)) {}
  JsonValue(simdjson::dom::element value, const JsonValue& parent, std::string_view step);
  void expect(bool right, std::string_view expected) const;
  bool find(std::string_view key, simdjson::dom::element& found) const;

  simdjson::dom::element value_;
  std::string place_;
  bool root_ = true;
};

// Those of an array, made one at a time: for (const JsonValue& value : array.elements()).
class JsonElements {
 public:
  class Iterator {
   public:
    Iterator(simdjson::dom::array::iterator at, const JsonElements& of) : at_(at), of_(&of) {}
    JsonValue operator*() const;
    Iterator& operator++();
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    simdjson::dom::array::iterator at_;
    const JsonElements* of_;
    size_t index_ = 0;
  };

  explicit JsonElements(const JsonValue& array) : parent_(array), array_(array.array()) {}
  Iterator begin() const { return {array_.begin(), *this}; }
  Iterator end() const { return {array_.end(), *this}; }

 private:
  JsonValue parent_;
  simdjson::dom::array array_;
};

// The content of a file that must be JSON. Throws InputError that names it.
class JsonDocument {
 public:
  JsonDocument(const std::string& path, const std::string& bytes);
  JsonValue root() const { return {parser_.doc.root(), "'" + path_ + "'"}; }

 private:
  std::string path_;
  simdjson::dom::parser parser_;
};

// `text` may show up in a message: short and in one line.
std::string shown(std::string_view text);

// The content of a regular file of at most `most_bytes`, which is not empty.
std::string read_file(const std::string& path, size_t most_bytes);

}  // namespace dlcm::data
