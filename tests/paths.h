// Where the tests find files of the project.
#pragma once

#include <string>

namespace dlcm::test {

std::string source_folder();   // the checkout
std::string program_folder();  // the executables

}  // namespace dlcm::test
