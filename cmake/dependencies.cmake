# Libraries of others. Their headers stay out of ours: each is linked to the one folder that needs it.

# What `benchmark matmul` compares with; nothing else needs it. oneDNN's threads are OpenMP's, whose barriers
# ThreadSanitizer does not know.
add_library(dlcm_onednn INTERFACE)
if(DLCM_ONEDNN AND NOT DLCM_SANITIZE STREQUAL "thread")
  # Not by its CMake package: Debian's asks for an OpenCL SDK that a CPU does not need.
  find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp)
  find_library(DNNL_LIBRARY dnnl)
  find_package(OpenMP COMPONENTS CXX)
endif()
if(DNNL_INCLUDE_DIR AND DNNL_LIBRARY AND OpenMP_CXX_FOUND)
  target_include_directories(dlcm_onednn SYSTEM INTERFACE ${DNNL_INCLUDE_DIR})
  target_link_libraries(dlcm_onednn INTERFACE ${DNNL_LIBRARY} ${OpenMP_CXX_LIBRARIES})
  set(DLCM_HAVE_ONEDNN ON)
  message(STATUS "benchmark matmul compares with: oneDNN")
else()
  message(STATUS "benchmark matmul compares with: nothing (oneDNN not found)")
endif()

set(HDF5_NO_FIND_PACKAGE_CONFIG_FILE ON)
find_package(HDF5 REQUIRED COMPONENTS C)
add_library(dlcm_hdf5 INTERFACE)
target_include_directories(dlcm_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
target_link_libraries(dlcm_hdf5 INTERFACE ${HDF5_LIBRARIES})

find_package(ZLIB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(libdeflate REQUIRED IMPORTED_TARGET libdeflate)  # its checksums
add_library(dlcm_compression INTERFACE)
target_link_libraries(dlcm_compression INTERFACE ZLIB::ZLIB PkgConfig::zstd PkgConfig::libdeflate)

# Of tokenizer.json: its regular expressions, and Unicode's normal forms.
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
add_library(dlcm_unicode INTERFACE)
target_link_libraries(dlcm_unicode INTERFACE PkgConfig::pcre2 PkgConfig::utf8proc)

# simdjson reads what is large, nlohmann's library says what is wrong with it.
find_package(nlohmann_json 3.10 REQUIRED)
pkg_check_modules(simdjson REQUIRED IMPORTED_TARGET simdjson)
find_package(CLI11 2 REQUIRED)
find_package(tomlplusplus 3 REQUIRED)
find_package(doctest REQUIRED)

# CUDA: the kernels are compiled where nvcc is found; the same sources run on the CPU in the tests.
set(DLCM_HAVE_CUDA OFF)
if(DLCM_CUDA AND DLCM_SANITIZE STREQUAL "")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90-real)
    endif()
    enable_language(CUDA)
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # Debian's CMake does not know that nvcc has C++20
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
    set(CMAKE_CUDA_STANDARD 20)
    find_package(CUDAToolkit REQUIRED)
    set(DLCM_HAVE_CUDA ON)
    target_compile_options(dlcm_options INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>)

  endif()
endif()
message(STATUS "CUDA kernels: ${DLCM_HAVE_CUDA}")
