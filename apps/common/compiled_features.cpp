// Compiled with the options of the rest of the program, so that the macros say what the compiler may use.
#include "apps/common/cpu_feature_list.h"

namespace dlcm::apps {

// A defined feature macro expands to 1; an undefined one stays its own name.
#define DLCM_TEXT(macro) #macro
#define DLCM_IS_ON(macro) (DLCM_TEXT(macro)[0] == '1')
#define DLCM_COMPILED(cpu_name, name, macro) {name, DLCM_IS_ON(macro)},
constinit const CompiledFeature kCompiledFeatures[] = {DLCM_CPU_FEATURES(DLCM_COMPILED)};

}  // namespace dlcm::apps
