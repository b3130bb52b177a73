// The SQL of QueryUsage and ListRequests, apart from running it. Values only ever travel as bound parameters. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

using SqlValue = std::variant<int64_t, std::string>;

struct UsageQuery {
  std::string sql;  // columns: one per name in `groups`, then the sums in the order of UsageRow
  std::vector<SqlValue> values;
  std::vector<std::string> groups;
  int page_size = 0;  // the query asks for one row more, to know whether there is a next page
  int64_t offset = 0;
};

// INVALID_ARGUMENT for an unknown dimension, a bad page or a time range that ends before it starts.
absl::StatusOr<UsageQuery> BuildUsageQuery(const v1::QueryUsageRequest& request);

struct RequestsQuery {
  std::string sql;  // columns: record, start_time_us, id
  std::vector<SqlValue> values;
  int page_size = 0;  // as above
};

absl::StatusOr<RequestsQuery> BuildRequestsQuery(const v1::ListRequestsRequest& request);
std::string RequestsPageToken(int64_t start_time_us, int64_t id);

}  // namespace signalbox
