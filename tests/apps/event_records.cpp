#include "tests/apps/event_records.h"

#include <bit>

#include <doctest/doctest.h>

#include "apps/training/event_file.h"
#include "tests/data/temporary_folder.h"

namespace dlcm::test {
namespace {

uint64_t fixed_at(const std::string& bytes, size_t place, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value |= uint64_t{static_cast<unsigned char>(bytes.at(place + i))} << 8 * i;
  }
  return value;
}

// The masked sum of the format, undone.
uint32_t unmasked(uint64_t sum) {
  const auto rotated = static_cast<uint32_t>(sum) - 0xa282ead8;
  return rotated >> 17 | rotated << 15;
}

}  // namespace

Message::Message(std::string_view bytes) {
  const auto varint = [&bytes] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      REQUIRE(!bytes.empty());
      const auto byte = static_cast<unsigned char>(bytes[0]);
      bytes.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const auto fixed = [&bytes](size_t size) {
    REQUIRE(bytes.size() >= size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value |= uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
    bytes.remove_prefix(size);
    return value;
  };
  while (!bytes.empty()) {
    const uint64_t key = varint();
    if (key % 8 == 0) numbers.emplace(key / 8, varint());
    if (key % 8 == 1) numbers.emplace(key / 8, fixed(8));
    if (key % 8 == 5) numbers.emplace(key / 8, fixed(4));
    if (key % 8 == 2) {
      const uint64_t size = varint();
      REQUIRE(size <= bytes.size());
      content.emplace(key / 8, bytes.substr(0, size));
      bytes.remove_prefix(size);
    }
  }
}

std::vector<Message> events_of(const std::string& path) {
  const std::string bytes = read_bytes(path);
  std::vector<Message> events;
  for (size_t place = 0; place < bytes.size();) {
    const uint64_t length = fixed_at(bytes, place, 8);
    CHECK(unmasked(fixed_at(bytes, place + 8, 4)) == apps::crc32c(bytes.substr(place, 8)));
    const std::string content = bytes.substr(place + 12, length);
    CHECK(unmasked(fixed_at(bytes, place + 12 + length, 4)) == apps::crc32c(content));
    events.emplace_back(content);
    place += 16 + length;
  }
  return events;
}

std::map<std::string, float> scalars_of(const Message& event) {
  std::map<std::string, float> found;
  const auto summary = event.content.find(5);
  if (summary == event.content.end()) return found;
  for (const auto& [number, bytes] : Message(summary->second).content) {
    const Message value(bytes);
    found[value.content.find(1)->second] =
        std::bit_cast<float>(static_cast<uint32_t>(value.numbers.find(2)->second));
  }
  return found;
}

}  // namespace dlcm::test
