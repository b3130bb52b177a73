#include "controlplane/store/gateway_store.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/manifest.h"
#include "controlplane/store/publication.h"

namespace signalbox {
namespace {

// The providers every gateway starts with; both speak the OpenAI wire format at these addresses.
constexpr struct {
  const char* name;
  const char* base_url;
} kFirstProviders[] = {{"openai", "https://api.openai.com/v1"}, {"anthropic", "https://api.anthropic.com/v1"}};

constexpr char kProviderColumns[] = "name, kind, base_url, headers, sealed_secret IS NOT NULL, update_us";

absl::StatusOr<v1::Provider> ReadProvider(const SqliteStatement& query, const std::string& gateway) {
  v1::Provider provider;
  if (!provider.ParseFromString(query.Text(3))) {
    return absl::DataLossError(absl::StrCat("provider \"", query.Text(0), "\": its stored headers are unreadable"));
  }
  provider.set_gateway(gateway);
  provider.set_name(query.Text(0));
  provider.set_kind(query.Text(1));
  provider.set_base_url(query.Text(2));
  provider.set_has_secret(query.Int(4) != 0);
  *provider.mutable_update_time() = ToTimestamp(query.Int(5));
  return provider;
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
  for (const auto& first : kFirstProviders) {
    v1::Provider provider;
    provider.set_gateway(name);
    provider.set_name(first.name);
    provider.set_kind("openai");
    provider.set_base_url(first.base_url);
    RETURN_IF_ERROR(PutProvider(provider, std::nullopt));
  }
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("gateway ", name), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  v1::Gateway gateway;
  gateway.set_name(name);
  *gateway.mutable_create_time() = ToTimestamp(now_us);
  return gateway;
}

absl::StatusOr<Page<v1::Gateway>> GatewayStore::List(const std::string& after_name, int limit) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query("SELECT name, create_us FROM gateways WHERE name>? ORDER BY name LIMIT ?",
                                   after_name, limit + 1));
  Page<v1::Gateway> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    v1::Gateway& gateway = page.items.emplace_back();
    gateway.set_name(query.Text(0));
    *gateway.mutable_create_time() = ToTimestamp(query.Int(1));
  }
}

absl::Status GatewayStore::PutProvider(const v1::Provider& provider, const std::optional<std::string>& secret) {
  std::string sealed;
  std::string clear = secret.value_or("");
  if (secret.has_value()) {
    if (!clear.empty()) sealed = core_.sealer->Seal(clear);
  } else {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core_.db->Query("SELECT sealed_secret FROM providers WHERE gateway=? AND name=?",
                                     provider.gateway(), provider.name()));
    ASSIGN_OR_RETURN(const bool found, query.Step());
    if (found && !query.IsNull(0)) {
      sealed = query.Text(0);
      absl::StatusOr<std::string> opened = core_.sealer->Open(sealed);
      if (!opened.ok()) {
        return absl::Status(opened.status().code(),
                            absl::StrCat("provider \"", provider.name(), "\": its stored secret cannot be opened (",
                                         std::string(opened.status().message()), "); give it again"));
      }
      clear = *std::move(opened);
    }
  }
  v1::Provider headers;
  *headers.mutable_headers() = provider.headers();
  ASSIGN_OR_RETURN(SqliteStatement insert,
                   core_.db->Prepare("INSERT OR REPLACE INTO providers(gateway, name, kind, base_url, headers, "
                                     "sealed_secret, update_us) VALUES(?,?,?,?,?,?,?)"));
  insert.BindAll(provider.gateway(), provider.name(), provider.kind(), provider.base_url(),
                 SqlBlob{SerializeDeterministic(headers)}, nullptr, core_.clock->UnixMicros());
  if (!sealed.empty()) insert.Bind(6, SqlBlob{sealed});
  RETURN_IF_ERROR(insert.Run());

  v1::Resource resource;
  v1::SnapshotProvider& published = *resource.mutable_provider();
  published.set_gateway(provider.gateway());
  published.set_name(provider.name());
  published.set_kind(provider.kind());
  published.set_base_url(provider.base_url());
  published.set_secret(clear);
  *published.mutable_headers() = provider.headers();
  ASSIGN_OR_RETURN(const std::string sha256, PutBlob(core_, resource, /*sealed=*/true));
  return SetResource(core_, ProviderResource(provider.gateway(), provider.name()), sha256);
}

absl::StatusOr<v1::Provider> GatewayStore::ApplyProvider(const v1::Provider& provider,
                                                         const std::optional<std::string>& secret) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, provider.gateway()));
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(PutProvider(provider, secret));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("provider ", provider.name()), First::kNo, false).status());
  RETURN_IF_ERROR(transaction.Commit());
  ASSIGN_OR_RETURN(SqliteStatement query, core_.db->Query(absl::StrCat("SELECT ", kProviderColumns,
                                                                       " FROM providers WHERE gateway=? AND name=?"),
                                                          provider.gateway(), provider.name()));
  RETURN_IF_ERROR(query.Step().status());
  return ReadProvider(query, provider.gateway());
}

absl::StatusOr<Page<v1::Provider>> GatewayStore::ListProviders(const std::string& gateway,
                                                               const std::string& after_name, int limit) const {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query(absl::StrCat("SELECT ", kProviderColumns,
                                                " FROM providers WHERE gateway=? AND name>? ORDER BY name LIMIT ?"),
                                   gateway, after_name, limit + 1));
  Page<v1::Provider> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    ASSIGN_OR_RETURN(v1::Provider provider, ReadProvider(query, gateway));
    page.items.push_back(std::move(provider));
  }
}

absl::Status GatewayStore::DeleteProvider(const std::string& gateway, const std::string& name) {
  MutexLock lock(core_.mutex);
  RETURN_IF_ERROR(RequireGateway(core_, gateway));
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
  if (core_.db->Changes() == 0) {
    return absl::NotFoundError(absl::StrCat("gateway \"", gateway, "\": unknown provider \"", name, "\""));
  }
  RETURN_IF_ERROR(RemoveResource(core_, ProviderResource(gateway, name)));
  RETURN_IF_ERROR(PublishNext(core_, absl::StrCat("delete provider ", name), First::kNo, false).status());
  return transaction.Commit();
}

}  // namespace signalbox
