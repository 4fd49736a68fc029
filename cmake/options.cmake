# What every target is compiled with.
add_library(dlcm_options INTERFACE)

# GCC 12 warns falsely of what it inlines from std::string ("text" + string, its bug 105651; more where the header is
# precompiled); real overflows are found by the address preset.
set(host_warnings -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wunused
  -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
if(DLCM_WERROR)
  list(APPEND host_warnings -Werror)
endif()
target_compile_options(dlcm_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${host_warnings}>)

if(DLCM_NATIVE)
  include(CheckCXXCompilerFlag)
  check_cxx_compiler_flag(-march=native DLCM_HAS_MARCH_NATIVE)
  if(DLCM_HAS_MARCH_NATIVE)
    target_compile_options(dlcm_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
  endif()
  # GCC prefers 256-bit vectors even where 512-bit ones run at full rate.
  check_cxx_compiler_flag(-mprefer-vector-width=512 DLCM_HAS_VECTOR_WIDTH)
  if(DLCM_HAS_VECTOR_WIDTH)
    target_compile_options(dlcm_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-mprefer-vector-width=512>)
  endif()
endif()
# Reductions marked `omp simd` are vectorised in every build; -O3 vectorises;
# errno and floating-point traps are not used.
target_compile_options(dlcm_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fopenmp-simd -fno-math-errno -fno-trapping-math>)

if(DLCM_SANITIZE STREQUAL "address")
  set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(DLCM_SANITIZE STREQUAL "thread")
  set(sanitize -fsanitize=thread)
elseif(NOT DLCM_SANITIZE STREQUAL "")
  message(FATAL_ERROR "DLCM_SANITIZE is '${DLCM_SANITIZE}'; allowed: empty, address, thread")
endif()
if(sanitize)
  target_compile_options(dlcm_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${sanitize}>)
  target_link_options(dlcm_options INTERFACE ${sanitize})
endif()

find_package(Threads REQUIRED)
target_link_libraries(dlcm_options INTERFACE Threads::Threads)
