// What every program does alike: errors become one line on standard error and an exit code.
#pragma once

#include <functional>
#include <string>

namespace dlcm::apps {

// Runs the body and turns what it throws into one line "name: message" and an exit code: 2 for an InputError
// (the command line or a file's content is wrong), 1 for anything else, also where this machine's CPU lacks
// what the program was compiled for. Flushes standard output and reports where that fails.
int run_program(const char* name, const std::function<int()>& body);

// Prints "name: message" on standard error, on one line whatever names of files or words of the user are in
// it.
void print_error(const char* name, std::string message);

// Version, commit, compiler, libraries found and CPU features used, a line each: what `--version` prints.
std::string version_text();

}  // namespace dlcm::apps
