# Headers of the standard library that nearly every source includes, compiled once for each set of options: a second of
# every source's compile time. Sources still name what they use: tests/lint.sh compiles them without this.
set(DLCM_STANDARD_HEADERS <algorithm> <cmath> <filesystem> <functional> <limits> <map> <memory> <optional> <span> <sstream>
  <string> <vector>)

# What targets with the same options take by REUSE_FROM. A target of its own: the definitions of a library that
# precompiled for others would have to be theirs too.
function(dlcm_precompile target)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/${target}.cpp CONTENT "")
  add_library(${target} OBJECT ${PROJECT_BINARY_DIR}/generated/${target}.cpp)
  target_link_libraries(${target} PRIVATE dlcm_options)
  target_compile_options(${target} PRIVATE ${ARGN})
  target_precompile_headers(${target} PRIVATE ${DLCM_STANDARD_HEADERS})
endfunction()

# Options of one source beside its target's; what is precompiled was compiled without them.
function(dlcm_source_options source)
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${ARGN}" SKIP_PRECOMPILE_HEADERS ON)
endfunction()
