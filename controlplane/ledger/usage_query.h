// The SQL of QueryUsage and ListRequests, apart from running it. Values only ever travel as bound parameters. Usage is
// summed slice by slice, each a range of requests of one gateway by (start_time_us, id), and the slices' sums are added
// up by the values of the keys. Pure.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/ledger/latency_buckets.h"
#include "controlplane/store/sqlite_db.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

using SqlValue = std::variant<int64_t, std::string>;

// The kinds of usage: fields of v1::TokenUsage, and columns of `charges` by the same names.
inline constexpr const char* kUsageColumns[] = {
    "input",        "cached_input",   "cache_write",        "output",       "reasoning",          "audio_input",
    "audio_output", "cache_write_1h", "cached_audio_input", "image_input",  "cached_image_input", "image_output",
    "video_input",  "video_output",   "citation",           "web_searches", "storage_searches"};
inline constexpr int kUsageKinds = static_cast<int>(std::size(kUsageColumns));
int64_t UsageAt(const v1::TokenUsage& usage, int kind);
void SetUsageAt(v1::TokenUsage& usage, int kind, int64_t amount);

// Requests, refused, errors, every kind of usage, cost and estimated cost each as whole dollars and the rest, hits;
// then of what was answered by a model the time it took, and how many took how long in all and until the first byte.
inline constexpr int kUsageSums = 3 + kUsageKinds + 5 + 1 + 2 * kLatencyBuckets;

struct UsageQuery {
  // Columns: one per name in `groups`, one per key, the sums, the newest start. Parameters: `values`, then gateway and
  // the slice: after (start, id), up to and with (start, id).
  std::string sql;
  // Where the slice after (start, id) ends, if more follow: start and id. Parameters: `boundary_values`, then gateway,
  // start, id, and how many requests lie before the end.
  std::string boundary_sql;
  std::vector<SqlValue> values;
  std::vector<SqlValue> boundary_values;
  std::vector<std::string> groups;
  int keys = 0;
  std::vector<int> time_keys;  // which of the keys are times: rows are ordered by them first
  int page_size = 0;
  int64_t offset = 0;
};

// INVALID_ARGUMENT for an unknown dimension, a bad page or a time range that ends before it starts.
absl::StatusOr<UsageQuery> BuildUsageQuery(const v1::QueryUsageRequest& request);

struct RequestsQuery {
  std::string sql;  // columns: record, start_time_us, id
  std::vector<SqlValue> values;
  int page_size = 0;  // the query asks for one row more, to know whether there is a next page
};

absl::StatusOr<RequestsQuery> BuildRequestsQuery(const v1::ListRequestsRequest& request);
// Binds from the first parameter on; how many there were.
int BindValues(SqliteStatement& statement, const std::vector<SqlValue>& values);
std::string RequestsPageToken(int64_t start_time_us, int64_t id);

}  // namespace signalbox
