// The part of the ledger that sums usage: slice by slice, letting records in between.
#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/money.h"
#include "common/status_macros.h"
#include "controlplane/ledger/sqlite_ledger.h"
#include "controlplane/ledger/usage_query.h"

namespace signalbox {
namespace {

constexpr int64_t kSliceRequests = 2'000;  // some milliseconds
constexpr int64_t kOneSlice = std::numeric_limits<int64_t>::max() - 1;
constexpr size_t kUsageGroupsMax = 200'000;
constexpr int kTriesWhileReplaced = 3;
constexpr auto kLetInAtMost = std::chrono::milliseconds(50);

int64_t DollarsAndNanos(int64_t dollars, int64_t nanos) {
  int64_t total = 0;
  if (__builtin_mul_overflow(dollars, kNanosPerDollar, &total) || __builtin_add_overflow(total, nanos, &total)) {
    return std::numeric_limits<int64_t>::max();
  }
  return total;
}

struct Group {
  std::vector<std::string> shown;  // of the newest request, as a route may have been renamed
  int64_t newest_us = std::numeric_limits<int64_t>::min();
  int64_t sums[kUsageSums] = {};
};
using Groups = std::map<std::vector<std::string>, Group>;  // by the keys' values

void AddRow(const UsageQuery& query, const SqliteStatement& row, Groups& groups) {
  int column = 0;
  std::vector<std::string> shown, key;
  for (size_t i = 0; i < query.groups.size(); ++i) shown.push_back(row.Text(column++));
  for (int i = 0; i < query.keys; ++i) key.push_back(row.Text(column++));
  Group& group = groups[std::move(key)];
  for (int64_t& sum : group.sums) sum = AddSaturating(sum, row.Int(column++));
  const int64_t newest_us = row.Int(column);
  if (newest_us >= group.newest_us) {
    group.newest_us = newest_us;
    group.shown = std::move(shown);
  }
}

// `sum`: the time in all, then the counts of both kinds of buckets.
void SetLatency(const int64_t* sum, v1::UsageRow& row) {
  const std::span<const int64_t> duration(sum + 1, kLatencyBuckets);
  const std::span<const int64_t> first_byte(sum + 1 + kLatencyBuckets, kLatencyBuckets);
  const int64_t requests = std::accumulate(duration.begin(), duration.end(), int64_t{0});
  v1::Latency& latency = *row.mutable_latency();
  latency.set_requests(requests);
  latency.set_mean_us(requests == 0 ? 0 : *sum / requests);
  latency.set_p50_us(LatencyQuantile(duration, 0.50));
  latency.set_p95_us(LatencyQuantile(duration, 0.95));
  latency.set_p99_us(LatencyQuantile(duration, 0.99));
  latency.set_first_byte_p50_us(LatencyQuantile(first_byte, 0.50));
  latency.set_first_byte_p95_us(LatencyQuantile(first_byte, 0.95));
}

v1::UsageRow RowOf(const UsageQuery& query, const Group& group) {
  v1::UsageRow row;
  for (size_t i = 0; i < query.groups.size(); ++i) {
    std::string value = group.shown[i];
    int number = 0;
    if (query.groups[i] == "outcome" && absl::SimpleAtoi(value, &number)) {
      value = v1::Outcome_Name(static_cast<v1::Outcome>(number));
    } else if (query.groups[i] == "cache" && absl::SimpleAtoi(value, &number)) {
      value = number == 0 ? "" : v1::CacheStatus_Name(static_cast<v1::CacheStatus>(number));
    }
    (*row.mutable_group())[query.groups[i]] = value;
  }
  const int64_t* sum = group.sums;
  row.set_requests(*sum++);
  row.set_refused(*sum++);
  row.set_errors(*sum++);
  for (const UsageKind& kind : kUsageKinds) (row.mutable_usage()->*kind.set)(*sum++);
  row.set_cost_nanos(DollarsAndNanos(sum[0], sum[1]));
  row.set_estimated_nanos(DollarsAndNanos(sum[2], sum[3]));
  row.set_cache_hits(sum[4]);
  SetLatency(sum + 5, row);
  return row;
}

// By time, oldest first; then the dearest; then by key, so that pages fit together.
std::vector<std::pair<const std::vector<std::string>*, v1::UsageRow>> Ordered(const UsageQuery& query,
                                                                              const Groups& groups) {
  std::vector<std::pair<const std::vector<std::string>*, v1::UsageRow>> rows;
  rows.reserve(groups.size());
  for (const auto& [key, group] : groups) rows.emplace_back(&key, RowOf(query, group));
  const auto time = [&](const std::vector<std::string>& key, int index) {
    int64_t value = 0;
    return absl::SimpleAtoi(key[static_cast<size_t>(index)], &value) ? value : 0;
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) {
    for (const int index : query.time_keys) {
      const int64_t of_a = time(*a.first, index), of_b = time(*b.first, index);
      if (of_a != of_b) return of_a < of_b;
    }
    return a.second.cost_nanos() > b.second.cost_nanos();
  });
  return rows;
}

}  // namespace

// A mutex goes to whoever is quickest, and that is who just let go of it.
void SqliteLedger::LetRecordsIn() const {
  const auto until = std::chrono::steady_clock::now() + kLetInAtMost;
  while (appending_ > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

absl::StatusOr<v1::QueryUsageResponse> SqliteLedger::QueryUsage(const v1::QueryUsageRequest& request) const {
  ASSIGN_OR_RETURN(const UsageQuery query, BuildUsageQuery(request));
  Groups groups;
  const auto add_gateway = [&](const std::string& gateway, int64_t slice_requests) -> absl::Status {
    int64_t after_us = request.start_time_us() - 1, after_id = std::numeric_limits<int64_t>::max();
    for (bool last = false; !last;) {
      LetRecordsIn();
      MutexLock lock(mutex_);
      int64_t end_us = std::numeric_limits<int64_t>::max(), end_id = end_us;
      {
        ASSIGN_OR_RETURN(SqliteStatement boundary, db_->Prepare(query.boundary_sql));
        const int bound = BindValues(boundary, query.boundary_values);
        boundary.Bind(bound + 1, gateway).Bind(bound + 2, after_us).Bind(bound + 3, after_id);
        boundary.Bind(bound + 4, slice_requests - 1);
        ASSIGN_OR_RETURN(const bool more, boundary.Step());
        last = !more;
        if (more) {
          end_us = boundary.Int(0);
          end_id = boundary.Int(1);
        }
      }
      ASSIGN_OR_RETURN(SqliteStatement slice, db_->Prepare(query.sql));
      const int bound = BindValues(slice, query.values);
      slice.Bind(bound + 1, gateway).Bind(bound + 2, after_us).Bind(bound + 3, after_id);
      slice.Bind(bound + 4, end_us).Bind(bound + 5, end_id);
      while (true) {
        ASSIGN_OR_RETURN(const bool found, slice.Step());
        if (!found) break;
        AddRow(query, slice, groups);
      }
      if (groups.size() > kUsageGroupsMax) {
        return absl::ResourceExhaustedError(
            absl::StrCat("by: gives over ", kUsageGroupsMax, " rows; narrow it by time, route or model"));
      }
      after_us = end_us;
      after_id = end_id;
    }
    return absl::OkStatus();
  };
  // A suspended record that is replaced meanwhile may be met in two slices or in none: then once more, and at last in
  // one piece.
  for (int tries = 1;; ++tries) {
    groups.clear();
    const int64_t replaced_before = Replaced();
    const int64_t slice_requests = tries < kTriesWhileReplaced ? kSliceRequests : kOneSlice;
    if (!request.gateway().empty()) {
      RETURN_IF_ERROR(add_gateway(request.gateway(), slice_requests));
    } else {
      ASSIGN_OR_RETURN(std::string gateway, GatewayAfter(""));
      while (!gateway.empty()) {
        RETURN_IF_ERROR(add_gateway(gateway, slice_requests));
        ASSIGN_OR_RETURN(gateway, GatewayAfter(gateway));
      }
    }
    if (tries >= kTriesWhileReplaced || Replaced() == replaced_before) break;
  }
  v1::QueryUsageResponse response;
  int64_t index = 0;
  for (auto& [key, row] : Ordered(query, groups)) {
    if (index++ < query.offset) continue;
    if (response.rows_size() == query.page_size) {
      response.set_next_page_token(absl::StrCat(query.offset + query.page_size));
      break;
    }
    *response.add_rows() = std::move(row);
  }
  return response;
}

int64_t SqliteLedger::Replaced() const {
  MutexLock lock(mutex_);
  return replaced_;
}

absl::StatusOr<std::string> SqliteLedger::GatewayAfter(const std::string& after) const {
  MutexLock lock(mutex_);
  return NextGateway(after);
}

}  // namespace signalbox
