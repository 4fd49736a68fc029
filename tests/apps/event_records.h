// What TensorBoard's event files hold, read apart from the code that writes them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dlcm::test {

// Reads what a protocol buffer's bytes hold: whole numbers, and the bytes of everything else.
struct Message {
  std::multimap<uint64_t, uint64_t> numbers;     // wire types 0, 1, 5
  std::multimap<uint64_t, std::string> content;  // wire type 2

  explicit Message(std::string_view bytes);
};

// The events of a file; doctest CHECKs both sums of each record.
std::vector<Message> events_of(const std::string& path);

// The scalars of an event, by tag; none where it holds something else.
std::map<std::string, float> scalars_of(const Message& event);

}  // namespace dlcm::test
