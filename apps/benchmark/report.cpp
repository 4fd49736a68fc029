#include "apps/benchmark/report.h"

#include <algorithm>
#include <cstdio>

#include "apps/common/json.h"
#include "tensor/check.h"

namespace dlcm::apps {
namespace {

template <class... Arguments>
std::string formatted(const char* format, Arguments... arguments) {
  char text[64];
  std::snprintf(text, sizeof(text), format, arguments...);
  return text;
}

// Three digits, without an exponent.
std::string number_text(double value) {
  const double size = value < 0 ? -value : value;
  if (size >= 99.95) return formatted("%.0f", value);
  if (size >= 9.995) return formatted("%.1f", value);
  if (size >= 0.9995) return formatted("%.2f", value);
  return formatted("%.4f", value);
}

std::string bytes_text(double bytes) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
  size_t prefix = 0;
  for (; bytes >= 999.5 && prefix + 1 < std::size(kPrefixes); ++prefix) bytes /= 1000;
  return formatted("%.3g %sB", bytes, kPrefixes[prefix]);
}

std::string text_of(double value, Unit unit) {
  switch (unit) {
    case Unit::share:
      return formatted("%.1f %%", 100 * value);
    case Unit::bytes:
      return bytes_text(value);
    case Unit::count:
      return formatted("%.0f", value);
    default:
      return number_text(value);
  }
}

std::string text_of(const Value& value, Unit unit) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* count = std::get_if<int64_t>(&value)) {
    return unit == Unit::bytes ? bytes_text(static_cast<double>(*count)) : std::to_string(*count);
  }
  if (const auto* number = std::get_if<double>(&value)) return text_of(*number, unit);
  return "-";
}

std::string json_of(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return json_text(*text);
  if (const auto* count = std::get_if<int64_t>(&value)) return json_text(*count);
  if (const auto* number = std::get_if<double>(&value)) return json_text(*number);
  return "null";
}

void add_facts(JsonObject& object, const std::vector<Fact>& facts) {
  for (const Fact& fact : facts) object.add_json(fact.key, json_of(fact.value));
}

void check_rows(const Table& table) {
  for (size_t row = 0; row < table.rows.size(); ++row) {
    DLCM_CHECK(table.rows[row].size() == table.columns.size(), "table ", table.key, ": row ", row, " has ",
               table.rows[row].size(), " values for ", table.columns.size(), " columns");
  }
}

std::string json_of(const Table& table) {
  check_rows(table);
  std::vector<std::string> rows;
  for (const std::vector<Value>& row : table.rows) {
    JsonObject object;
    for (size_t i = 0; i < row.size(); ++i) object.add_json(table.columns[i].key, json_of(row[i]));
    rows.push_back(object.text());
  }
  return json_array(rows);
}

void print_facts(std::ostream& out, const std::vector<Fact>& facts) {
  size_t width = 0;
  for (const Fact& fact : facts) width = std::max(width, fact.label.size());
  for (const Fact& fact : facts) {
    out << fact.label << std::string(width + 2 - fact.label.size(), ' ') << text_of(fact.value, fact.unit)
        << "\n";
  }
}

// Words to the left, numbers to the right.
void print_cell(std::ostream& out, const std::string& text, size_t width, Unit unit) {
  const std::string space(width - text.size(), ' ');
  out << (unit == Unit::none ? text + space : space + text) << "  ";
}

void print_table(std::ostream& out, const Table& table) {
  check_rows(table);
  std::vector<size_t> widths;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    size_t width = table.columns[i].heading.size();
    for (const std::vector<Value>& row : table.rows) {
      width = std::max(width, text_of(row[i], table.columns[i].unit).size());
    }
    widths.push_back(width);
  }
  for (size_t i = 0; i < widths.size(); ++i) {
    print_cell(out, table.columns[i].heading, widths[i], table.columns[i].unit);
  }
  for (const std::vector<Value>& row : table.rows) {
    out << "\n";
    for (size_t i = 0; i < widths.size(); ++i) {
      print_cell(out, text_of(row[i], table.columns[i].unit), widths[i], table.columns[i].unit);
    }
  }
  out << "\n";
}

}  // namespace

void print_text(std::ostream& out, const Report& report) {
  print_facts(out, report.facts);
  for (const FactGroup& group : report.groups) {
    out << "\n" << group.title << "\n";
    print_facts(out, group.facts);
  }
  for (const Table& table : report.tables) {
    out << "\n" << table.title << "\n";
    print_table(out, table);
  }
  if (!report.notes.empty()) out << "\n";
  for (const std::string& note : report.notes) out << note << "\n";
}

void print_json(std::ostream& out, const Report& report) {
  JsonObject object;
  add_facts(object, report.facts);
  for (const FactGroup& group : report.groups) {
    JsonObject inner;
    add_facts(inner, group.facts);
    object.add_json(group.key, inner.text());
  }
  for (const Table& table : report.tables) object.add_json(table.key, json_of(table));
  object.add("notes", report.notes);
  out << object.text() << "\n";
}

Value ratio(double a, double b) {
  if (b > 0) return a / b;
  return {};
}

}  // namespace dlcm::apps
