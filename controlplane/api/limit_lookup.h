// What an operator calls a limit, an identifier and an amount, as a counter's key has them. Limits are those of the
// published snapshot: what proxies enforce now. Thread-safe as the store is; the rest is pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/identifier.h"
#include "controlplane/store/sqlite_store.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

struct LimitName {
  std::string gateway;
  std::string route;    // with `element`, or
  std::string element;  // empty: the route's only limit
  std::string pool;
};

// Limits that share their counters: one pool, unit, window and technique.
struct DeployedLimit {
  v1::CounterKey key;                   // without an identifier
  std::optional<int64_t> limit;         // nullopt when they differ in it
  std::vector<std::string> key_fields;  // metadata.email; empty when they differ in it
  std::vector<std::string> elements;    // my-saas/free-requests
};

// One for a route's element; for a pool as many as its limits differ in, none when no deployed route uses it.
// INVALID_ARGUMENT when the name is incomplete, NOT_FOUND and FAILED_PRECONDITION where there is no such limit.
absl::StatusOr<std::vector<DeployedLimit>> FindLimits(SqliteStore& store, const LimitName& name);

// Every deployed route of the gateway as proxies have it, ordered by name. NOT_FOUND for an unknown gateway.
absl::StatusOr<std::vector<v1::CompiledRoute>> DeployedRoutes(SqliteStore& store, const std::string& gateway);

// `types`: none (all strings), one for all, or one each of string, number, bool. INVALID_ARGUMENT names the value.
absl::StatusOr<Identifier> ParseIdentifier(const google::protobuf::RepeatedPtrField<std::string>& values,
                                           const google::protobuf::RepeatedPtrField<std::string>& types);

// "-1.25" dollars to nano-dollars, or a whole number of requests or tokens; exactly, or INVALID_ARGUMENT. Never 0.
absl::StatusOr<int64_t> ParseAmount(std::string_view text, v1::Unit unit);

bool SharesCounters(const v1::CounterKey& a, const v1::CounterKey& b);  // all but the identifier is equal
std::string DescribeKind(const v1::CounterKey& key);                    // "dollars per 86400 s", "tokens per day (UTC)"

}  // namespace signalbox
