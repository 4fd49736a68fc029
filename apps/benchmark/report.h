// What a benchmark found, for people and for programs: groups of facts and tables, printed as text or as one
// JSON object.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

namespace dlcm::apps {

// How a value is shown in text; JSON has it as it is.
enum class Unit { none, count, number, share, bytes };

using Value = std::variant<std::monostate, std::string, int64_t, double>;  // monostate: does not apply, null

struct Fact {
  std::string key;    // in JSON
  std::string label;  // in text
  Value value;
  Unit unit = Unit::none;
};

// One JSON object.
struct FactGroup {
  std::string key;
  std::string title;
  std::vector<Fact> facts;
};

struct Column {
  std::string key;
  std::string heading;
  Unit unit = Unit::none;
};

// One JSON array of objects, one a row.
struct Table {
  std::string key;
  std::string title;
  std::vector<Column> columns;
  std::vector<std::vector<Value>> rows;  // as many values as columns
};

struct Report {
  std::vector<Fact> facts;  // at the top of the object
  std::vector<FactGroup> groups;
  std::vector<Table> tables;
  std::vector<std::string> notes;  // how to read it; an array of strings in JSON
};

// Throws Error naming table and row where a row does not have a value per column.
void print_text(std::ostream& out, const Report& report);
void print_json(std::ostream& out, const Report& report);

// a / b; does not apply where b is 0 or less.
Value ratio(double a, double b);

}  // namespace dlcm::apps
