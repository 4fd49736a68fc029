// HDF5 files as this project writes and reads them. HDF5's own headers stay in the sources.
//
// Every dataset is chunked and carries the fletcher32 checksum; metadata carries HDF5's checksums (file
// format of HDF5 1.10); the file as a whole is sealed (data/seal.h) and appears atomically
// (data/atomic_file.h). A file holds no times of day: equal content gives equal bytes.
//
// What is wrong with a file that is read is an InputError that names file and dataset or attribute; what
// fails while writing is an Error. One line each; HDF5's own error printing is silenced.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/atomic_file.h"

namespace dlcm::data {

enum class ElementType : uint8_t { f32, f64, i32, i64, u8, u16, u32, u64, other };
const char* element_name(ElementType type);  // "float32", "uint16", ...
int64_t element_bytes(ElementType type);     // of one element; 0 for `other`

template <class T>
inline constexpr ElementType kElementOf = ElementType::other;
template <>
inline constexpr ElementType kElementOf<float> = ElementType::f32;
template <>
inline constexpr ElementType kElementOf<double> = ElementType::f64;
template <>
inline constexpr ElementType kElementOf<int32_t> = ElementType::i32;
template <>
inline constexpr ElementType kElementOf<int64_t> = ElementType::i64;
template <>
inline constexpr ElementType kElementOf<uint8_t> = ElementType::u8;
template <>
inline constexpr ElementType kElementOf<uint16_t> = ElementType::u16;
template <>
inline constexpr ElementType kElementOf<uint32_t> = ElementType::u32;
template <>
inline constexpr ElementType kElementOf<uint64_t> = ElementType::u64;

struct DatasetInfo {
  ElementType type = ElementType::other;
  std::vector<int64_t> sizes;  // of the dimensions, slowest first; empty for a scalar
  int64_t count = 1;           // elements
  int64_t stored_bytes = 0;    // in the file
  bool checksummed = false;    // whether fletcher32 is among its filters
};

class Hdf5Writer {
 public:
  // Creates the temporary of `path`, whose folder must exist.
  explicit Hdf5Writer(const std::string& path);
  ~Hdf5Writer();
  Hdf5Writer(Hdf5Writer&&) noexcept;
  Hdf5Writer& operator=(Hdf5Writer&&) noexcept;

  // Announces datasets to come, so that the disk space of all of them is taken before the first is written.
  void plan(const std::string& name, ElementType type, const std::vector<int64_t>& sizes);
  void reserve_planned();
  // Disk space taken so far: never less than what is written, and seldom twice as much.
  uint64_t reserved_bytes() const;

  // Attributes of the file. Text is variable-length UTF-8.
  void attribute(const std::string& name, const std::string& value);
  void attribute(const std::string& name, int64_t value);
  void attribute(const std::string& name, const std::vector<int64_t>& values);  // rank 1

  // A whole dataset; groups on the way are made. T: one of ElementType's.
  template <class T>
  void dataset(const std::string& name, const std::vector<int64_t>& sizes, const T* values) {
    write_dataset(name, kElementOf<T>, sizes, values);
  }
  // A dataset that grows, in chunks of `chunk` rows: of rank 1, or of rank 2 with rows of `row` elements
  // where that is not 0. What is appended is whole rows; `count` counts elements.
  void growing_dataset(const std::string& name, ElementType type, int64_t chunk, int64_t row = 0);
  template <class T>
  void append(const std::string& name, const T* values, int64_t count) {
    append_values(name, kElementOf<T>, values, count);
  }

  // Closes, seals and makes durable; publish() then gives the file its name. A writer that is destroyed
  // before leaves nothing.
  void finish();
  void publish(FolderSync sync = FolderSync::now);
  // Has the system begin to write to the disk; for long files, now and then.
  void start_write_back() const;

 private:
  void write_dataset(const std::string& name, ElementType type, const std::vector<int64_t>& sizes,
                     const void* values);
  void append_values(const std::string& name, ElementType type, const void* values, int64_t count);

  struct State;
  std::unique_ptr<State> state_;
};

// A reader holds its file open only as long as few are open (data/open_files.h), and opens it again when it
// is used. What is read is what was verified: a file that was replaced, written or removed since is then an
// InputError. While it stays open, a file that was replaced or removed by name is read on as it was, and one
// that somebody writes to in place is noticed by the checksums of its chunks.
class Hdf5Reader {
 public:
  // Opens the file and, where it is sealed, verifies all of it, once. Damage names the dataset where its own
  // checksum tells.
  explicit Hdf5Reader(const std::string& path);
  ~Hdf5Reader();
  Hdf5Reader(Hdf5Reader&&) noexcept;
  Hdf5Reader& operator=(Hdf5Reader&&) noexcept;

  const std::string& path() const;
  bool sealed() const;

  std::vector<std::string> attribute_names() const;  // of the file, sorted
  bool has_attribute(const std::string& name) const;
  bool is_text_attribute(const std::string& name) const;
  std::string text_attribute(const std::string& name) const;
  int64_t integer_attribute(const std::string& name) const;
  std::vector<int64_t> integers_attribute(const std::string& name) const;  // rank 1
  // Throws where the attribute `format` is not `format` or `version` is above `newest` or below 1. `what` is
  // the kind of file in words: "a checkpoint".
  void require_format(const char* what, const std::string& format, int64_t newest) const;

  std::vector<std::string> datasets() const;  // full paths "/group/name", sorted
  bool has_dataset(const std::string& name) const;
  DatasetInfo info(const std::string& name) const;
  // Likewise, after checking that the dataset has the rank and one of the types.
  DatasetInfo require_dataset(const std::string& name, int64_t rank,
                              const std::vector<ElementType>& types) const;

  // All elements, converted to T where the file's type is another.
  template <class T>
  void read(const std::string& name, T* out) const {
    read_values(name, kElementOf<T>, -1, 0, out);
  }
  // Elements [first, first + count) of a dataset of rank 1.
  template <class T>
  void read_range(const std::string& name, int64_t first, int64_t count, T* out) const {
    read_values(name, kElementOf<T>, first, count, out);
  }
  // Reads the dataset through, a chunk at a time, so that its checksums are compared.
  void verify(const std::string& name) const;

 private:
  void read_values(const std::string& name, ElementType type, int64_t first, int64_t count, void* out) const;

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dlcm::data
