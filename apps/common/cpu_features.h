// What the CPU can do, against what the compiler was told that it can.
#pragma once

#include <string>

namespace dlcm::apps {

// False after one line on standard error where this machine lacks instructions that the program was compiled
// for: it would end with "illegal instruction" at some later point. Uses none of them itself.
bool cpu_is_supported(const char* program);

// "x86-64 with AVX2 FMA ..., compiled for AVX2 ...": a line each for the program and the machine.
std::string cpu_text();

}  // namespace dlcm::apps
