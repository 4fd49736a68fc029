#include "apps/common/loaded_model.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "data/checkpoint.h"
#include "tests/apps/tiny_model.h"
#include "tests/op_check.h"

using namespace dlcm;
using namespace dlcm::apps;

namespace {

data::Checkpoint stored(const std::string& path) {
  return data::read_checkpoint(path, data::CheckpointPart::model);
}

}  // namespace

TEST_CASE("loaded model: every value, from a file or a run's folder") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "checkpoints");
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const Config config = test::tiny_config(kind);
    const auto model = test::tiny_model(config, 3);
    const std::string path = data::checkpoint_path(folder.path(), 7);
    test::write_tiny_checkpoint(path, config, *model);
    data::link_latest_checkpoint(folder.path(), 7);
    for (const std::string& source : {path, folder.path()}) {
      const LoadedModel loaded = load_model(source);
      CHECK(loaded.step == 7);
      CHECK(loaded.tokens_seen == 70);
      CHECK(tokenizer_of(loaded)->vocab_size() == 257);
      CHECK(to_toml(loaded.config) == to_toml(config));
      const auto wanted = model->parameters();
      const auto found = loaded.model->parameters();
      REQUIRE(found.size() == wanted.size());
      for (size_t i = 0; i < found.size(); ++i) {
        CHECK(found[i]->path() == wanted[i]->path());
        CHECK(test::bit_equal(found[i]->value(), wanted[i]->value()));
      }
    }
  }
}

TEST_CASE("loaded model: what is wrong is named") {
  const test::TemporaryFolder folder;
  const Config config = test::tiny_config(ModelKind::dlcm);
  const std::string path = folder / "model.h5";
  test::write_tiny_checkpoint(path, config, *test::tiny_model(config));
  const data::Checkpoint whole = stored(path);
  const auto refused = [&](const data::Checkpoint& checkpoint, const char* message) {
    data::write_checkpoint(path, checkpoint);
    CHECK_THROWS_WITH_AS(load_model(path), doctest::Contains(message), InputError);
  };

  data::Checkpoint missing = whole;
  std::erase_if(missing.model, [](const auto& entry) { return entry.first == "backbone/norm"; });
  refused(missing, "backbone/norm");
  data::Checkpoint shape = whole;
  for (auto& [name, tensor] : shape.model) {
    if (name == "concept_proj") tensor = Tensor::zeros({24, 17});
  }
  refused(shape, "concept_proj");
  data::Checkpoint unknown = whole;
  unknown.model.emplace_back("surplus", Tensor::zeros({1}));
  refused(unknown, "surplus");
  data::Checkpoint tokenizer = whole;
  tokenizer.header.extra.clear();
  refused(tokenizer, "tokenizer");
  data::Checkpoint garbled = whole;
  garbled.header.config = "[model]\nkind = 3\n";
  refused(garbled, "model.kind");
  garbled.header.config = "[model.concept]\nlayers = 1048576\n";
  refused(garbled, "model.concept.layers = 1048576: expected a whole number from 1 to 4096");

  CHECK_THROWS_AS(load_model(folder / "nothing.h5"), InputError);
  CHECK_THROWS_AS(load_model(folder.path()), InputError);
}
