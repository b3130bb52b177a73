#include "tests/bench/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace signalbox::bench {
namespace {

double MedianOf(std::vector<double> samples) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  const size_t middle = samples.size() / 2;
  return samples.size() % 2 == 1 ? samples[middle] : (samples[middle - 1] + samples[middle]) / 2;
}

// The median, and the span of the rounds in brackets when there were several.
std::string Cell(const std::vector<double>& samples, int digits) {
  if (samples.empty()) return "–";
  const std::string median = absl::StrFormat("%.*f", digits, MedianOf(samples));
  if (samples.size() == 1) return median;
  const auto [least, most] = std::minmax_element(samples.begin(), samples.end());
  return absl::StrCat(median, " (", absl::StrFormat("%.*f", digits, *least), "–",
                      absl::StrFormat("%.*f", digits, *most), ")");
}

std::string Plain(double value) { return absl::StrFormat(value < 100 ? "%.2f" : "%.0f", value); }

}  // namespace

double Percentile(std::vector<float>& values, double share) {
  if (values.empty()) return 0;
  const size_t at = std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())));
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(at), values.end());
  return values[at];
}

void Report::Declare(const std::string& table, const std::string& title, const std::string& what,
                     std::vector<Column> columns) {
  for (const Table& known : tables_) {
    if (known.id == table) return;
  }
  tables_.push_back({table, title, what, std::move(columns), {}});
}

void Report::Add(const std::string& table, const std::string& row, const std::string& column, double sample) {
  for (Table& known : tables_) {
    if (known.id != table) continue;
    auto found = std::find_if(known.rows.begin(), known.rows.end(), [&](const Row& each) { return each.name == row; });
    if (found == known.rows.end()) {
      known.rows.push_back({row, std::vector<std::vector<double>>(known.columns.size())});
      found = known.rows.end() - 1;
    }
    for (size_t i = 0; i < known.columns.size(); ++i) {
      if (known.columns[i].name == column) found->cells[i].push_back(sample);
    }
  }
}

const std::vector<double>* Report::Find(const std::string& table, const std::string& row,
                                        const std::string& column) const {
  for (const Table& known : tables_) {
    if (known.id != table) continue;
    for (const Row& each : known.rows) {
      if (each.name != row) continue;
      for (size_t i = 0; i < known.columns.size(); ++i) {
        if (known.columns[i].name == column && !each.cells[i].empty()) return &each.cells[i];
      }
    }
  }
  return nullptr;
}

bool Report::Has(const std::string& table, const std::string& row, const std::string& column) const {
  return Find(table, row, column) != nullptr;
}

double Report::Median(const std::string& table, const std::string& row, const std::string& column) const {
  const std::vector<double>* samples = Find(table, row, column);
  return samples == nullptr ? 0 : MedianOf(*samples);
}

void Report::AtMost(const std::string& name, double value, double limit) {
  bounds_.push_back({name, value, limit, true});
}
void Report::AtLeast(const std::string& name, double value, double limit) {
  bounds_.push_back({name, value, limit, false});
}

std::string Report::Markdown() const {
  std::string text;
  for (const Table& table : tables_) {
    if (table.rows.empty()) continue;
    absl::StrAppend(&text, "### ", table.title, "\n\n", table.what, table.what.empty() ? "" : "\n\n", "| |");
    for (const Column& column : table.columns) absl::StrAppend(&text, " ", column.name, " |");
    absl::StrAppend(&text, "\n|---|");
    for (size_t i = 0; i < table.columns.size(); ++i) absl::StrAppend(&text, "---:|");
    for (const Row& row : table.rows) {
      absl::StrAppend(&text, "\n| ", row.name, " |");
      for (size_t i = 0; i < table.columns.size(); ++i) {
        absl::StrAppend(&text, " ", Cell(row.cells[i], table.columns[i].digits), " |");
      }
    }
    absl::StrAppend(&text, "\n\n");
  }
  if (bounds_.empty()) return text;
  absl::StrAppend(&text, "### Bounds\n\n| bound | measured | limit | |\n|---|---:|---:|---|\n");
  for (const Bound& bound : bounds_) {
    absl::StrAppend(&text, "| ", bound.name, " | ", Plain(bound.value), " | ", bound.at_most ? "≤ " : "≥ ",
                    Plain(bound.limit), " | ", bound.ok() ? "ok" : "short", " |\n");
  }
  return text;
}

std::string Report::BoundLines() const {
  std::string text;
  for (const Bound& bound : bounds_) {
    absl::StrAppend(&text, "bound ", bound.name, " ", Plain(bound.value), " ", Plain(bound.limit), " ",
                    bound.ok() ? "ok" : "short", "\n");
  }
  return text;
}

std::string Report::Json(const std::string& machine, int rounds, double seconds) const {
  using Json = nlohmann::ordered_json;
  Json tables = Json::object();
  for (const Table& table : tables_) {
    Json rows = Json::object();
    for (const Row& row : table.rows) {
      Json cells = Json::object();
      for (size_t i = 0; i < table.columns.size(); ++i) {
        if (row.cells[i].empty()) continue;
        const auto [least, most] = std::minmax_element(row.cells[i].begin(), row.cells[i].end());
        cells[table.columns[i].name] = {
            {"median", MedianOf(row.cells[i])}, {"least", *least}, {"most", *most}, {"rounds", row.cells[i]}};
      }
      rows[row.name] = std::move(cells);
    }
    if (!rows.empty()) tables[table.id] = {{"title", table.title}, {"rows", std::move(rows)}};
  }
  Json bounds = Json::array();
  for (const Bound& bound : bounds_) {
    bounds.push_back({{"name", bound.name},
                      {"value", bound.value},
                      {"limit", bound.limit},
                      {"kind", bound.at_most ? "at most" : "at least"},
                      {"ok", bound.ok()}});
  }
  const Json all = {{"machine", machine},
                    {"rounds", rounds},
                    {"seconds", seconds},
                    {"tables", std::move(tables)},
                    {"bounds", std::move(bounds)}};
  return all.dump(1) + "\n";
}

}  // namespace signalbox::bench
