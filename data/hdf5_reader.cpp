#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "data/hdf5_internal.h"
#include "data/open_files.h"
#include "data/seal.h"

namespace dlcm::data {
namespace {

constexpr int64_t kVerifyBytes = 4 << 20;

std::string shape_text(const std::vector<int64_t>& sizes) {
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) text += concat(i == 0 ? "" : ", ", sizes[i]);
  return text + "]";
}

herr_t collect_attribute(hid_t, const char* name, const H5A_info_t*, void* out) {
  static_cast<std::vector<std::string>*>(out)->emplace_back(name);
  return 0;
}

// Hard links alone: others may lead out of the file.
herr_t collect_dataset(hid_t group, const char* name, const H5L_info_t* link, void* out) {
  if (link->type != H5L_TYPE_HARD) return 0;
  const Hdf5Handle object(H5Oopen(group, name, H5P_DEFAULT), H5Oclose);
  if (!object.is_open()) return -1;
  if (H5Iget_type(object.get()) == H5I_DATASET) {
    static_cast<std::vector<std::string>*>(out)->push_back(std::string("/") + name);
  }
  return 0;
}

}  // namespace

struct Hdf5Reader::State final : PooledFile {
  explicit State(const std::string& path) : site{path, Hdf5Use::reading} {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    const Hdf5Session session;
    release();
  }

  template <class T>
  T check(T result, const std::string& what, const char* call) const {
    return hdf5_check(result, site, what, call);
  }
  // The open file; handles of it are good until another reader is used, which may close this one.
  hid_t file();
  hid_t dataset(const std::string& name);
  Hdf5Handle open_attribute(const std::string& name);
  std::string first_damaged_dataset(const Hdf5Reader& reader);

  Hdf5Site site;
  std::string real_path;  // what a link led to when it was verified: `latest.h5` moves on
  FileStamp stamp;        // of the file that was verified
  bool sealed = false;
  Hdf5Handle open_handle;
  std::map<std::string, Hdf5Handle> opened;  // datasets

 private:
  void open_file() override;
  void close_file() override;
};

hid_t Hdf5Reader::State::file() {
  use();
  return open_handle.get();
}

// What is read must be what was verified, also when the file was closed in between.
void Hdf5Reader::State::open_file() {
  const std::optional<FileStamp> found = file_stamp(real_path);
  DLCM_CHECK_INPUT(found.has_value(), "'", site.path,
                   "' is gone: it was there when this program verified it; bring it back and start again");
  DLCM_CHECK_INPUT(*found == stamp, "'", site.path,
                   "' has changed since this program verified it; start again with files that nobody writes");
  const Hdf5Handle access = file_access(site);
  open_handle =
      Hdf5Handle(check(H5Fopen(real_path.c_str(), H5F_ACC_RDONLY, access.get()), "", "H5Fopen"), H5Fclose);
}

void Hdf5Reader::State::close_file() {
  opened.clear();
  open_handle.close();
}

// The dataset whose own checksums show the damage of a file that its seal found damaged: "dataset '/tokens'";
// empty where none does.
std::string Hdf5Reader::State::first_damaged_dataset(const Hdf5Reader& reader) {
  try {
    for (const std::string& name : reader.datasets()) {
      try {
        reader.verify(name);
      } catch (const InputError&) {
        return quoted("dataset", name);
      }
    }
  } catch (const InputError&) {
    return "HDF5's own structures";
  }
  return {};
}

Hdf5Reader::Hdf5Reader(const std::string& path) : state_(std::make_unique<State>(path)) {
  std::error_code error;
  state_->real_path = std::filesystem::canonical(path, error).string();
  if (error) state_->real_path = path;
  const SealCheck seal = check_seal(state_->real_path, path);
  state_->stamp = seal.stamp;
  state_->sealed = seal.sealed;
  if (!seal.damage.empty()) {
    const bool readable = seal.damage.find("checksum") != std::string::npos;
    const std::string place = readable ? state_->first_damaged_dataset(*this) : "";
    throw InputError(concat("'", path, "': ", seal.damage, place.empty() ? "" : " (in " + place + ")",
                            "; copy it again or write it anew"));
  }
  const Hdf5Session session;
  state_->file();
}

Hdf5Reader::~Hdf5Reader() = default;
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader& Hdf5Reader::operator=(Hdf5Reader&&) noexcept = default;

const std::string& Hdf5Reader::path() const {
  return state_->site.path;
}

bool Hdf5Reader::sealed() const {
  return state_->sealed;
}

std::vector<std::string> Hdf5Reader::attribute_names() const {
  const Hdf5Session session;
  std::vector<std::string> names;
  state_->check(H5Aiterate2(state_->file(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect_attribute, &names),
                "", "H5Aiterate2");
  std::sort(names.begin(), names.end());
  return names;
}

bool Hdf5Reader::has_attribute(const std::string& name) const {
  const Hdf5Session session;
  return state_->check(H5Aexists(state_->file(), name.c_str()), quoted("attribute", name), "H5Aexists") > 0;
}

Hdf5Handle Hdf5Reader::State::open_attribute(const std::string& name) {
  const std::string what = quoted("attribute", name);
  const htri_t exists = check(H5Aexists(file(), name.c_str()), what, "H5Aexists");
  DLCM_CHECK_INPUT(exists > 0, "'", site.path, "' has no attribute '", name, "'");
  return Hdf5Handle(check(H5Aopen(file(), name.c_str(), H5P_DEFAULT), what, "H5Aopen"), H5Aclose);
}

bool Hdf5Reader::is_text_attribute(const std::string& name) const {
  const Hdf5Session session;
  const Hdf5Handle handle = state_->open_attribute(name);
  const Hdf5Handle type(state_->check(H5Aget_type(handle.get()), name, "H5Aget_type"), H5Tclose);
  return H5Tget_class(type.get()) == H5T_STRING;
}

std::string Hdf5Reader::text_attribute(const std::string& name) const {
  const Hdf5Session session;
  const std::string what = quoted("attribute", name);
  const Hdf5Handle handle = state_->open_attribute(name);
  const Hdf5Handle type(state_->check(H5Aget_type(handle.get()), what, "H5Aget_type"), H5Tclose);
  const Hdf5Handle space(state_->check(H5Aget_space(handle.get()), what, "H5Aget_space"), H5Sclose);
  DLCM_CHECK_INPUT(H5Tget_class(type.get()) == H5T_STRING && H5Sget_simple_extent_npoints(space.get()) == 1,
                   "'", path(), "': ", what, " is not text, expected one text");
  if (H5Tis_variable_str(type.get()) > 0) {
    char* text = nullptr;
    const Hdf5Handle memory(state_->check(H5Tcopy(type.get()), what, "H5Tcopy"), H5Tclose);
    state_->check(H5Aread(handle.get(), memory.get(), &text), what, "H5Aread");
    std::string value = text == nullptr ? "" : text;
    H5free_memory(text);
    return value;
  }
  std::string value(H5Tget_size(type.get()), '\0');
  state_->check(H5Aread(handle.get(), type.get(), value.data()), what, "H5Aread");
  value.resize(std::min(value.find('\0'), value.size()));
  return value;
}

std::vector<int64_t> Hdf5Reader::integers_attribute(const std::string& name) const {
  const Hdf5Session session;
  const std::string what = quoted("attribute", name);
  const Hdf5Handle handle = state_->open_attribute(name);
  const Hdf5Handle type(state_->check(H5Aget_type(handle.get()), what, "H5Aget_type"), H5Tclose);
  const Hdf5Handle space(state_->check(H5Aget_space(handle.get()), what, "H5Aget_space"), H5Sclose);
  DLCM_CHECK_INPUT(H5Tget_class(type.get()) == H5T_INTEGER, "'", path(), "': ", what,
                   " does not hold integers, as expected");
  const hssize_t count =
      state_->check(H5Sget_simple_extent_npoints(space.get()), what, "H5Sget_simple_extent_npoints");
  std::vector<int64_t> values(static_cast<size_t>(count));
  if (count > 0) state_->check(H5Aread(handle.get(), H5T_NATIVE_INT64, values.data()), what, "H5Aread");
  return values;
}

int64_t Hdf5Reader::integer_attribute(const std::string& name) const {
  const std::vector<int64_t> values = integers_attribute(name);
  DLCM_CHECK_INPUT(values.size() == 1, "'", path(), "': attribute '", name, "' has ", values.size(),
                   " values, expected one integer");
  return values[0];
}

void Hdf5Reader::require_format(const char* what, const std::string& format, int64_t newest) const {
  DLCM_CHECK_INPUT(has_attribute("format"), "'", path(), "' is not ", what,
                   ": it has no attribute 'format', expected '", format, "'");
  const std::string found = text_attribute("format");
  DLCM_CHECK_INPUT(found == format, "'", path(), "' is not ", what, ": its attribute 'format' is '", found,
                   "', expected '", format, "'");
  const int64_t version = integer_attribute("version");
  DLCM_CHECK_INPUT(version >= 1 && version <= newest, "'", path(), "': attribute 'version' is ", version,
                   ", expected 1", newest > 1 ? concat(" to ", newest) : "",
                   ": read it with the program that wrote it");
}

std::vector<std::string> Hdf5Reader::datasets() const {
  const Hdf5Session session;
  std::vector<std::string> names;
  state_->check(H5Lvisit(state_->file(), H5_INDEX_NAME, H5_ITER_INC, collect_dataset, &names), "",
                "H5Lvisit");
  std::sort(names.begin(), names.end());
  return names;
}

bool Hdf5Reader::has_dataset(const std::string& name) const {
  const Hdf5Session session;
  if (state_->opened.count(name) > 0) return true;
  const hid_t file = state_->file();
  // H5Lexists wants every group on the way to exist.
  for (size_t end = name.find('/', 1); true; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    if (H5Lexists(file, part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (end == std::string::npos) return true;
  }
}

namespace {

// HDF5 keeps chunks that fit into a cache of 1 MiB. A larger one, as other programs write them, it would read
// and check anew for each range that is read of it.
constexpr size_t kDefaultChunkCache = size_t{1} << 20;
constexpr size_t kMostChunkCache = size_t{32} << 20;

// 0 where the dataset has no chunks.
size_t chunk_bytes(hid_t dataset) {
  const Hdf5Handle layout(H5Dget_create_plist(dataset), H5Pclose);
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  if (H5Pget_layout(layout.get()) != H5D_CHUNKED) return 0;
  std::array<hsize_t, H5S_MAX_RANK> sizes{};
  const int rank = H5Pget_chunk(layout.get(), static_cast<int>(sizes.size()), sizes.data());
  double bytes = static_cast<double>(H5Tget_size(type.get()));  // the product may be beyond 64 bits
  for (int axis = 0; axis < rank; ++axis) bytes *= static_cast<double>(sizes[static_cast<size_t>(axis)]);
  return static_cast<size_t>(std::min(bytes, 1e18));
}

}  // namespace

hid_t Hdf5Reader::State::dataset(const std::string& name) {
  const hid_t in = file();
  const auto found = opened.find(name);
  if (found != opened.end()) return found->second.get();
  const std::string what = quoted("dataset", name);
  Hdf5Handle handle(check(H5Dopen2(in, name.c_str(), H5P_DEFAULT), what, "H5Dopen2"), H5Dclose);
  if (const size_t bytes = chunk_bytes(handle.get());
      bytes > kDefaultChunkCache && bytes <= kMostChunkCache) {
    const Hdf5Handle access(check(H5Pcreate(H5P_DATASET_ACCESS), what, "H5Pcreate"), H5Pclose);
    check(H5Pset_chunk_cache(access.get(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, bytes, 1.0), what,
          "H5Pset_chunk_cache");
    handle = Hdf5Handle();
    handle = Hdf5Handle(check(H5Dopen2(in, name.c_str(), access.get()), what, "H5Dopen2"), H5Dclose);
  }
  return opened.emplace(name, std::move(handle)).first->second.get();
}

DatasetInfo Hdf5Reader::info(const std::string& name) const {
  const Hdf5Session session;
  DLCM_CHECK_INPUT(has_dataset(name), "'", path(), "' has no dataset '", name, "'");
  const std::string what = quoted("dataset", name);
  const hid_t id = state_->dataset(name);
  const Hdf5Handle type(state_->check(H5Dget_type(id), what, "H5Dget_type"), H5Tclose);
  const Hdf5Handle space(state_->check(H5Dget_space(id), what, "H5Dget_space"), H5Sclose);
  const Hdf5Handle layout(state_->check(H5Dget_create_plist(id), what, "H5Dget_create_plist"), H5Pclose);
  const int rank = state_->check(H5Sget_simple_extent_ndims(space.get()), what, "H5Sget_simple_extent_ndims");
  std::vector<hsize_t> extent(static_cast<size_t>(rank));
  state_->check(H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr), what,
                "H5Sget_simple_extent_dims");
  DatasetInfo info;
  info.type = element_of(type.get());
  info.sizes.assign(extent.begin(), extent.end());
  for (const int64_t size : info.sizes) {
    const bool fits = !__builtin_mul_overflow(info.count, size, &info.count) && size >= 0;
    DLCM_CHECK_INPUT(fits && info.count < (int64_t{1} << 60), "'", path(), "': ", what,
                     " has impossible sizes ", shape_text(info.sizes));
  }
  info.stored_bytes = static_cast<int64_t>(H5Dget_storage_size(id));
  const int filters = H5Pget_nfilters(layout.get());
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, config = 0;
    size_t values = 0;
    const auto index = static_cast<unsigned>(i);
    const H5Z_filter_t filter =
        H5Pget_filter2(layout.get(), index, &flags, &values, nullptr, 0, nullptr, &config);
    info.checksummed |= filter == H5Z_FILTER_FLETCHER32;
  }
  return info;
}

DatasetInfo Hdf5Reader::require_dataset(const std::string& name, int64_t rank,
                                        const std::vector<ElementType>& types) const {
  DatasetInfo found = info(name);
  const bool known = std::find(types.begin(), types.end(), found.type) != types.end();
  if (!known) {
    std::string expected;
    for (const ElementType type : types)
      expected += concat(expected.empty() ? "" : " or ", element_name(type));
    throw InputError(concat("'", path(), "': dataset '", name, "' holds ", element_name(found.type),
                            ", expected ", expected));
  }
  DLCM_CHECK_INPUT(static_cast<int64_t>(found.sizes.size()) == rank, "'", path(), "': dataset '", name,
                   "' has shape ", shape_text(found.sizes), ", expected ", rank, " dimension",
                   rank == 1 ? "" : "s");
  return found;
}

void Hdf5Reader::read_values(const std::string& name, ElementType type, int64_t first, int64_t count,
                             void* out) const {
  const Hdf5Session session;
  const std::string what = quoted("dataset", name);
  DLCM_CHECK_INPUT(has_dataset(name), "'", path(), "' has no ", what);
  const hid_t id = state_->dataset(name);
  const hid_t memory_type = native_type(type);
  if (first < 0) {
    state_->check(H5Dread(id, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out), what, "H5Dread");
    return;
  }
  if (count == 0) return;
  const Hdf5Handle in_file(state_->check(H5Dget_space(id), what, "H5Dget_space"), H5Sclose);
  const auto start = static_cast<hsize_t>(first);
  const auto length = static_cast<hsize_t>(count);
  const int rank = H5Sget_simple_extent_ndims(in_file.get());
  DLCM_CHECK(rank == 1, "'", path(), "': a range of ", what, " of ", rank, " dimensions");
  state_->check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, &start, nullptr, &length, nullptr), what,
                "H5Sselect_hyperslab");
  const Hdf5Handle in_memory(state_->check(H5Screate_simple(1, &length, nullptr), what, "H5Screate_simple"),
                             H5Sclose);
  state_->check(H5Dread(id, memory_type, in_memory.get(), in_file.get(), H5P_DEFAULT, out), what, "H5Dread");
}

void Hdf5Reader::verify(const std::string& name) const {
  const DatasetInfo found = info(name);
  if (found.count == 0 || found.sizes.empty() || found.type == ElementType::other) return;
  const Hdf5Session session;
  const std::string what = quoted("dataset", name);
  const hid_t id = state_->dataset(name);
  // Slabs of whole leading rows.
  const int64_t row_bytes = found.count / found.sizes[0] * element_bytes(found.type);
  const int64_t rows = std::clamp<int64_t>(kVerifyBytes / std::max<int64_t>(1, row_bytes), 1, found.sizes[0]);
  std::vector<char> buffer(static_cast<size_t>(rows * row_bytes));
  std::vector<hsize_t> start(found.sizes.size(), 0);
  std::vector<hsize_t> length(found.sizes.begin(), found.sizes.end());
  const Hdf5Handle in_file(state_->check(H5Dget_space(id), what, "H5Dget_space"), H5Sclose);
  for (int64_t row = 0; row < found.sizes[0]; row += rows) {
    start[0] = static_cast<hsize_t>(row);
    length[0] = static_cast<hsize_t>(std::min(rows, found.sizes[0] - row));
    state_->check(
        H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, start.data(), nullptr, length.data(), nullptr),
        what, "H5Sselect_hyperslab");
    const Hdf5Handle in_memory(
        state_->check(H5Screate_simple(static_cast<int>(length.size()), length.data(), nullptr), what,
                      "H5Screate_simple"),
        H5Sclose);
    state_->check(
        H5Dread(id, native_type(found.type), in_memory.get(), in_file.get(), H5P_DEFAULT, buffer.data()),
        what, "H5Dread");
  }
}

}  // namespace dlcm::data
