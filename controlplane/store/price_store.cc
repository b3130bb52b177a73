#include "controlplane/store/price_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/manifest.h"
#include "controlplane/store/provider_rows.h"
#include "controlplane/store/publication.h"

namespace signalbox {

absl::StatusOr<v1::ModelPrice> PriceStore::Get(const std::string& gateway, const std::string& provider,
                                               const std::string& model) const {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(std::optional<v1::ModelPrice> price, PriceInForce(core_, gateway, provider, model));
  if (price.has_value()) return *std::move(price);
  ASSIGN_OR_RETURN(const std::vector<v1::ModelPrice> prices, PricesInForce(core_, gateway, provider));
  std::set<std::string> models;
  for (const v1::ModelPrice& known : prices) models.insert(known.model());
  return absl::NotFoundError(
      absl::StrCat("gateway \"", gateway, "\": no price for ", provider, "/", model,
                   NearNames(model, {models.begin(), models.end()}, "no model of that provider has one")));
}

absl::StatusOr<std::vector<v1::ModelPrice>> PriceStore::List(const std::string& gateway) const {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(const std::vector<std::string> providers,
                   TextColumn(core_.db->Query("SELECT name FROM providers WHERE gateway=?1 UNION"
                                              " SELECT provider FROM prices WHERE gateway=?1",
                                              gateway)));
  std::map<std::pair<std::string, std::string>, v1::ModelPrice> prices;
  for (const std::string& provider : providers) {
    ASSIGN_OR_RETURN(std::vector<v1::ModelPrice> in_force, PricesInForce(core_, gateway, provider));
    for (v1::ModelPrice& price : in_force) {
      if (price.source().empty()) price.set_source(core_.catalogue.origin());
      prices.emplace(std::pair(provider, price.model()), std::move(price));  // the first that is tried counts
    }
  }
  std::vector<v1::ModelPrice> list;
  list.reserve(prices.size());
  for (auto& [key, price] : prices) list.push_back(std::move(price));
  return list;
}

absl::StatusOr<v1::ModelPrice> PriceStore::Set(const std::string& gateway, const v1::ModelPrice& price) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(core_.db->Run(
      "INSERT OR REPLACE INTO prices(gateway, provider, model, price, update_us) VALUES(?,?,?,?,?)", gateway,
      price.provider(), price.model(), SqlBlob{SerializeDeterministic(price)}, core_.clock->UnixMicros()));
  std::vector<std::string> route_ids;
  {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core_.db->Query("SELECT r.id FROM routes r JOIN version_models m ON m.route_id=r.id AND"
                                     " m.version=r.deployed_version WHERE r.gateway=? AND r.tombstone_us IS NULL"
                                     " AND m.provider=? AND m.model=?",
                                     gateway, price.provider(), price.model()));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      route_ids.push_back(query.Text(0));
    }
  }
  for (const std::string& id : route_ids) {
    ASSIGN_OR_RETURN(const RouteRow row, FindRoute(core_, gateway, id));
    ASSIGN_OR_RETURN(const std::string sha256, RecompileVersion(core_, row.route, row.route.deployed_version()));
    RETURN_IF_ERROR(SetResource(core_, RouteResource(gateway, id), sha256));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> providers, ProviderNames(core_, gateway));
  if (std::find(providers.begin(), providers.end(), price.provider()) != providers.end()) {
    RETURN_IF_ERROR(PublishPrices(core_, gateway, price.provider()));
  }
  RETURN_IF_ERROR(
      PublishNext(core_, absl::StrCat("price ", price.provider(), "/", price.model()), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  return price;
}

}  // namespace signalbox
