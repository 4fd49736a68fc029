# What `--version` prints: written to a header that one source includes, and rewritten only where it changes.
find_package(Git QUIET)
set(DLCM_COMMIT unknown)
if(GIT_FOUND)
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --short=12 HEAD WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  # The log of HEAD grows with each commit and checkout: CMake looks again then.
  execute_process(COMMAND ${GIT_EXECUTABLE} rev-parse --path-format=absolute --git-path logs/HEAD
                  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE head_log
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(NOT failed)
    set(DLCM_COMMIT ${commit})
    if(EXISTS "${head_log}")
      set_property(DIRECTORY ${PROJECT_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${head_log}")
    endif()
  endif()
endif()

set(DLCM_BUILD "${CMAKE_BUILD_TYPE}")
if(NOT DLCM_SANITIZE STREQUAL "")
  string(APPEND DLCM_BUILD ", ${DLCM_SANITIZE} sanitizer")
endif()
if(OpenMP_CXX_FOUND)
  string(APPEND DLCM_BUILD ", OpenMP ${OpenMP_CXX_VERSION}")
endif()
set(DLCM_LIBRARIES "HDF5 ${HDF5_VERSION}, zlib ${ZLIB_VERSION_STRING}, zstd ${zstd_VERSION}, \
libdeflate ${libdeflate_VERSION}, PCRE2 ${pcre2_VERSION}, utf8proc ${utf8proc_VERSION}, \
simdjson ${simdjson_VERSION}, nlohmann_json ${nlohmann_json_VERSION}, toml++ ${tomlplusplus_VERSION}, \
CLI11 ${CLI11_VERSION}")
set(DLCM_CUDA_TEXT "not compiled in")
if(DLCM_HAVE_CUDA)
  set(DLCM_CUDA_TEXT "${CUDAToolkit_VERSION}")
endif()
configure_file(${PROJECT_SOURCE_DIR}/apps/common/build_info.h.in ${PROJECT_BINARY_DIR}/generated/build_info.h @ONLY)
