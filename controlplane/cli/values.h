// What signalboxctl's arguments and tables are made of: durations, key=value pairs, readable money and
// times. Pure.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace signalbox {

// "90s", "15m", "24h", "30d", "2w" to microseconds.
absl::StatusOr<int64_t> ParseDuration(std::string_view text);
// k=v (a string) and k:=v (JSON: 5, true) to one JSON object; "" for no pairs.
absl::StatusOr<std::string> PairsToJson(const std::vector<std::string>& pairs);
// k=v to its two sides.
absl::StatusOr<std::pair<std::string, std::string>> SplitPair(const std::string& pair);

std::string FormatTimeMicros(int64_t unix_us);  // "2026-11-22 16:30:05", UTC; "-" for 0
std::string FormatTimestamp(const google::protobuf::Timestamp& time);
std::string FormatMillis(int64_t us);  // "3.2 ms"

// Columns aligned with two spaces between; the last is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string ToString() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace signalbox
