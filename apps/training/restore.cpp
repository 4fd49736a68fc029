#include "apps/training/restore.h"

#include <optional>

#include "data/checkpoint.h"

namespace dlcm::apps {
namespace {

// Nothing where the file is damaged or the disk does not give it, and says how.
std::optional<data::CheckpointReader> open_whole(const std::string& path, std::string& damage) {
  try {
    return std::optional<data::CheckpointReader>(std::in_place, path);
  } catch (const Error& error) {
    damage = error.what();
    return std::nullopt;
  }
}

// Throws where the checkpoint is of another run; nothing where its tensors cannot be read, and says how.
std::optional<RestoredRun> restore_from(const data::CheckpointReader& reader, const Config& config,
                                        Trainer& trainer, data::Loader& loader, std::string& damage) {
  Config stored = parse_config(reader.header().config, reader.path()).config;
  stored.model.vocab_size = trainer.model().config().vocab_size;  // its parameters' shapes are compared below
  const std::vector<std::string> changes = check_same_run(stored, config);
  const int64_t step = reader.header().step;
  DLCM_CHECK_INPUT(config.schedule.steps >= step, "schedule.steps = ", config.schedule.steps,
                   ", but the run has done ", step, " steps already");
  loader.seek(reader.header().loader_cursor);
  try {
    trainer.restore(reader);
  } catch (const Error& error) {
    damage = error.what();
    return std::nullopt;
  }
  RestoredRun restored{step, reader.header().tokens_seen, {}, {}};
  if (!changes.empty()) restored.config_before = reader.header().config;
  for (const std::string& change : changes) restored.notes.push_back("note: going on with " + change);
  return restored;
}

}  // namespace

RestoredRun restore_newest(const RunFolder& folder, const Config& config, Trainer& trainer,
                           data::Loader& loader) {
  std::string newest_damage = folder.warning();
  for (const std::string& path : folder.candidates()) {
    std::string damage;
    const std::optional<data::CheckpointReader> reader = open_whole(path, damage);
    std::optional<RestoredRun> restored;
    if (reader) restored = restore_from(*reader, config, trainer, loader, damage);
    if (restored) {
      restored->notes.push_back(
          newest_damage.empty()
              ? concat("note: resuming from ", path, ", step ", restored->step)
              : concat("warning: ", newest_damage, "; going on from another checkpoint, ", path));
      return *restored;
    }
    if (newest_damage.empty()) newest_damage = damage;  // the like of others has been said
  }
  throw InputError(concat(newest_damage, "; no other in ", folder.path(),
                          "/checkpoints is whole: copy one back, or begin anew in another --output"));
}

}  // namespace dlcm::apps
