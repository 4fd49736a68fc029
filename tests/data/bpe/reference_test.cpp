// Small tokenizer.json files with every feature, against the ids of Hugging Face's `tokenizers`: see
// tests/goldens/make_tokenizer_goldens.py.
#include <nlohmann/json.hpp>
#include <sstream>

#include <doctest/doctest.h>

#include "data/bpe/json_tokenizer.h"
#include "data/input_stream.h"
#include "tests/data/bpe/shared_tokenizers.h"
#include "tests/data/temporary_folder.h"

using namespace dlcm;
using namespace dlcm::data;
using namespace dlcm::test;

namespace {

std::string read_compressed(const std::string& path) {
  const std::unique_ptr<InputStream> stream = open_input(path);
  std::string bytes;
  std::vector<char> buffer(size_t{1} << 20);
  while (const size_t count = stream->read(buffer.data(), buffer.size())) bytes.append(buffer.data(), count);
  return bytes;
}

}  // namespace

TEST_CASE("tokenizer.json: each feature gives the ids of the reference") {
  const TemporaryFolder folder;
  std::istringstream lines(read_compressed(source_folder() + "/tests/goldens/tokenizers.jsonl.gz"));
  std::string line;
  int files = 0;
  while (std::getline(lines, line)) {
    const nlohmann::json golden = nlohmann::json::parse(line);
    const std::string name = golden["name"].get<std::string>();
    const std::string path = folder / "tokenizer.json";
    write_bytes(path, golden["tokenizer"].dump());
    const JsonTokenizer tokenizer(path);
    for (const auto& expected : golden["cases"]) {
      const std::string text = expected[0].get<std::string>();
      INFO(name, ": ", expected[0].dump());
      CHECK(ids_of(tokenizer, text) == expected[1].get<std::vector<int32_t>>());
    }
    ++files;
  }
  CHECK(files > 60);
}
