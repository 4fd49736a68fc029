#include "apps/common/program.h"

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

#include "apps/common/cpu_features.h"
#include "tensor/check.h"

namespace dlcm::apps {

void print_error(const char* name, std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  std::cerr << name << ": " << message << "\n";
}

int run_program(const char* name, const std::function<int()>& body) {
  if (!cpu_is_supported(name)) return 1;
  std::signal(SIGXFSZ, SIG_IGN);  // `ulimit -f`: the write fails and is told of like one to a full disk
  try {
    const int code = body();
    std::cout.flush();
    if (!std::cout || std::fflush(stdout) != 0) throw Error("writing to standard output failed");
    return code;
  } catch (const InputError& error) {
    print_error(name, error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    print_error(name, "out of memory");
    return 1;
  } catch (const std::exception& error) {
    print_error(name, error.what());
    return 1;
  }
}

}  // namespace dlcm::apps
