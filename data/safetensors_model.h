// The tensors of a model that is published as one safetensors file or as several with an index, which is
// JSON:
//   {"metadata": {...}, "weight_map": {"NAME": "model-00001-of-00002.safetensors", ...}}
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/safetensors.h"

namespace dlcm::data {

// Opens all files and keeps them open, and checks that each tensor of the index is in its file. A tensor of a
// file that the index does not name, or names for another file, is not there. Any number of threads may read
// at a time. What is wrong is an InputError of one line that names the file and, where it is one tensor, the
// tensor.
class SafetensorsModel {
 public:
  // A folder with model.safetensors or, where that is not there, model.safetensors.index.json; or a file of
  // either kind: one whose name ends in ".json" is an index. The index names files beside it: a name with a
  // folder is refused.
  explicit SafetensorsModel(const std::string& path);

  const std::string& path() const { return path_; }  // the file or the index
  std::vector<std::string> names() const;            // sorted
  bool has(const std::string& name) const { return files_of_.contains(name); }
  // As of SafetensorsReader.
  const SafetensorsInfo& info(const std::string& name) const { return file_of(name).info(name); }
  Tensor read(const std::string& name) const { return file_of(name).read(name); }
  Tensor read_f32(const std::string& name) const { return file_of(name).read_f32(name); }

  // The file that has the tensor. Throws InputError where none has.
  const SafetensorsReader& file_of(const std::string& name) const;

 private:
  void open_index();
  const SafetensorsReader& open_shard(const std::string& shard, const std::string& tensor);

  std::string path_;
  std::map<std::string, std::unique_ptr<SafetensorsReader>> files_;  // by name in the folder
  std::map<std::string, const SafetensorsReader*> files_of_;         // by tensor
};

}  // namespace dlcm::data
