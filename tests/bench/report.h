// What was measured: tables of rows, a cell being the samples of all rounds, of which the median counts; and the
// bounds. Written as Markdown for people and as JSON for programs. One thread.
#pragma once

#include <string>
#include <vector>

namespace signalbox::bench {

double Percentile(std::vector<float>& values, double share);  // reorders them; 0 when there are none

class Report {
 public:
  struct Column {
    std::string name;
    int digits = 0;  // after the point
  };
  // A table appears where it was first declared; declaring it again does nothing.
  void Declare(const std::string& table, const std::string& title, const std::string& what,
               std::vector<Column> columns);
  // One round's sample of a cell.
  void Add(const std::string& table, const std::string& row, const std::string& column, double sample);
  bool Has(const std::string& table, const std::string& row, const std::string& column) const;
  double Median(const std::string& table, const std::string& row, const std::string& column) const;  // 0: no samples

  void AtMost(const std::string& name, double value, double limit);
  void AtLeast(const std::string& name, double value, double limit);

  std::string Markdown() const;    // the tables, then the bounds
  std::string BoundLines() const;  // `bound NAME VALUE LIMIT ok|short`, one a line
  // The same and what was run, as JSON text.
  std::string Json(const std::string& machine, int rounds, double seconds) const;

 private:
  struct Row {
    std::string name;
    std::vector<std::vector<double>> cells;  // as the table's columns
  };
  struct Table {
    std::string id, title, what;
    std::vector<Column> columns;
    std::vector<Row> rows;
  };
  struct Bound {
    std::string name;
    double value, limit;
    bool at_most;
    bool ok() const { return at_most ? value <= limit : value >= limit; }
  };
  const std::vector<double>* Find(const std::string& table, const std::string& row, const std::string& column) const;

  std::vector<Table> tables_;
  std::vector<Bound> bounds_;
};

}  // namespace signalbox::bench
