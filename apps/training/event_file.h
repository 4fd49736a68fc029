// TensorBoard's event files, written beside metrics.jsonl: `tensorboard --logdir RUN` draws the run.
//
// A file is a sequence of records: length (8 bytes, little-endian), its masked CRC-32C, the bytes, their
// masked CRC-32C (TensorFlow, tsl/lib/io/record_writer.h). The bytes are a protocol buffer `Event`
// (tensorboard/compat/proto/event.proto), of which three kinds are written: the version at the file's begin,
// the start of a session, and scalars.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "apps/training/append_file.h"
#include "apps/training/metrics.h"

namespace dlcm::apps {

class EventFile {
 public:
  // A new file in `folder`, whose name sorts behind those that are there. What these have of steps from
  // `next_step` on, TensorBoard no longer shows: a resumed run makes them again. Throws Error where it
  // cannot be made.
  EventFile(const std::string& folder, int64_t next_step);

  // A scalar for each field that is a number: "train/NAME", or "heldout/NAME" for a field named heldout_NAME.
  // In float32, as TensorBoard keeps them. What the disk does not take waits, as with metrics.jsonl.
  void write(int64_t step, const MetricsLog::Fields& fields);
  void retry() { file_.retry(); }
  const std::string& failure() const { return file_.failure(); }

 private:
  AppendFile file_;
};

// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
uint32_t crc32c(std::string_view bytes);

}  // namespace dlcm::apps
