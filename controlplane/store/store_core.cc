#include "controlplane/store/store_core.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/faults.h"
#include "common/model_price.h"

namespace signalbox {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

constexpr char kRouteColumns[] =
    "id, gateway, name, revision, latest_version, deployed_version, create_us, update_us, tombstone_us";

}  // namespace

absl::StatusOr<std::vector<std::string>> TextColumn(absl::StatusOr<SqliteStatement> query) {
  RETURN_IF_ERROR(query.status());
  std::vector<std::string> values;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query->Step());
    if (!row) return values;
    values.push_back(query->Text(0));
  }
}

google::protobuf::Timestamp ToTimestamp(int64_t unix_us) {
  google::protobuf::Timestamp time;
  time.set_seconds(unix_us / 1'000'000);
  time.set_nanos(static_cast<int32_t>(unix_us % 1'000'000) * 1'000);
  return time;
}

int64_t FromTimestamp(const google::protobuf::Timestamp& time) {
  return time.seconds() * 1'000'000 + time.nanos() / 1'000;
}

std::string Describe(const v1::Route& route) { return absl::StrCat("route \"", route.name(), "\""); }
std::string Describe(const v1::Route& route, int64_t version) {
  return absl::StrCat("route \"", route.name(), "\" v", version);
}

std::string NearNames(std::string_view name, const std::vector<std::string>& known, std::string_view none) {
  constexpr size_t kNamesMax = 5;
  if (known.empty()) return absl::StrCat(" (", std::string(none), ")");
  if (known.size() <= kNamesMax) return absl::StrCat(" (known: ", absl::StrJoin(known, ", "), ")");
  std::vector<std::pair<size_t, std::string>> ranked;
  ranked.reserve(known.size());
  for (const std::string& candidate : known) ranked.emplace_back(EditDistance(name, candidate), candidate);
  std::partial_sort(ranked.begin(), ranked.begin() + kNamesMax, ranked.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < kNamesMax; ++i) {
    if (ranked[i].first <= std::max<size_t>(2, name.size() / 3)) nearest.push_back(ranked[i].second);
  }
  if (nearest.empty()) return absl::StrCat(" (", known.size(), " others are known; list them)");
  return absl::StrCat(" (did you mean ", absl::StrJoin(nearest, ", "), "?)");
}

absl::Status FaultsStatus(absl::StatusCode code, const std::string& context, const std::vector<v1::Fault>& faults) {
  std::string text = context;
  size_t errors = 0;
  for (const v1::Fault& fault : faults) {
    if (fault.severity() != v1::SEVERITY_ERROR || ++errors > 1) continue;
    absl::StrAppend(&text, ": ");
    if (!fault.element_id().empty()) absl::StrAppend(&text, "element \"", fault.element_id(), "\": ");
    absl::StrAppend(&text, fault.message());
  }
  if (errors > 1) absl::StrAppend(&text, " (and ", errors - 1, errors == 2 ? " more fault)" : " more faults)");
  return StatusWithFaults(code, text, faults);
}

absl::Status RequireGateway(const StoreCore& core, const std::string& gateway) {
  ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT 1 FROM gateways WHERE name=?", gateway));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (found) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> known, TextColumn(core.db->Query("SELECT name FROM gateways")));
  return absl::NotFoundError(
      absl::StrCat("unknown gateway \"", gateway, "\"", NearNames(gateway, known, "there is none")));
}

absl::StatusOr<RouteRow> FindRoute(const StoreCore& core, const std::string& gateway, const std::string& route,
                                   bool with_deleted) {
  RETURN_IF_ERROR(RequireGateway(core, gateway));
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query(absl::StrCat("SELECT ", kRouteColumns,
                                               " FROM routes WHERE gateway=?1 AND"
                                               " ((name=?2 AND tombstone_us IS NULL) OR id=?2) ORDER BY id=?2 LIMIT 1"),
                                  gateway, route));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found || (!query.IsNull(8) && !with_deleted)) {
    ASSIGN_OR_RETURN(const std::vector<std::string> known,
                     TextColumn(core.db->Query(
                         "SELECT name FROM routes WHERE gateway=? AND tombstone_us IS NULL ORDER BY name", gateway)));
    return absl::NotFoundError(absl::StrCat("gateway \"", gateway, "\": ", found ? "deleted" : "unknown", " route \"",
                                            route, "\"", NearNames(route, known, "it has no routes yet")));
  }
  RouteRow row;
  row.route.set_id(query.Text(0));
  row.route.set_gateway(query.Text(1));
  row.route.set_name(query.Text(2));
  row.route.set_etag(absl::StrCat("r", query.Int(3)));
  row.route.set_latest_version(query.Int(4));
  row.route.set_deployed_version(query.Int(5));
  *row.route.mutable_create_time() = ToTimestamp(query.Int(6));
  *row.route.mutable_update_time() = ToTimestamp(query.Int(7));
  row.deleted = !query.IsNull(8);
  return row;
}

absl::StatusOr<v1::Version> FindVersion(const StoreCore& core, const v1::Route& route, int64_t number) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT number, json, spec_sha256, compiles, faults, author, comment, create_us, "
                                  "positions_json FROM versions WHERE route_id=? AND number=?",
                                  route.id(), number == 0 ? route.latest_version() : number));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat(Describe(route), " has no version ", number, " (it has 1 to ", route.latest_version(), ")"));
  }
  v1::Version version;
  version.set_route_id(route.id());
  version.set_number(query.Int(0));
  version.set_json(query.Text(1));
  version.set_sha256(query.Text(2));
  version.set_compiles(query.Int(3) != 0);
  v1::Faults faults;
  if (!faults.ParseFromString(query.Text(4))) {
    return absl::DataLossError(absl::StrCat(Describe(route, version.number()), ": its stored faults are unreadable"));
  }
  *version.mutable_faults() = std::move(*faults.mutable_faults());
  version.set_author(query.Text(5));
  version.set_comment(query.Text(6));
  *version.mutable_create_time() = ToTimestamp(query.Int(7));
  version.set_positions_json(query.Text(8));
  return version;
}

absl::StatusOr<ValidationContext> ContextOf(const StoreCore& core, const std::string& gateway) {
  ValidationContext context;
  std::map<std::string, std::string> kinds;
  {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core.db->Query("SELECT name, kind FROM providers WHERE gateway=?", gateway));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      context.providers.insert(query.Text(0));
      kinds[query.Text(0)] = query.Text(1);
    }
  }
  context.is_priced = [catalogue = core.catalogue, kinds = std::move(kinds)](const std::string& provider,
                                                                             const std::string& model) {
    const auto kind = kinds.find(provider);
    const std::string source = PriceSourceOf(provider, kind == kinds.end() ? "" : kind->second);
    const std::optional<v1::ModelPrice> price = catalogue.Find(source, model);
    return price.has_value() && PricesTokens(*price);
  };
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT provider, model FROM prices WHERE gateway=?", gateway));
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return context;
    context.priced_models.emplace(query.Text(0), query.Text(1));
  }
}

absl::StatusOr<std::string> PriceSourceIn(const StoreCore& core, const std::string& gateway,
                                          const std::string& provider) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT kind FROM providers WHERE gateway=? AND name=?", gateway, provider));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  return PriceSourceOf(provider, found ? query.Text(0) : "");
}

absl::StatusOr<std::optional<v1::ModelPrice>> PriceInForce(const StoreCore& core, const std::string& gateway,
                                                           const std::string& provider, const std::string& model) {
  // Without case, as the catalogue; the exact one first.
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT price FROM prices WHERE gateway=?1 AND provider=?2 AND"
                                  " model=?3 COLLATE NOCASE ORDER BY model=?3 DESC, model LIMIT 1",
                                  gateway, provider, model));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (found) {
    v1::ModelPrice price;
    if (!price.ParseFromString(query.Text(0))) {
      return absl::DataLossError(absl::StrCat("the stored price of ", provider, "/", model, " is unreadable"));
    }
    return std::optional<v1::ModelPrice>(std::move(price));
  }
  ASSIGN_OR_RETURN(const std::string source, PriceSourceIn(core, gateway, provider));
  std::optional<v1::ModelPrice> price = core.catalogue.Find(source, model);
  if (price.has_value()) price->set_provider(provider);
  return price;
}

absl::StatusOr<std::vector<v1::ModelPrice>> PricesInForce(const StoreCore& core, const std::string& gateway,
                                                          const std::string& provider) {
  std::vector<v1::ModelPrice> prices;
  {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core.db->Query("SELECT model, price FROM prices WHERE gateway=? AND provider=? ORDER BY model",
                                    gateway, provider));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      if (!prices.emplace_back().ParseFromString(query.Text(1))) {
        return absl::DataLossError(
            absl::StrCat("the stored price of ", provider, "/", query.Text(0), " is unreadable"));
      }
    }
  }
  ASSIGN_OR_RETURN(const std::string source, PriceSourceIn(core, gateway, provider));
  for (const v1::ModelPrice& price : core.catalogue.PricesOf(source)) {
    prices.push_back(price);
    prices.back().set_provider(provider);
  }
  return prices;
}

absl::StatusOr<v1::CompiledRoute> CompileInGateway(const StoreCore& core, const RouteIdentity& identity,
                                                   const v1::RouteSpec& spec) {
  absl::Status price_status;
  const PriceLookup prices = [&](const std::string& provider, const std::string& model)
                                 SB_REQUIRES(core.mutex) -> std::optional<v1::ModelPrice> {
    absl::StatusOr<std::optional<v1::ModelPrice>> price = PriceInForce(core, identity.gateway, provider, model);
    price_status.Update(price.status());
    if (!price.ok() || !price->has_value() || !PricesTokens(**price)) return std::nullopt;
    return *std::move(price);
  };
  absl::StatusOr<v1::CompiledRoute> compiled = CompileRoute(identity, spec, prices);
  RETURN_IF_ERROR(price_status);
  if (compiled.ok()) return compiled;
  return StatusWithFaults(
      compiled.status().code(),
      absl::StrCat("route \"", identity.name, "\" v", identity.version, ": ", std::string(compiled.status().message())),
      FaultsOf(compiled.status()));
}

}  // namespace signalbox
