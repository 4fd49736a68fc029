#include "apps/report/recorded_run.h"

#include <cmath>
#include <filesystem>

#include <doctest/doctest.h>

#include "tests/apps/tiny_model.h"

namespace dlcm::apps {
namespace {

using namespace dlcm::test;

constexpr char kMetrics[] =
    "{\"step\":1,\"loss\":5.5,\"tokens_per_concept\":0.0,\"alpha\":0.0}\n"
    "{\"step\":2,\"loss\":null,\"tokens_per_concept\":0.0,\"alpha\":0.0}\n"
    "{\"step\":2,\"heldout_loss\":4.5,\"heldout_loss/a b\":4.0,\"heldout_tokens_per_concept\":0.0}\n";

struct Folder {
  TemporaryFolder folder;
  std::string run = folder / "the run";
  explicit Folder(const std::string& metrics) {
    std::filesystem::create_directories(run);
    write_bytes(run + "/metrics.jsonl", metrics);
  }
};

}  // namespace

TEST_CASE("recorded run: curves by field, the last number of each, domains") {
  const Folder place(kMetrics);
  const RecordedRun run = read_run(place.run);
  CHECK(run.name == "the run");
  CHECK(run.last_step == 2);
  REQUIRE(run.metric("loss").size() == 2);
  CHECK(run.metric("loss")[0].x == 1);
  CHECK(run.metric("loss")[0].y == 5.5);
  CHECK(std::isnan(run.metric("loss")[1].y));
  CHECK(run.last("loss") == 5.5);
  CHECK(std::isnan(run.last("nothing")));
  CHECK(run.domains() == std::vector<std::string>{"a b"});
  CHECK_FALSE(run.config.has_value());
  CHECK(run.samples.empty());
}

TEST_CASE("recorded run: fields about concepts only where the model has some") {
  const Folder place(kMetrics);
  CHECK_FALSE(read_run(place.run).has_concepts);  // by its numbers
  CHECK(read_run(place.run).metric("alpha").empty());
  CHECK(read_run(place.run).metric("heldout_tokens_per_concept").empty());
  for (const ModelKind kind : {ModelKind::dlcm, ModelKind::transformer}) {
    const Config config = tiny_config(kind);
    write_bytes(place.run + "/config.toml", to_toml(config));
    const RecordedRun run = read_run(place.run);
    CHECK(run.has_concepts == (kind == ModelKind::dlcm));
    CHECK(run.metric("alpha").empty() == (kind == ModelKind::transformer));
    int64_t parameters = 0;
    const auto model = make_model(config.model);
    for (const nn::Parameter* parameter : model->parameters()) parameters += parameter->shape().numel();
    CHECK(run.parameters == parameters);
  }
}

TEST_CASE("recorded run: a name of its own; an existing folder is not parted at its sign") {
  const Folder place(kMetrics);
  CHECK(read_run("a <b>=" + place.run).name == "a <b>");
  CHECK(read_run("a=" + place.run + "/").folder == place.run + "/");
  CHECK(read_run(place.run + "/").name == "the run");
  const std::string equal = place.folder / "x=y";
  std::filesystem::rename(place.run, equal);
  CHECK(read_run(equal).name == "x=y");
  CHECK(read_run("n=" + equal).name == "n");
}

TEST_CASE("recorded run: what is no run is named; a run that has just begun is one") {
  const Folder place("");
  CHECK(read_run(place.run).last_step == 0);
  CHECK(contains(message_of<InputError>([&] { read_run(place.folder.path()); }), "holds no metrics.jsonl"));
  CHECK(contains(message_of<InputError>([&] { read_run("name=" + place.folder / "none"); }),
                 "none' holds no metrics.jsonl: give the --output folder of train"));
  write_bytes(place.run + "/config.toml", "[model]\nkind = \"x\"\n");
  CHECK(contains(message_of<InputError>([&] { read_run(place.run); }), "config.toml"));
  std::filesystem::remove(place.run + "/config.toml");
  std::filesystem::create_directory(place.run + "/config.toml");
  CHECK(contains(message_of<InputError>([&] { read_run(place.run); }),
                 "config.toml' is a folder, expected a file"));
}

TEST_CASE("recorded run: equal names are told apart by folders; a folder is given once") {
  const Folder place(kMetrics);
  const std::string other = place.folder / "more/the run";
  std::filesystem::create_directories(other);
  write_bytes(other + "/metrics.jsonl", kMetrics);
  const auto names = [](const std::vector<std::string>& arguments) {
    std::vector<std::string> found;
    for (const RecordedRun& run : read_runs(arguments)) found.push_back(run.name);
    return found;
  };
  using Names = std::vector<std::string>;
  CHECK(names({place.run, other}) == Names{"the run (" + place.run + ")", "the run (" + other + ")"});
  CHECK(names({"x=" + place.run, "x=" + other}) == Names{"x (" + place.run + ")", "x (" + other + ")"});
  CHECK(names({"x=" + place.run, other}) == Names{"x", "the run"});
  const auto refusal = [&](const std::vector<std::string>& arguments) {
    return message_of<InputError>([&] { read_runs(arguments); });
  };
  CHECK(contains(refusal({place.run, other, place.run}), "'" + place.run + "' is given twice: once"));
  CHECK(contains(refusal({"a=" + place.run, "b=" + place.run + "/."}), "/.' is given twice, also as '"));
  const std::string third = place.folder / "third";
  std::filesystem::copy(other, third);
  CHECK(contains(refusal({"x=" + place.run, "x=" + other, "x (" + other + ")=" + third}),
                 "two runs are named 'x ("));
}

}  // namespace dlcm::apps
