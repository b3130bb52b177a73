#include "common/route/fault_list.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Like a string comparison, but runs of digits compare as numbers: $.elements[2] before $.elements[10].
bool PathLess(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!IsDigit(a[i]) || !IsDigit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    const size_t i0 = i, j0 = j;
    while (i < a.size() && IsDigit(a[i])) ++i;
    while (j < b.size() && IsDigit(b[j])) ++j;
    if (i - i0 != j - j0) return i - i0 < j - j0;
    if (const int order = a.substr(i0, i - i0).compare(b.substr(j0, j - j0)); order != 0) return order < 0;
  }
  return a.size() - i < b.size() - j;
}

constexpr size_t kComparedBytesMax = 48;

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours cost 1. Both at most
// kComparedBytesMax long.
size_t EditDistance(std::string_view a, std::string_view b) {
  size_t d[kComparedBytesMax + 1][kComparedBytesMax + 1];
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

void FaultList::Add(v1::Severity severity, std::string_view code, std::string_view element_id, std::string_view path,
                    std::string_view message) {
  if (severity == v1::SEVERITY_ERROR) ++errors_;
  if (full()) {
    ++left_out_;
    return;
  }
  v1::Fault& fault = faults_.emplace_back();
  fault.set_severity(severity);
  fault.set_code(std::string(code));
  // An id past its limit is a fault of its own; a thousand copies of it would be another.
  if (element_id.size() <= kNameBytesMax) fault.set_element_id(std::string(element_id));
  fault.set_path(std::string(path));
  fault.set_message(std::string(message));
}

bool FaultList::full() const { return faults_.size() >= static_cast<size_t>(kRouteFaultsMax); }

std::vector<v1::Fault> FaultList::Take() {
  SortFaults(faults_);
  if (left_out_ > 0) {
    v1::Fault& fault = faults_.emplace_back();
    fault.set_severity(v1::SEVERITY_ERROR);
    fault.set_code("too_many_faults");
    fault.set_path("$");
    fault.set_message(absl::StrCat(left_out_, " more faults are not listed"));
  }
  errors_ = left_out_ = 0;
  return std::exchange(faults_, {});
}

void SortFaults(std::vector<v1::Fault>& faults) {
  std::stable_sort(faults.begin(), faults.end(),
                   [](const v1::Fault& a, const v1::Fault& b) { return PathLess(a.path(), b.path()); });
}

std::string_view NearestName(std::string_view name, const std::vector<std::string_view>& known) {
  if (name.size() > kComparedBytesMax) return {};
  std::string_view best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (std::string_view candidate : known) {
    if (candidate.size() > kComparedBytesMax) continue;
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string JoinNames(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) absl::StrAppend(&text, text.empty() ? "" : ", ", std::string(name));
  return text;
}

}  // namespace signalbox
