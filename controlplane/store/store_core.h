// What the areas of the store share: the one connection and the mutex that guards it, the clock, the sealer and the
// price catalogue. Owned by SqliteStore.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "common/route/validator.h"
#include "common/seal/seal.h"
#include "controlplane/compiler/compiler.h"
#include "controlplane/prices/price_catalogue.h"
#include "controlplane/store/sqlite_db.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {

struct StoreCore {
  mutable Mutex mutex;
  std::unique_ptr<SqliteDb> db SB_GUARDED_BY(mutex);
  const Clock* clock = nullptr;
  std::optional<Sealer> sealer;
  PriceCatalogue bundled_catalogue;               // of the build
  PriceCatalogue catalogue SB_GUARDED_BY(mutex);  // in force under the gateways' own prices
  std::string lineage;
};

// One page of a listing; `more` says whether another one follows.
template <typename T>
struct Page {
  std::vector<T> items;
  bool more = false;
};

// A row of `routes`, for use inside the store.
struct RouteRow {
  v1::Route route;
  bool deleted = false;
};

// The first column of every row.
absl::StatusOr<std::vector<std::string>> TextColumn(absl::StatusOr<SqliteStatement> query);

// NOT_FOUND naming the gateways there are.
absl::Status RequireGateway(const StoreCore& core, const std::string& gateway) SB_REQUIRES(core.mutex);

// By name (live ones only) or by id. NOT_FOUND names near ones. A deleted route is found by its id when
// `with_deleted`, for its history.
absl::StatusOr<RouteRow> FindRoute(const StoreCore& core, const std::string& gateway, const std::string& route,
                                   bool with_deleted = false) SB_REQUIRES(core.mutex);

// `number` 0: the latest. NOT_FOUND names the versions there are.
absl::StatusOr<v1::Version> FindVersion(const StoreCore& core, const v1::Route& route, int64_t number)
    SB_REQUIRES(core.mutex);

// Providers and prices of the gateway, to check a graph against.
absl::StatusOr<ValidationContext> ContextOf(const StoreCore& core, const std::string& gateway) SB_REQUIRES(core.mutex);

// The price in force: the gateway's own, else the catalogue's, for the name the provider has there.
absl::StatusOr<std::optional<v1::ModelPrice>> PriceInForce(const StoreCore& core, const std::string& gateway,
                                                           const std::string& provider, const std::string& model)
    SB_REQUIRES(core.mutex);

// Every price in force for one provider of the gateway, in the order they are tried: its own, ordered by model, then
// the catalogue's.
absl::StatusOr<std::vector<v1::ModelPrice>> PricesInForce(const StoreCore& core, const std::string& gateway,
                                                          const std::string& provider) SB_REQUIRES(core.mutex);

// What the catalogue calls a provider of the gateway.
absl::StatusOr<std::string> PriceSourceIn(const StoreCore& core, const std::string& gateway,
                                          const std::string& provider) SB_REQUIRES(core.mutex);

// Compiles with the gateway's prices. Errors start with `route "<name>" v<version>: `.
absl::StatusOr<v1::CompiledRoute> CompileInGateway(const StoreCore& core, const RouteIdentity& identity,
                                                   const v1::RouteSpec& spec) SB_REQUIRES(core.mutex);

// `<context>: element "mini": unknown provider ...`, all faults as details; counts those not told in the text.
absl::Status FaultsStatus(absl::StatusCode code, const std::string& context, const std::vector<v1::Fault>& faults);

// `route "my-saas"` and `route "my-saas" v7`.
std::string Describe(const v1::Route& route);
std::string Describe(const v1::Route& route, int64_t version);

// Up to five of `known` that look most like `name`: ` (did you mean a, b?)`, or all when few: ` (known: a, b)`.
std::string NearNames(std::string_view name, const std::vector<std::string>& known, std::string_view none);

google::protobuf::Timestamp ToTimestamp(int64_t unix_us);
int64_t FromTimestamp(const google::protobuf::Timestamp& time);

}  // namespace signalbox
