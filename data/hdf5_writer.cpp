#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "data/atomic_file.h"
#include "data/hdf5_internal.h"
#include "data/seal.h"

namespace dlcm::data {
namespace {

constexpr int64_t kChunkElements = 65536;
// Upper bounds, in bytes, of what HDF5 adds to the data. They are measured, as its documentation gives none
// (a test compares them with the files): about half of each is used where there are many of a kind, nearly
// all where a group has just enough members to be indexed.
constexpr uint64_t kFileOverhead = 8 << 10;     // seal, superblock, root group, the first heap of texts
constexpr uint64_t kGroupOverhead = 256;        // header; its index is in its members' bounds
constexpr uint64_t kDatasetOverhead = 512;      // header, entry in its group, one chunk
constexpr uint64_t kGrowingOverhead = 8 << 10;  // beyond that: the first blocks of the index of chunks
constexpr uint64_t kChunkOverhead = 72;         // checksum and index entry
constexpr uint64_t kAttributeOverhead = 512;  // header, entry; its value may be moved once, and leaves a hole

// Of the last part of a path: in its group's table, which may be moved once.
uint64_t name_bound(const std::string& name) {
  return 2 * (name.size() - (name.rfind('/') + 1));
}

// Whole rows of the last dimensions, about kChunkElements in all.
std::vector<hsize_t> chunk_sizes(const std::vector<int64_t>& sizes) {
  std::vector<hsize_t> chunk(sizes.size());
  int64_t left = kChunkElements;
  for (size_t axis = sizes.size(); axis-- > 0;) {
    const int64_t taken = std::clamp<int64_t>(sizes[axis], 1, left);
    chunk[axis] = static_cast<hsize_t>(taken);
    left = std::max<int64_t>(1, left / taken);
  }
  return chunk;
}

uint64_t dataset_bound(ElementType type, const std::vector<int64_t>& sizes) {
  const std::vector<hsize_t> chunk = chunk_sizes(sizes);
  uint64_t chunks = 1;
  uint64_t chunk_bytes = static_cast<uint64_t>(element_bytes(type));
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    chunks *= (static_cast<uint64_t>(sizes[axis]) + chunk[axis] - 1) / chunk[axis];
    chunk_bytes *= chunk[axis];
  }
  return kDatasetOverhead + chunks * (chunk_bytes + kChunkOverhead);
}

// The groups on the way to a dataset that are not in `known` yet, which has them then; outermost first.
std::vector<std::string> new_groups(const std::string& dataset, std::set<std::string>& known) {
  std::vector<std::string> added;
  for (size_t end = dataset.find('/', 1); end != std::string::npos; end = dataset.find('/', end + 1)) {
    const std::string name = dataset.substr(0, end);
    if (known.insert(name).second) added.push_back(name);
  }
  return added;
}

struct GrowingDataset {
  Hdf5Handle handle;
  ElementType type = ElementType::other;
  uint64_t chunk = 0;     // rows
  uint64_t row = 1;       // elements
  bool has_rows = false;  // rank 2
  uint64_t count = 0;     // rows so far

  // Sizes of so many rows, as HDF5 takes them; the dataset's rank of these count.
  std::array<hsize_t, 2> sizes(uint64_t rows) const { return {rows, row}; }
  int rank() const { return has_rows ? 2 : 1; }
};

}  // namespace

struct Hdf5Writer::State {
  explicit State(const std::string& path) : temporary(path), site{path, Hdf5Use::writing} {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    const Hdf5Session session;
    whole.close();
    growing.clear();
    file.close();
  }

  hid_t check(hid_t result, const std::string& what, const char* call) const {
    return hdf5_check(result, site, what, call);
  }
  Hdf5Handle create(const std::string& name, ElementType type, const std::vector<hsize_t>& sizes,
                    const std::vector<hsize_t>& chunk, bool grows);
  void create_whole(const std::string& name, ElementType type, const std::vector<hsize_t>& sizes,
                    const std::vector<hsize_t>& chunk) {
    const Hdf5Session session;
    whole = create(name, type, sizes, chunk, false);
  }
  void create_groups(const std::string& dataset);
  void write_rows(hid_t dataset, const std::string& what, ElementType type, const std::vector<hsize_t>& first,
                  const std::vector<hsize_t>& extent, const void* values) const;
  void close();
  void write_attribute(const std::string& name, hid_t type, hid_t space, const void* value);
  void need(uint64_t bytes) {
    needed += bytes;
    temporary.reserve(needed);
  }

  AtomicFile temporary;  // declared first: the HDF5 file is closed before it is removed
  Hdf5Site site;
  uint64_t needed = kFileOverhead;
  uint64_t planned = 0;
  Hdf5Handle file;
  Hdf5Handle whole;  // the dataset that is being written
  std::map<std::string, GrowingDataset> growing;
  std::set<std::string> groups;          // made so far
  std::set<std::string> planned_groups;  // announced so far
};

Hdf5Writer::Hdf5Writer(const std::string& path) : state_(std::make_unique<State>(path)) {
  const Hdf5Session session;
  State& state = *state_;
  const Hdf5Handle access = file_access(state.site);
  const Hdf5Handle creation(state.check(H5Pcreate(H5P_FILE_CREATE), "", "H5Pcreate"), H5Pclose);
  state.check(H5Pset_userblock(creation.get(), kSealBytes), "", "H5Pset_userblock");
  state.check(H5Pset_obj_track_times(creation.get(), false), "", "H5Pset_obj_track_times");
  const std::string& name = state.temporary.temporary();
  state.file = Hdf5Handle(
      state.check(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), "", "H5Fcreate"),
      H5Fclose);
  state.need(0);
}

Hdf5Writer::~Hdf5Writer() = default;
Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer& Hdf5Writer::operator=(Hdf5Writer&&) noexcept = default;

void Hdf5Writer::plan(const std::string& name, ElementType type, const std::vector<int64_t>& sizes) {
  for (const std::string& group : new_groups(name, state_->planned_groups)) {
    state_->planned += kGroupOverhead + name_bound(group);
  }
  state_->planned += dataset_bound(type, sizes) + name_bound(name);
}

uint64_t Hdf5Writer::reserved_bytes() const {
  return state_->temporary.reserved();
}

void Hdf5Writer::reserve_planned() {
  state_->temporary.reserve(state_->needed + state_->planned);
}

void Hdf5Writer::State::write_attribute(const std::string& name, hid_t type, hid_t space, const void* value) {
  const std::string what = quoted("attribute", name);
  const Hdf5Handle handle(
      check(H5Acreate2(file.get(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), what, "H5Acreate2"),
      H5Aclose);
  if (value != nullptr) check(H5Awrite(handle.get(), type, value), what, "H5Awrite");  // null: no elements
}

void Hdf5Writer::attribute(const std::string& name, const std::string& value) {
  const Hdf5Session session;
  DLCM_CHECK(value.find('\0') == std::string::npos, "cannot write '", state_->site.path, "': attribute '",
             name, "' holds a zero byte");
  state_->need(kAttributeOverhead + 2 * (name.size() + value.size()));
  const Hdf5Handle type(state_->check(H5Tcopy(H5T_C_S1), name, "H5Tcopy"), H5Tclose);
  state_->check(H5Tset_size(type.get(), H5T_VARIABLE), name, "H5Tset_size");
  state_->check(H5Tset_cset(type.get(), H5T_CSET_UTF8), name, "H5Tset_cset");
  const Hdf5Handle space(state_->check(H5Screate(H5S_SCALAR), name, "H5Screate"), H5Sclose);
  const char* text = value.c_str();
  state_->write_attribute(name, type.get(), space.get(), &text);
}

void Hdf5Writer::attribute(const std::string& name, int64_t value) {
  const Hdf5Session session;
  state_->need(kAttributeOverhead + 2 * name.size());
  const Hdf5Handle space(state_->check(H5Screate(H5S_SCALAR), name, "H5Screate"), H5Sclose);
  state_->write_attribute(name, H5T_STD_I64LE, space.get(), &value);
}

void Hdf5Writer::attribute(const std::string& name, const std::vector<int64_t>& values) {
  const Hdf5Session session;
  state_->need(kAttributeOverhead + 2 * name.size() + 3 * values.size() * sizeof(int64_t));
  const hsize_t count = values.size();
  const Hdf5Handle space(state_->check(H5Screate_simple(1, &count, nullptr), name, "H5Screate_simple"),
                         H5Sclose);
  state_->write_attribute(name, H5T_STD_I64LE, space.get(), values.empty() ? nullptr : values.data());
}

// The groups on the way to a dataset. HDF5 would make them itself, but with the time of day in each.
void Hdf5Writer::State::create_groups(const std::string& dataset) {
  for (const std::string& name : new_groups(dataset, groups)) {
    const std::string what = quoted("group", name);
    need(kGroupOverhead + name_bound(name));
    const Hdf5Handle creation(check(H5Pcreate(H5P_GROUP_CREATE), what, "H5Pcreate"), H5Pclose);
    check(H5Pset_obj_track_times(creation.get(), false), what, "H5Pset_obj_track_times");
    const Hdf5Handle group(
        check(H5Gcreate2(file.get(), name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), what,
              "H5Gcreate2"),
        H5Gclose);
  }
}

Hdf5Handle Hdf5Writer::State::create(const std::string& name, ElementType type,
                                     const std::vector<hsize_t>& sizes, const std::vector<hsize_t>& chunk,
                                     bool grows) {
  const std::string what = quoted("dataset", name);
  const int rank = static_cast<int>(sizes.size());
  const std::vector<hsize_t> limits(sizes.size(), H5S_UNLIMITED);
  const Hdf5Handle space(
      check(H5Screate_simple(rank, sizes.data(), grows ? limits.data() : nullptr), what, "H5Screate_simple"),
      H5Sclose);
  const Hdf5Handle layout(check(H5Pcreate(H5P_DATASET_CREATE), what, "H5Pcreate"), H5Pclose);
  check(H5Pset_obj_track_times(layout.get(), false), what, "H5Pset_obj_track_times");
  check(H5Pset_chunk(layout.get(), rank, chunk.data()), what, "H5Pset_chunk");
  check(H5Pset_fletcher32(layout.get()), what, "H5Pset_fletcher32");
  create_groups(name);
  return Hdf5Handle(check(H5Dcreate2(file.get(), name.c_str(), stored_type(type), space.get(), H5P_DEFAULT,
                                     layout.get(), H5P_DEFAULT),
                          what, "H5Dcreate2"),
                    H5Dclose);
}

// Block of a dataset: `extent` from `first` on, from memory where it is contiguous.
void Hdf5Writer::State::write_rows(hid_t dataset, const std::string& what, ElementType type,
                                   const std::vector<hsize_t>& first, const std::vector<hsize_t>& extent,
                                   const void* values) const {
  const Hdf5Handle in_file(check(H5Dget_space(dataset), what, "H5Dget_space"), H5Sclose);
  check(H5Sselect_hyperslab(in_file.get(), H5S_SELECT_SET, first.data(), nullptr, extent.data(), nullptr),
        what, "H5Sselect_hyperslab");
  const Hdf5Handle in_memory(check(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr),
                                   what, "H5Screate_simple"),
                             H5Sclose);
  check(H5Dwrite(dataset, native_type(type), in_memory.get(), in_file.get(), H5P_DEFAULT, values), what,
        "H5Dwrite");
}

// By pieces of whole chunks: whoever waits to read a shard while a checkpoint is written need not wait for
// all of it.
void Hdf5Writer::write_dataset(const std::string& name, ElementType type, const std::vector<int64_t>& sizes,
                               const void* values) {
  constexpr int64_t kChunksAtOnce = 16;
  DLCM_CHECK(!sizes.empty(), "cannot write '", state_->site.path, "': dataset '", name, "' has rank 0");
  state_->need(dataset_bound(type, sizes) + name_bound(name));
  const std::vector<hsize_t> chunk = chunk_sizes(sizes);
  std::vector<hsize_t> extent(sizes.begin(), sizes.end()), first(sizes.size(), 0);
  const std::string what = quoted("dataset", name);
  const int64_t count = std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
  const int64_t row_bytes = count == 0 ? 0 : count / sizes[0] * element_bytes(type);
  const int64_t piece =
      static_cast<int64_t>(chunk[0]) *
      std::max<int64_t>(1, kChunksAtOnce * kChunkElements * element_bytes(type) /
                               std::max<int64_t>(1, row_bytes * static_cast<int64_t>(chunk[0])));
  state_->create_whole(name, type, extent, chunk);
  for (int64_t row = 0; count > 0 && row < sizes[0]; row += piece) {
    const Hdf5Session session;
    first[0] = static_cast<hsize_t>(row);
    extent[0] = static_cast<hsize_t>(std::min(piece, sizes[0] - row));
    state_->write_rows(state_->whole.get(), what, type, first, extent,
                       static_cast<const char*>(values) + row * row_bytes);
  }
  const Hdf5Session session;
  state_->check(state_->whole.close(), what, "H5Dclose");
}

void Hdf5Writer::growing_dataset(const std::string& name, ElementType type, int64_t chunk, int64_t row) {
  const Hdf5Session session;
  state_->need(kDatasetOverhead + kGrowingOverhead + name_bound(name));
  GrowingDataset dataset;
  dataset.type = type;
  dataset.chunk = static_cast<uint64_t>(chunk);
  dataset.has_rows = row > 0;
  dataset.row = static_cast<uint64_t>(std::max<int64_t>(row, 1));
  std::vector<hsize_t> extent = {0, dataset.row};
  std::vector<hsize_t> chunks = {dataset.chunk, dataset.row};
  extent.resize(static_cast<size_t>(dataset.rank()));
  chunks.resize(static_cast<size_t>(dataset.rank()));
  dataset.handle = state_->create(name, type, extent, chunks, true);
  state_->growing.emplace(name, std::move(dataset));
}

void Hdf5Writer::append_values(const std::string& name, ElementType type, const void* values, int64_t count) {
  if (count == 0) return;
  const Hdf5Session session;
  GrowingDataset& dataset = state_->growing.at(name);
  DLCM_CHECK(static_cast<uint64_t>(count) % dataset.row == 0, "cannot write '", state_->site.path,
             "': dataset '", name, "' has rows of ", dataset.row, " elements, given are ", count);
  const auto chunks = [&](uint64_t rows) { return (rows + dataset.chunk - 1) / dataset.chunk; };
  const uint64_t added_rows = static_cast<uint64_t>(count) / dataset.row;
  const auto rank = static_cast<size_t>(dataset.rank());
  const std::array<hsize_t, 2> added = dataset.sizes(added_rows);
  const std::array<hsize_t, 2> total = dataset.sizes(dataset.count + added_rows);
  const uint64_t chunk_bytes =
      dataset.chunk * dataset.row * static_cast<uint64_t>(element_bytes(dataset.type));
  state_->need((chunks(total[0]) - chunks(dataset.count)) * (chunk_bytes + kChunkOverhead));
  const std::string what = quoted("dataset", name);
  const hid_t id = dataset.handle.get();
  state_->check(H5Dset_extent(id, total.data()), what, "H5Dset_extent");
  std::vector<hsize_t> first(rank, 0);
  first[0] = dataset.count;
  state_->write_rows(id, what, type, first, {added.begin(), added.begin() + static_cast<long>(rank)}, values);
  dataset.count = total[0];
}

void Hdf5Writer::State::close() {
  const Hdf5Session session;
  for (auto& [name, dataset] : growing) check(dataset.handle.close(), quoted("dataset", name), "H5Dclose");
  growing.clear();
  check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "", "H5Fflush");
  check(file.close(), "", "H5Fclose");
}

void Hdf5Writer::finish() {
  state_->close();
  write_seal(state_->temporary.descriptor(), state_->site.path);
  state_->temporary.finish();
}

void Hdf5Writer::publish(FolderSync sync) {
  state_->temporary.publish(sync);
}

void Hdf5Writer::start_write_back() const {
  state_->temporary.start_write_back();
}

}  // namespace dlcm::data
