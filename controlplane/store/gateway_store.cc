#include "controlplane/store/gateway_store.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/manifest.h"
#include "common/provider_kind.h"
#include "controlplane/store/publication.h"

namespace signalbox {
namespace {

// The providers every gateway starts with, at their well-known addresses.
constexpr const char* kFirstProviders[] = {"anthropic", "openai"};

absl::StatusOr<v1::Gateway> FindGateway(const StoreCore& core, const std::string& name) SB_REQUIRES(core.mutex) {
  RETURN_IF_ERROR(RequireGateway(core, name));
  ASSIGN_OR_RETURN(SqliteStatement query, core.db->Query("SELECT create_us FROM gateways WHERE name=?", name));
  RETURN_IF_ERROR(query.Step().status());
  v1::Gateway gateway;
  gateway.set_name(name);
  *gateway.mutable_create_time() = ToTimestamp(query.Int(0));
  ASSIGN_OR_RETURN(*gateway.mutable_settings(), FindSettings(core, name));
  return gateway;
}

}  // namespace

absl::StatusOr<v1::Gateway> GatewayStore::Create(const std::string& name) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  const int64_t now_us = core_.clock->UnixMicros();
  const absl::Status inserted = core_.db->Run("INSERT INTO gateways(name, create_us) VALUES(?,?)", name, now_us);
  if (absl::IsAlreadyExists(inserted)) {
    return absl::AlreadyExistsError(absl::StrCat("there already is a gateway \"", name, "\""));
  }
  RETURN_IF_ERROR(inserted);
  for (const char* first : kFirstProviders) {
    v1::Provider provider;
    provider.set_gateway(name);
    provider.set_name(first);
    provider.set_kind(std::string(ProviderKindText(FindKnownProvider(first)->kind)));
    RETURN_IF_ERROR(PutProvider(core_, provider, {}));
    RETURN_IF_ERROR(PublishProvider(core_, name, first));
  }
  RETURN_IF_ERROR(PublishGateway(core_, name));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("gateway ", name), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  return FindGateway(core_, name);
}

absl::StatusOr<v1::Gateway> GatewayStore::Get(const std::string& name) const {
  MutexLock lock(core_.mutex);
  return FindGateway(core_, name);
}

absl::StatusOr<v1::Gateway> GatewayStore::Update(const std::string& name, const v1::GatewaySettings& settings) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, name));
  std::string route_id;
  if (!settings.default_route().empty()) {
    const absl::StatusOr<RouteRow> row = FindRoute(core_, name, settings.default_route());
    if (absl::IsNotFound(row.status())) {
      return absl::InvalidArgumentError(absl::StrCat("settings.default_route: ", std::string(row.status().message())));
    }
    RETURN_IF_ERROR(row.status());
    if (row->route.deployed_version() == 0) {
      return absl::InvalidArgumentError(absl::StrCat("settings.default_route: ", Describe(row->route),
                                                     " is not deployed, so plain calls could not pass through it; "
                                                     "deploy it first"));
    }
    route_id = row->route.id();
  }
  v1::GatewaySettings stored = settings;
  stored.clear_default_route();
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(core_.db->Run("UPDATE gateways SET settings=?, default_route_id=nullif(?,'') WHERE name=?",
                                SqlBlob{SerializeDeterministic(stored)}, route_id, name));
  RETURN_IF_ERROR(PublishGateway(core_, name));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("settings of gateway ", name), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  return FindGateway(core_, name);
}

absl::StatusOr<Page<v1::Gateway>> GatewayStore::List(const std::string& after_name, int limit) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(
      SqliteStatement query,
      core_.db->Query("SELECT name FROM gateways WHERE name>? ORDER BY name LIMIT ?", after_name, limit + 1));
  Page<v1::Gateway> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    ASSIGN_OR_RETURN(v1::Gateway gateway, FindGateway(core_, query.Text(0)));
    page.items.push_back(std::move(gateway));
  }
}

absl::StatusOr<v1::Provider> GatewayStore::ApplyProvider(const v1::Provider& provider, const SecretChanges& secrets) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, provider.gateway()));
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(PutProvider(core_, provider, secrets));
  RETURN_IF_ERROR(PublishProvider(core_, provider.gateway(), provider.name()));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("provider ", provider.name()), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  return FindProvider(core_, provider.gateway(), provider.name());
}

absl::StatusOr<Page<v1::Provider>> GatewayStore::ListProviders(const std::string& gateway,
                                                               const std::string& after_name, int limit) const {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query("SELECT name FROM providers WHERE gateway=? AND name>? ORDER BY name LIMIT ?",
                                   gateway, after_name, limit + 1));
  Page<v1::Provider> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    ASSIGN_OR_RETURN(v1::Provider provider, FindProvider(core_, gateway, query.Text(0)));
    page.items.push_back(std::move(provider));
  }
}

absl::Status GatewayStore::DeleteProvider(const std::string& gateway, const std::string& name) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  RETURN_IF_ERROR(FindProvider(core_, gateway, name).status());
  std::vector<std::string> users;
  {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core_.db->Query("SELECT DISTINCT r.name FROM routes r JOIN version_models m ON m.route_id=r.id"
                                     " AND m.version=r.deployed_version WHERE r.gateway=? AND r.tombstone_us IS NULL"
                                     " AND m.provider=? ORDER BY r.name LIMIT 6",
                                     gateway, name));
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      users.push_back(absl::StrCat("\"", query.Text(0), "\""));
    }
  }
  if (users.size() == 6) users.back() = "...";
  if (!users.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("provider \"", name, "\" is used by deployed routes: ", absl::StrJoin(users, ", ")));
  }
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(core_.db->Run("DELETE FROM providers WHERE gateway=? AND name=?", gateway, name));
  RETURN_IF_ERROR(RemoveResource(core_, ProviderResource(gateway, name)));
  RETURN_IF_ERROR(RemoveResource(core_, PricesResource(gateway, name)));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("delete provider ", name), First::kNo, false).status());
  return transaction.Commit();
}

}  // namespace signalbox
