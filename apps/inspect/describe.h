// What a shard, a checkpoint or a model folder holds, as text for people.
#pragma once

#include <ostream>
#include <string>

namespace dlcm::apps {

// Reads the whole file and prints shapes, sizes, counts and a few decoded lines (ids where the tokenizer is
// not one that this program holds), or a checkpoint's parameters; the file is called `name`. Throws
// InputError where the file is damaged or neither of the two.
void describe_file(std::ostream& out, const std::string& path, const std::string& name);

// Likewise a folder of Hugging Face's form (apps/hugging_face), whose weights are all read, and its
// tokenizer.
void describe_folder(std::ostream& out, const std::string& folder);

}  // namespace dlcm::apps
