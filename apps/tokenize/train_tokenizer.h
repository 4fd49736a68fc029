// tokenize train: makes a tokenizer.json for the user's own text.
#pragma once

namespace dlcm::apps {

// The program with the command line behind `train`, argv[0] included in its place. Returns the exit code;
// throws InputError and Error.
int train_tokenizer(int argc, char** argv);

}  // namespace dlcm::apps
