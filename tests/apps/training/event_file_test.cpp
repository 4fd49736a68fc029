#include "apps/training/event_file.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <map>

#include <doctest/doctest.h>

#include "tests/data/temporary_folder.h"
#include "tests/paths.h"

namespace dlcm::apps {
namespace {

// Reads what a protocol buffer's bytes hold: whole numbers, and the bytes of everything else.
struct Message {
  std::multimap<uint64_t, uint64_t> numbers;     // wire types 0, 1, 5
  std::multimap<uint64_t, std::string> content;  // wire type 2

  explicit Message(std::string_view bytes) {
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
};

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

std::vector<Message> events_of(const std::string& path) {
  const std::string bytes = test::read_bytes(path);
  std::vector<Message> events;
  for (size_t place = 0; place < bytes.size();) {
    const uint64_t length = fixed_at(bytes, place, 8);
    CHECK(unmasked(fixed_at(bytes, place + 8, 4)) == crc32c(bytes.substr(place, 8)));
    const std::string content = bytes.substr(place + 12, length);
    CHECK(unmasked(fixed_at(bytes, place + 12 + length, 4)) == crc32c(content));
    events.emplace_back(content);
    place += 16 + length;
  }
  return events;
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace

TEST_CASE("crc32c: the vectors of RFC 3720") {
  CHECK(crc32c("123456789") == 0xe3069283);
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);
  CHECK(crc32c("") == 0);
}

TEST_CASE("event files: version, start, scalars by their tags; a later file sorts behind") {
  const test::TemporaryFolder folder;
  {
    EventFile file(folder.path(), 1);
    file.write(1, {{"loss", 2.5}, {"tokens_seen", int64_t{300}}});
    file.write(300, {{"heldout_loss", -0.125}});
    CHECK(file.failure().empty());
  }
  const std::vector<std::string> first = files_in(folder.path());
  REQUIRE(first.size() == 1);
  CHECK(first[0].find("/events.out.tfevents.") != std::string::npos);
  const std::vector<Message> events = events_of(first[0]);
  REQUIRE(events.size() == 4);
  CHECK(events[0].content.find(3)->second == "brain.Event:2");
  CHECK(events[1].numbers.find(2)->second == 1);  // the step that comes next
  CHECK(Message(events[1].content.find(7)->second).numbers.find(1)->second == 1);
  for (const Message& event : events) {
    CHECK(std::bit_cast<double>(event.numbers.find(1)->second) > 1.7e9);  // seconds since 1970
  }
  const auto scalars = [](const Message& event) {
    std::map<std::string, float> found;
    for (const auto& [number, bytes] : Message(event.content.find(5)->second).content) {
      const Message value(bytes);
      found[value.content.find(1)->second] =
          std::bit_cast<float>(static_cast<uint32_t>(value.numbers.find(2)->second));
    }
    return found;
  };
  CHECK(events[2].numbers.find(2)->second == 1);
  CHECK(scalars(events[2]) ==
        std::map<std::string, float>{{"train/loss", 2.5F}, {"train/tokens_seen", 300.0F}});
  CHECK(events[3].numbers.find(2)->second == 300);
  CHECK(scalars(events[3]) == std::map<std::string, float>{{"heldout/loss", -0.125F}});

  EventFile next(folder.path(), 7);  // within the same second
  const std::vector<std::string> both = files_in(folder.path());
  REQUIRE(both.size() == 2);
  CHECK(both[0] == first[0]);
  CHECK(events_of(both[1])[1].numbers.find(2)->second == 7);
}

TEST_CASE("event files: one that was lost with its folder is begun anew") {
  const test::TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  const std::string path = files_in(folder.path()).at(0);
  std::filesystem::remove(path);
  file.write(5, {{"loss", 1.0}});
  const std::vector<Message> events = events_of(path);
  REQUIRE(events.size() == 2);
  CHECK(events[0].content.find(3)->second == "brain.Event:2");
  CHECK(events[1].numbers.find(2)->second == 5);
  CHECK_THROWS_AS(EventFile(folder.path() + "/none", 1), Error);
}

}  // namespace dlcm::apps
