#include "apps/report/axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace dlcm::apps {
namespace {

constexpr double kLargest = 1e12;  // in k, M or G; from there on numbers have an exponent
// Beyond it the difference of two numbers may be no number.
constexpr double kFarthest = 1e307;

// Multiples of 1, 2 or 5 times a power of ten.
std::vector<double> linear_ticks(const Range& range, int most) {
  const double rough = (range.high - range.low) / std::max(1, most - 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0, 10.0, 20.0, 50.0}) {
    const double unit = factor * power;
    const double first = std::ceil(range.low / unit - 1e-9);
    const double last = std::floor(range.high / unit + 1e-9);
    if (last - first + 1 > most) continue;
    std::vector<double> ticks;
    for (double i = first; i <= last; ++i) ticks.push_back(i * unit + 0.0);  // 0, not -0
    return ticks;
  }
  return {};
}

// Powers of ten, some of them where there are many, with 2 and 5 times them where there are few.
std::vector<double> logarithmic_ticks(const Range& range, int most) {
  const int first = static_cast<int>(std::floor(std::log10(range.low)));
  const int last = static_cast<int>(std::ceil(std::log10(range.high)));
  const auto within = [&](std::initializer_list<double> factors, int every) {
    std::vector<double> ticks;
    for (int power = first; power <= last; ++power) {
      if ((power % every + every) % every != 0) continue;
      for (const double factor : factors) {
        const double tick = factor * std::pow(10, power);
        if (tick >= range.low * (1 - 1e-9) && tick <= range.high * (1 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  const auto count = [&](const std::vector<double>& ticks) { return static_cast<int>(ticks.size()); };
  for (const auto& factors : {std::initializer_list<double>{1, 2, 5}, {1, 3}}) {
    const std::vector<double> fine = within(factors, 1);
    if (count(fine) >= 2 && count(fine) <= most) return fine;
  }
  for (int every = 1;; ++every) {
    const std::vector<double> ticks = within({1}, every);
    if (count(ticks) <= most) return count(ticks) >= 2 ? ticks : linear_ticks(range, most);
  }
}

// "1234567.5" as "1,234,567.5".
std::string with_commas(std::string digits) {
  const size_t point = digits.find_first_not_of("-0123456789");
  const size_t first = digits.starts_with('-') ? 1 : 0;
  for (size_t i = point == std::string::npos ? digits.size() : point; i > first + 3; i -= 3) {
    digits.insert(i - 3, ",");
  }
  return digits;
}

std::string formatted(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

// "3.500e-05" as "3.5e-5", "4.000e+19" as "4e19".
std::string short_exponent(std::string text) {
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  if (text[exponent + 2] == '0') text.erase(exponent + 2, 1);
  if (text[exponent + 1] == '+') text.erase(exponent + 1, 1);
  const size_t point = text.find('.');
  if (point == std::string::npos) return text;
  const size_t last = text.find_last_not_of('0', exponent - 1);
  return text.erase(last == point ? point : last + 1, exponent - (last == point ? point : last + 1));
}

}  // namespace

double Axis::share(double value) const {
  if (scale == Scale::linear) return (value - range.low) / (range.high - range.low);
  // Of quotients they would overflow.
  const double low = std::log(range.low);
  return (std::log(value) - low) / (std::log(range.high) - low);
}

Axis axis_over(const Range& range, Scale scale, int most_ticks) {
  const double low = std::clamp(range.low, -kFarthest, kFarthest);
  const double high = std::clamp(range.high, -kFarthest, kFarthest);
  Axis axis{{low, high}, low > 0 ? scale : Scale::linear, {}};
  const double size = std::max(std::abs(low), std::abs(high));
  // Nearer together than that, numbers cannot be told apart by their ticks.
  if (high - low < 1e-4 * size || size == 0) {
    const double widening = size == 0 ? 1 : 0.1 * size;
    axis.range = {low - (low == 0 ? 0 : widening), high + widening};
  }
  axis.ticks = axis.scale == Scale::linear ? linear_ticks(axis.range, most_ticks)
                                           : logarithmic_ticks(axis.range, most_ticks);
  return axis;
}

std::string tick_text(double value) {
  const double size = std::abs(value);
  if (size >= kLargest) return short_exponent(formatted("%.5e", value));
  if (size >= 1e9) return formatted("%.6gG", value / 1e9);
  if (size >= 1e6) return formatted("%.6gM", value / 1e6);
  if (size >= 1e4) return formatted("%.6gk", value / 1e3);
  if (size >= 1e3) return with_commas(formatted("%.6g", value));
  // Zeros after the point take more room than an exponent.
  return short_exponent(formatted(size < 1e-3 && size > 0 ? "%.5e" : "%.6g", value));
}

std::string step_text(int64_t step) {
  return with_commas(std::to_string(step));
}

std::string number_text(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return "\u2013";
  if (size >= kLargest) return short_exponent(formatted("%.2e", value));
  if (size >= 1e9) return formatted("%.2f G", value / 1e9);
  if (size >= 1e6) return formatted("%.2f M", value / 1e6);
  if (size >= 1e3) return with_commas(formatted("%.0f", value));
  return short_exponent(formatted("%.4g", value));
}

}  // namespace dlcm::apps
