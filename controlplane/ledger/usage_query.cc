#include "controlplane/ledger/usage_query.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

struct Column {
  const char* group;   // key in UsageRow.group
  const char* select;  // what is shown
  const char* by;      // what rows are grouped by; empty: shown only
};

struct Dimension {
  const char* name;
  std::vector<Column> columns;
  bool time = false;
};

// A route is its id; the name shown is the newest one in the group (SQLite takes bare columns from the row that holds
// max()). Versions count within a route, so they bring the route along.
const std::vector<Dimension>& Dimensions() {
  static const auto* const dimensions = new std::vector<Dimension>{
      {"route", {{"route", "r.route", ""}, {"route_id", "r.route_id", "r.route_id"}}},
      {"version",
       {{"route", "r.route", ""}, {"route_id", "r.route_id", "r.route_id"}, {"version", "r.version", "r.version"}}},
      {"identifier", {{"identifier", "r.identifier", "r.identifier"}}},
      {"model", {{"model", "c.model", "c.model"}}},
      {"provider", {{"provider", "c.provider", "c.provider"}}},
      {"key", {{"key", "r.key_id", "r.key_id"}}},
      {"minute",
       {{"minute", "strftime('%Y-%m-%dT%H:%M:00Z', r.start_time_us / 1000000, 'unixepoch')",
         "r.start_time_us / 60000000"}},
       true},
      {"hour",
       {{"hour", "strftime('%Y-%m-%dT%H:00:00Z', r.start_time_us / 1000000, 'unixepoch')",
         "r.start_time_us / 3600000000"}},
       true},
      {"day",
       {{"day", "strftime('%Y-%m-%d', r.start_time_us / 1000000, 'unixepoch')", "r.start_time_us / 86400000000"}},
       true},
      {"month",
       {{"month", "strftime('%Y-%m', r.start_time_us / 1000000, 'unixepoch')",
         "CAST(strftime('%Y%m', r.start_time_us / 1000000, 'unixepoch') AS INTEGER)"}},
       true},
      {"outcome", {{"outcome", "r.outcome", "r.outcome"}}},
      {"status", {{"status", "r.status", "r.status"}}},
      {"endpoint", {{"endpoint", "r.endpoint", "r.endpoint"}}},
      {"cache", {{"cache", "r.cache", "r.cache"}}},
  };
  return *dimensions;
}

std::string DimensionNames() {
  return absl::StrJoin(Dimensions(), ", ",
                       [](std::string* out, const Dimension& dimension) { absl::StrAppend(out, dimension.name); });
}

class Where {
 public:
  void Add(const std::string& condition, std::vector<SqlValue> values) {
    absl::StrAppend(&sql_, sql_.empty() ? " WHERE " : " AND ", condition);
    for (SqlValue& value : values) values_.push_back(std::move(value));
  }
  void Equals(const std::string& column, const std::string& value) {
    if (!value.empty()) Add(absl::StrCat(column, " = ?"), {value});
  }
  // Wherever a request names a route, its name or its id will do.
  void Route(const std::string& route) {
    if (!route.empty()) Add("(r.route = ? OR r.route_id = ?)", {route, route});
  }
  void Version(int64_t version) {
    if (version != 0) Add("r.version = ?", {version});
  }
  const std::string& sql() const { return sql_; }
  std::vector<SqlValue>& values() { return values_; }

 private:
  std::string sql_;
  std::vector<SqlValue> values_;
};

// What a query walks along in the order of time: all requests, or one identifier's in a gateway (CROSS JOIN: in the
// order written). What is ordered by is selected too: only then does SQLite merge the halves of identified_requests
// instead of sorting them.
struct Walk {
  explicit Walk(bool one_identifier)
      : alias(one_identifier ? "i." : "r."),
        place(one_identifier ? "(i.start_time_us, i.id)" : "(r.start_time_us, r.id)"),
        columns(one_identifier ? "i.start_time_us, i.id" : "r.start_time_us, r.id"),
        index(one_identifier ? "identified_requests i" : "requests r"),
        requests(one_identifier ? "identified_requests i CROSS JOIN requests r ON r.id = i.id" : "requests r") {}
  std::string Column(const char* column) const { return absl::StrCat(alias, column); }

  const char* alias;
  const char* place;
  const char* columns;
  const char* index;
  const char* requests;  // and the requests, as r
};

absl::Status BadPageToken() {
  return absl::InvalidArgumentError("page_token: not a token of this list; start again without one");
}

// 0 asks for the default; more than the maximum gets the maximum.
absl::StatusOr<int> PageSize(int32_t asked) {
  if (asked < 0) return absl::InvalidArgumentError("page_size: must not be negative");
  return asked == 0 ? kPageSizeDefault : std::min<int>(asked, kPageSizeMax);
}

}  // namespace

absl::StatusOr<UsageQuery> BuildUsageQuery(const v1::QueryUsageRequest& request) {
  UsageQuery query;
  ASSIGN_OR_RETURN(query.page_size, PageSize(request.page_size()));
  if (!request.page_token().empty() && (!absl::SimpleAtoi(request.page_token(), &query.offset) || query.offset < 0)) {
    return BadPageToken();
  }
  if (request.end_time_us() != 0 && request.end_time_us() < request.start_time_us()) {
    return absl::InvalidArgumentError("end_time_us: must not be before start_time_us");
  }

  std::vector<std::string> selects, group_by;
  for (const std::string& by : request.by()) {
    const auto dimension = std::find_if(Dimensions().begin(), Dimensions().end(),
                                        [&](const Dimension& candidate) { return by == candidate.name; });
    if (dimension == Dimensions().end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("by: unknown dimension \"", by, "\" (known: ", DimensionNames(), ")"));
    }
    for (const Column& column : dimension->columns) {
      if (std::find(query.groups.begin(), query.groups.end(), column.group) != query.groups.end()) continue;
      query.groups.push_back(column.group);
      selects.push_back(column.select);
      if (dimension->time) query.time_keys.push_back(static_cast<int>(group_by.size()));
      if (*column.by != '\0') group_by.push_back(column.by);
    }
  }

  const Walk walk(!request.identifier().empty());
  Where where, boundary;
  boundary.Equals(walk.Column("identifier"), request.identifier());
  if (request.end_time_us() != 0) boundary.Add(walk.Column("start_time_us < ?"), {request.end_time_us()});
  query.boundary_values = boundary.values();
  boundary.Add(absl::StrCat(walk.Column("gateway = ?"), " AND ", walk.place, " > (?, ?)"), {});
  query.boundary_sql = absl::StrCat("SELECT ", walk.columns, " FROM ", walk.index, boundary.sql(), " ORDER BY ",
                                    walk.columns, " LIMIT 1 OFFSET ?");
  where.Route(request.route());
  where.Equals(walk.Column("identifier"), request.identifier());
  where.Equals("c.model", request.model());
  where.Equals("c.provider", request.provider());
  where.Equals("r.key_id", request.key());
  where.Version(request.version());
  if (request.end_time_us() != 0) where.Add(walk.Column("start_time_us < ?"), {request.end_time_us()});
  query.values = where.values();
  where.Add(absl::StrCat(walk.Column("gateway = ?"), " AND ", walk.place, " > (?, ?) AND ", walk.place, " <= (?, ?)"),
            {});
  query.keys = static_cast<int>(group_by.size());
  selects.insert(selects.end(), group_by.begin(), group_by.end());

  // Cost is summed as whole dollars and the rest, as one sum of many large amounts could overflow.
  for (const char* sum : {"count(DISTINCT r.id)", "count(DISTINCT CASE WHEN r.outcome = 2 THEN r.id END)",
                          "count(DISTINCT CASE WHEN r.outcome IN (3, 5, 6) THEN r.id END)"}) {
    selects.push_back(sum);
  }
  for (const UsageKind& kind : kUsageKinds) selects.push_back(absl::StrCat("sum(c.", kind.column, ")"));
  for (const char* sum :
       {"sum(c.cost_nanos / 1000000000)", "sum(c.cost_nanos % 1000000000)",
        "sum(c.estimated * (c.cost_nanos / 1000000000))", "sum(c.estimated * (c.cost_nanos % 1000000000))",
        "count(DISTINCT CASE WHEN r.cache = 2 THEN r.id END)",
        "sum(CASE WHEN c.ordinal = r.answered THEN r.duration_us ELSE 0 END)"}) {
    selects.push_back(sum);
  }
  for (const char* bucket : {"r.duration_bucket", "r.first_byte_bucket"}) {
    for (int k = 0; k < kLatencyBuckets; ++k) {
      selects.push_back(absl::StrCat("sum(c.ordinal = r.answered AND ", bucket, " = ", k, ")"));
    }
  }
  selects.push_back("max(r.start_time_us)");
  query.sql = absl::StrCat("SELECT ", absl::StrJoin(selects, ", "), " FROM ", walk.requests,
                           " CROSS JOIN charges c ON c.request = r.id", where.sql());
  if (group_by.empty()) {
    absl::StrAppend(&query.sql, " HAVING count(*) > 0");
  } else {
    absl::StrAppend(&query.sql, " GROUP BY ", absl::StrJoin(group_by, ", "));
  }
  return query;
}

absl::StatusOr<RequestsQuery> BuildRequestsQuery(const v1::ListRequestsRequest& request) {
  RequestsQuery query;
  ASSIGN_OR_RETURN(query.page_size, PageSize(request.page_size()));
  if (request.end_time_us() != 0 && request.end_time_us() < request.start_time_us()) {
    return absl::InvalidArgumentError("end_time_us: must not be before start_time_us");
  }
  const Walk walk(!request.identifier().empty() && !request.gateway().empty());
  Where where;
  where.Add("r.listed = 1", {});
  where.Equals(walk.Column("gateway"), request.gateway());
  where.Route(request.route());
  where.Equals(walk.Column("identifier"), request.identifier());
  where.Equals("r.model", request.model());
  where.Equals("r.provider", request.provider());
  where.Equals("r.key_id", request.key_id());
  where.Equals("r.error_code", request.error_code());
  where.Version(request.version());
  if (request.start_time_us() != 0) where.Add(walk.Column("start_time_us >= ?"), {request.start_time_us()});
  if (request.end_time_us() != 0) where.Add(walk.Column("start_time_us < ?"), {request.end_time_us()});
  if (request.outcome() != v1::OUTCOME_UNSPECIFIED) {
    where.Add("r.outcome = ?", {static_cast<int64_t>(request.outcome())});
  }
  if (!request.page_token().empty()) {
    const std::vector<std::string> parts = absl::StrSplit(request.page_token(), '.');
    int64_t start_time_us = 0, id = 0;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &start_time_us) || !absl::SimpleAtoi(parts[1], &id)) {
      return BadPageToken();
    }
    where.Add(absl::StrCat(walk.place, " < (?, ?)"), {start_time_us, id});
  }
  query.values = std::move(where.values());
  query.sql = absl::StrCat("SELECT r.record, ", walk.columns, " FROM ", walk.requests, where.sql(), " ORDER BY ",
                           walk.Column("start_time_us DESC, "), walk.Column("id DESC LIMIT ?"));
  query.values.push_back(static_cast<int64_t>(query.page_size) + 1);
  return query;
}

int BindValues(SqliteStatement& statement, const std::vector<SqlValue>& values) {
  int index = 0;
  for (const SqlValue& value : values) {
    ++index;
    std::visit([&](const auto& bound) { statement.Bind(index, bound); }, value);
  }
  return index;
}

std::string RequestsPageToken(int64_t start_time_us, int64_t id) { return absl::StrCat(start_time_us, ".", id); }

}  // namespace signalbox
