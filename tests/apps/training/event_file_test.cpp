#include "apps/training/event_file.h"

#include <algorithm>
#include <bit>
#include <filesystem>

#include <doctest/doctest.h>

#include "tests/apps/event_records.h"
#include "tests/data/temporary_folder.h"
#include "tests/paths.h"

namespace dlcm::apps {
namespace {

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
  const std::vector<test::Message> events = test::events_of(first[0]);
  REQUIRE(events.size() == 4);
  CHECK(events[0].content.find(3)->second == "brain.Event:2");
  CHECK(events[1].numbers.find(2)->second == 1);  // the step that comes next
  CHECK(test::Message(events[1].content.find(7)->second).numbers.find(1)->second == 1);
  for (const test::Message& event : events) {
    CHECK(std::bit_cast<double>(event.numbers.find(1)->second) > 1.7e9);  // seconds since 1970
  }
  CHECK(events[2].numbers.find(2)->second == 1);
  CHECK(test::scalars_of(events[2]) ==
        std::map<std::string, float>{{"train/loss", 2.5F}, {"train/tokens_seen", 300.0F}});
  CHECK(events[3].numbers.find(2)->second == 300);
  CHECK(test::scalars_of(events[3]) == std::map<std::string, float>{{"heldout/loss", -0.125F}});

  EventFile next(folder.path(), 7);  // within the same second
  const std::vector<std::string> both = files_in(folder.path());
  REQUIRE(both.size() == 2);
  CHECK(both[0] == first[0]);
  CHECK(test::events_of(both[1])[1].numbers.find(2)->second == 7);
}

TEST_CASE("event files: one that was lost with its folder is begun anew") {
  const test::TemporaryFolder folder;
  EventFile file(folder.path(), 1);
  const std::string path = files_in(folder.path()).at(0);
  std::filesystem::remove(path);
  file.write(5, {{"loss", 1.0}});
  const std::vector<test::Message> events = test::events_of(path);
  REQUIRE(events.size() == 2);
  CHECK(events[0].content.find(3)->second == "brain.Event:2");
  CHECK(events[1].numbers.find(2)->second == 5);
  CHECK_THROWS_AS(EventFile(folder.path() + "/none", 1), Error);
}

}  // namespace dlcm::apps
