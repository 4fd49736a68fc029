#include "data/hdf5_internal.h"

#include <algorithm>

#ifdef __SANITIZE_ADDRESS__
// HDF5 1.10 leaks a few hundred bytes when it finds damaged metadata: not ours to report.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}
extern "C" const char* __lsan_default_options() {
  return "print_suppressions=0";
}
#endif

namespace dlcm::data {
namespace {

herr_t keep_first_reason(unsigned, const H5E_error2_t* entry, void* out) {
  auto& reason = *static_cast<std::string*>(out);
  if (reason.empty() && entry->desc != nullptr) reason = entry->desc;
  return 0;
}

std::recursive_mutex& hdf5_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

}  // namespace

// HDF5 prints its error stack unless told otherwise; and after a write that failed (a full disk) its handler
// at exit crashes in 1.10. All handles are closed by their owners, so that it has nothing to do.
Hdf5Session::Hdf5Session() : lock_(hdf5_mutex()) {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

const char* element_name(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return "float32";
    case ElementType::f64:
      return "float64";
    case ElementType::i32:
      return "int32";
    case ElementType::i64:
      return "int64";
    case ElementType::u8:
      return "uint8";
    case ElementType::u16:
      return "uint16";
    case ElementType::u32:
      return "uint32";
    case ElementType::u64:
      return "uint64";
    case ElementType::other:
      break;
  }
  return "another type";
}

int64_t element_bytes(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return 1;
    case ElementType::u16:
      return 2;
    case ElementType::f32:
    case ElementType::i32:
    case ElementType::u32:
      return 4;
    case ElementType::f64:
    case ElementType::i64:
    case ElementType::u64:
      return 8;
    case ElementType::other:
      break;
  }
  return 0;
}

std::string hdf5_reason() {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first_reason, &reason);
  // Failed reads and writes come with time, file name, addresses: the system's words are enough.
  constexpr char kMark[] = "error message = '";
  const size_t mark = reason.find(kMark);
  if (mark != std::string::npos) {
    const size_t begin = mark + sizeof(kMark) - 1;
    reason = reason.substr(begin, reason.find('\'', begin) - begin);
  }
  std::replace(reason.begin(), reason.end(), '\n', ' ');
  return reason;
}

void hdf5_fail(const Hdf5Site& site, const std::string& what, const char* call) {
  const std::string reason = hdf5_reason();
  const std::string detail =
      concat(what.empty() ? "" : what + ": ", call, " failed", reason.empty() ? "" : ": " + reason);
  if (site.use == Hdf5Use::writing) throw Error(concat("cannot write '", site.path, "': ", detail));
  throw InputError(concat("'", site.path, "': damaged or truncated: ", detail));
}

hid_t native_type(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return H5T_NATIVE_FLOAT;
    case ElementType::f64:
      return H5T_NATIVE_DOUBLE;
    case ElementType::i32:
      return H5T_NATIVE_INT32;
    case ElementType::i64:
      return H5T_NATIVE_INT64;
    case ElementType::u8:
      return H5T_NATIVE_UINT8;
    case ElementType::u16:
      return H5T_NATIVE_UINT16;
    case ElementType::u32:
      return H5T_NATIVE_UINT32;
    case ElementType::u64:
      return H5T_NATIVE_UINT64;
    case ElementType::other:
      break;
  }
  throw Error("HDF5: this element type cannot be read or written");
}

hid_t stored_type(ElementType type) {
  switch (type) {
    case ElementType::f32:
      return H5T_IEEE_F32LE;
    case ElementType::f64:
      return H5T_IEEE_F64LE;
    case ElementType::i32:
      return H5T_STD_I32LE;
    case ElementType::i64:
      return H5T_STD_I64LE;
    case ElementType::u8:
      return H5T_STD_U8LE;
    case ElementType::u16:
      return H5T_STD_U16LE;
    case ElementType::u32:
      return H5T_STD_U32LE;
    case ElementType::u64:
      return H5T_STD_U64LE;
    case ElementType::other:
      break;
  }
  throw Error("HDF5: this element type cannot be read or written");
}

ElementType element_of(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  const size_t bytes = H5Tget_size(type);
  if (kind == H5T_FLOAT) {
    return bytes == 4 ? ElementType::f32 : bytes == 8 ? ElementType::f64 : ElementType::other;
  }
  if (kind != H5T_INTEGER) return ElementType::other;
  if (H5Tget_sign(type) == H5T_SGN_NONE) {
    switch (bytes) {
      case 1:
        return ElementType::u8;
      case 2:
        return ElementType::u16;
      case 4:
        return ElementType::u32;
      case 8:
        return ElementType::u64;
      default:
        return ElementType::other;
    }
  }
  return bytes == 4 ? ElementType::i32 : bytes == 8 ? ElementType::i64 : ElementType::other;
}

Hdf5Handle file_access(const Hdf5Site& site) {
  Hdf5Handle access(hdf5_check(H5Pcreate(H5P_FILE_ACCESS), site, "", "H5Pcreate"), H5Pclose);
  hdf5_check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), site, "",
             "H5Pset_libver_bounds");
  hdf5_check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), site, "", "H5Pset_fclose_degree");
  // Files are replaced by a rename, never written where somebody reads: locks, which some network file
  // systems lack, are not needed.
  hdf5_check(H5Pset_file_locking(access.get(), false, true), site, "", "H5Pset_file_locking");
  return access;
}

std::string quoted(const char* kind, const std::string& name) {
  return concat(kind, " '", name, "'");
}

}  // namespace dlcm::data
