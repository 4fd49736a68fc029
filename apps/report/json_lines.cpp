#include "apps/report/json_lines.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "tensor/check.h"

namespace dlcm::apps {
namespace {

using nlohmann::json;

// Takes the numbers of an object as they are parsed: building it would take most of the time of a long run.
class NumberTaker final : public json::json_sax_t {
 public:
  explicit NumberTaker(MetricsLine& line) : line_(line) {}
  bool has_step() const { return has_step_; }

  bool null() override { return number(std::numeric_limits<double>::quiet_NaN()); }
  bool boolean(bool) override { return depth_ > 0; }
  bool number_integer(number_integer_t value) override { return whole_number(value); }
  bool number_unsigned(number_unsigned_t value) override { return whole_number(static_cast<int64_t>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t&) override { return depth_ > 0; }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(size_t) override { return depth_++ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override {
    if (depth_ == 1) key_ = name;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool whole_number(int64_t value) {
    if (depth_ == 1 && key_ == "step") {
      line_.step = value;
      return has_step_ = value >= 0;
    }
    return number(static_cast<double>(value));
  }
  bool number(double value) {
    if (depth_ == 1) line_.fields.emplace_back(key_, value);
    return depth_ > 0;
  }

  MetricsLine& line_;
  std::string key_;
  int depth_ = 0;
  bool has_step_ = false;
};

std::optional<MetricsLine> metrics_line(const std::string& text) {
  MetricsLine line;
  NumberTaker taker(line);
  if (!json::sax_parse(text, &taker) || !taker.has_step()) return std::nullopt;
  return line;
}

std::optional<RecordedSample> sample_line(const std::string& text) {
  const json line = json::parse(text, nullptr, false);
  if (!line.is_object()) return std::nullopt;
  RecordedSample sample;
  try {
    sample.step = line.at("step").get<int64_t>();
    sample.domain = line.at("domain").get<std::string>();
    sample.concepts = line.at("concepts").get<std::vector<std::string>>();
    sample.tokens = line.at("tokens").get<std::vector<int64_t>>();
    for (const json& p : line.at("p")) {
      sample.p.push_back(p.is_null() ? std::numeric_limits<double>::quiet_NaN() : p.get<double>());
    }
  } catch (const json::exception&) {
    return std::nullopt;
  }
  const size_t count = sample.concepts.size();
  if (sample.step < 0 || sample.tokens.size() != count || sample.p.size() != count) return std::nullopt;
  return sample;
}

template <class Line>
void read_lines(const std::string& path, std::optional<Line> (*parse)(const std::string&),
                const std::function<void(Line)>& take) {
  std::ifstream in(path);
  DLCM_CHECK_INPUT(in, path, ": cannot be read");
  int64_t number = 0, step_before = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    std::optional<Line> line = parse(text);
    if (!line && in.eof()) return;  // it is being written
    DLCM_CHECK_INPUT(line, path, ", line ", number, ": not a line that train writes; remove it, or ",
                     "let train --resume go on with the run, which does");
    DLCM_CHECK_INPUT(line->step >= step_before, path, ", line ", number, ": step ", line->step,
                     " comes after step ", step_before, ": lines of two runs? Remove those of one");
    step_before = line->step;
    take(std::move(*line));
  }
  DLCM_CHECK(!in.bad(), path, ": reading failed");
}

}  // namespace

void read_metrics_lines(const std::string& path, const std::function<void(const MetricsLine&)>& take) {
  read_lines<MetricsLine>(path, metrics_line, take);
}

void read_sample_lines(const std::string& path, const std::function<void(RecordedSample)>& take) {
  read_lines<RecordedSample>(path, sample_line, take);
}

}  // namespace dlcm::apps
