#include "apps/training/progress.h"

#include <algorithm>
#include <cmath>

#include <doctest/doctest.h>

namespace dlcm::apps {

TEST_CASE("progress: times as people write them, rounded once, and none where it is not known") {
  CHECK(duration_text(0) == "0:00");
  CHECK(duration_text(59.4) == "0:59");
  CHECK(duration_text(59.5) == "1:00");
  CHECK(duration_text(3599.6) == "1:00:00");
  CHECK(duration_text(3909) == "1:05:09");
  CHECK(duration_text(360000) == "100:00:00");
  for (const double unknown : {std::nan(""), static_cast<double>(INFINITY), -1.0})
    CHECK(duration_text(unknown) == "-");
}

TEST_CASE("progress: 80 columns hold every figure, and a bar where it fits; long runs without the share") {
  ProgressState state{301, 2.1992, 3.173, 4.63, 14561, 0.618, 400, 32};
  CHECK(progress_line(state) ==
        "step 301/400  loss 2.1992  bits/byte 3.173  tokens/concept 4.63  14561 tokens/s  62 % of matrix "
        "limit  left 0:32");
  CHECK(progress_bar(state, 200) == "[==================>     ] " + progress_line(state));
  CHECK(progress_bar(state, 80) ==
        "[===========>  ] 301/400 loss 2.1992 bpb 3.173 t/c 4.63 14561 t/s 62% left 0:32");
  CHECK(progress_bar(state, 100) ==
        "[===========>  ] step 301/400 loss 2.1992 bits/B 3.173 tok/con 4.63 14561 tok/s 62% limit left "
        "0:32");
  // A long and fast run.
  state = {99'999, 10.1234, 14.605, 4096, 1'234'567, 0.618, 100'000, 360'000};
  const std::string figures = "99999/100000 loss 10.1234 bpb 14.605 t/c 4096.00 1234567 t/s left 100:00:00";
  CHECK(progress_bar(state, 80) == figures);
  CHECK(progress_bar(state, 90) ==
        "[=======] 99999/100000 loss 10.1234 bpb 14.605 t/c 4096.00 1234567 t/s 62% left 100:00:00");
  state.tokens_per_concept = 0;  // a transformer has none
  CHECK(progress_bar(state, 80) ==
        "[=========] 99999/100000 loss 10.1234 bpb 14.605 1234567 t/s 62% left 100:00:00");
}

TEST_CASE("progress: no terminal is too narrow, and none is filled to its last column") {
  const ProgressState state{301, 2.1992, 3.173, 4.63, 14561, 0.618, 400, 32};
  for (size_t columns = 0; columns < 150; ++columns) {
    CAPTURE(columns);
    const std::string text = progress_bar(state, columns);
    CHECK(text.size() < std::max<size_t>(columns, 1));
    CHECK(text.ends_with("left 0:32") == (columns > 58));
  }
}

}  // namespace dlcm::apps
