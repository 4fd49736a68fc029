#include "apps/training/event_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <variant>

#include <unistd.h>

namespace dlcm::apps {
namespace {

namespace fs = std::filesystem;

constexpr char kNameBegin[] = "events.out.tfevents.";

std::array<uint32_t, 256> crc_table() {
  constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
  std::array<uint32_t, 256> table;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest % 2 == 0 ? rest >> 1 : rest >> 1 ^ kPolynomial;
    table[byte] = rest;
  }
  return table;
}

template <class Unsigned>
std::string little_endian(Unsigned value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(value); ++i) bytes += static_cast<char>(value >> 8 * i & 0xff);
  return bytes;
}

// So that the sum of bytes that hold sums themselves is no trivial one.
std::string masked_sum(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian((crc >> 15 | crc << 17) + 0xa282ead8);
}

std::string record(const std::string& bytes) {
  const std::string length = little_endian(static_cast<uint64_t>(bytes.size()));
  return length + masked_sum(length) + bytes + masked_sum(bytes);
}

// Fields of a protocol buffer: a key of number and wire type, then the value.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value % 0x80 | 0x80);
  return bytes + static_cast<char>(value);
}
std::string whole_field(uint64_t number, uint64_t value) {
  return varint(number << 3) + varint(value);
}
std::string double_field(uint64_t number, double value) {
  return varint(number << 3 | 1) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string text_field(uint64_t number, const std::string& text) {
  return varint(number << 3 | 2) + varint(text.size()) + text;
}
std::string float_field(uint64_t number, float value) {
  return varint(number << 3 | 5) + little_endian(std::bit_cast<uint32_t>(value));
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Event: wall_time = 1, step = 2, then file_version = 3, summary = 5 or session_log = 7.
std::string event(int64_t step, uint64_t kind, const std::string& content) {
  const std::string steps = step == 0 ? std::string() : whole_field(2, static_cast<uint64_t>(step));
  return record(double_field(1, seconds_now()) + steps + text_field(kind, content));
}

std::string tag_of(const std::string& field) {
  constexpr std::string_view kHeldout = "heldout_";
  return field.starts_with(kHeldout) ? "heldout/" + field.substr(kHeldout.size()) : "train/" + field;
}

// The time of day in the file's name; later than those that are there, as TensorBoard reads by name.
std::string new_path(const std::string& folder) {
  auto seconds = static_cast<int64_t>(seconds_now());
  std::error_code error;  // a folder that cannot be read is told by opening the file
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kNameBegin)) continue;
    int64_t there = 0;
    std::from_chars(name.data() + sizeof(kNameBegin) - 1, name.data() + name.size(), there);
    seconds = std::max(seconds, there + 1);
  }
  std::array<char, 32> digits{};
  std::snprintf(digits.data(), digits.size(), "%010lld", static_cast<long long>(seconds));
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'l', 'o', 'c', 'a', 'l'};
  return folder + "/" + kNameBegin + digits.data() + "." + host.data();
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = crc_table();
  uint32_t crc = ~uint32_t{0};
  for (const char byte : bytes) crc = table[(crc ^ static_cast<unsigned char>(byte)) & 0xff] ^ crc >> 8;
  return ~crc;
}

EventFile::EventFile(const std::string& folder, int64_t next_step)
    : file_(new_path(folder), event(0, 3, "brain.Event:2")) {
  constexpr uint64_t kStart = 1;
  file_.write(event(next_step, 7, whole_field(1, kStart)));
}

void EventFile::write(int64_t step, const MetricsLog::Fields& fields) {
  std::string summary;
  for (const auto& [name, value] : fields) {
    float number = 0;
    if (const auto* real = std::get_if<double>(&value)) {
      number = static_cast<float>(*real);
    } else if (const auto* whole = std::get_if<int64_t>(&value)) {
      number = static_cast<float>(*whole);
    } else {
      continue;
    }
    summary += text_field(1, text_field(1, tag_of(name)) + float_field(2, number));
  }
  file_.write(event(step, 5, summary));
}

}  // namespace dlcm::apps
