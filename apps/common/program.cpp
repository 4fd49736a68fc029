#include "apps/common/program.h"

#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

#include "apps/common/cpu_features.h"
#include "tensor/check.h"

namespace dlcm::apps {

int run_program(const char* name, const std::function<int()>& body) {
  if (!cpu_is_supported(name)) return 1;
  try {
    const int code = body();
    std::cout.flush();
    if (!std::cout || std::fflush(stdout) != 0) throw Error("writing to standard output failed");
    return code;
  } catch (const InputError& error) {
    std::cerr << name << ": " << error.what() << "\n";
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << name << ": out of memory\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << "\n";
    return 1;
  }
}

}  // namespace dlcm::apps
