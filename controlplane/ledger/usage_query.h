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
struct UsageKind {
  const char* column;
  int64_t (v1::TokenUsage::*get)() const;
  void (v1::TokenUsage::*set)(int64_t amount);
};
inline constexpr UsageKind kUsageKinds[] = {
    {"input", &v1::TokenUsage::input, &v1::TokenUsage::set_input},
    {"cached_input", &v1::TokenUsage::cached_input, &v1::TokenUsage::set_cached_input},
    {"cache_write", &v1::TokenUsage::cache_write, &v1::TokenUsage::set_cache_write},
    {"output", &v1::TokenUsage::output, &v1::TokenUsage::set_output},
    {"reasoning", &v1::TokenUsage::reasoning, &v1::TokenUsage::set_reasoning},
    {"audio_input", &v1::TokenUsage::audio_input, &v1::TokenUsage::set_audio_input},
    {"audio_output", &v1::TokenUsage::audio_output, &v1::TokenUsage::set_audio_output},
    {"cache_write_1h", &v1::TokenUsage::cache_write_1h, &v1::TokenUsage::set_cache_write_1h},
    {"cached_audio_input", &v1::TokenUsage::cached_audio_input, &v1::TokenUsage::set_cached_audio_input},
    {"image_input", &v1::TokenUsage::image_input, &v1::TokenUsage::set_image_input},
    {"cached_image_input", &v1::TokenUsage::cached_image_input, &v1::TokenUsage::set_cached_image_input},
    {"image_output", &v1::TokenUsage::image_output, &v1::TokenUsage::set_image_output},
    {"video_input", &v1::TokenUsage::video_input, &v1::TokenUsage::set_video_input},
    {"video_output", &v1::TokenUsage::video_output, &v1::TokenUsage::set_video_output},
    {"citation", &v1::TokenUsage::citation, &v1::TokenUsage::set_citation},
    {"web_searches", &v1::TokenUsage::web_searches, &v1::TokenUsage::set_web_searches},
    {"storage_searches", &v1::TokenUsage::storage_searches, &v1::TokenUsage::set_storage_searches},
};

// Requests, refused, errors, every kind of usage, cost and estimated cost each as whole dollars and the rest, hits;
// then of what was answered by a model the time it took, and how many took how long in all and until the first byte.
inline constexpr int kUsageSums = 3 + static_cast<int>(std::size(kUsageKinds)) + 5 + 1 + 2 * kLatencyBuckets;

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
