#include "controlplane/store/provider_rows.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/provider_kind.h"

namespace signalbox {
namespace {

// What has no column of its own.
v1::Provider DetailsOf(const v1::Provider& provider) {
  v1::Provider details;
  *details.mutable_headers() = provider.headers();
  *details.mutable_options() = provider.options();
  for (const v1::ProviderEndpoint& given : provider.endpoints()) {
    v1::ProviderEndpoint& endpoint = *details.add_endpoints();
    endpoint.set_name(given.name());
    endpoint.set_base_url(given.base_url());
    endpoint.set_weight(std::max(given.weight(), 1));
  }
  if (provider.has_health_check()) *details.mutable_health_check() = provider.health_check();
  return details;
}

// A provider as stored, with what is sealed of it.
struct ProviderRow {
  v1::Provider provider;
  std::string sealed_secret;
  std::map<std::string, std::string> sealed_of_endpoints;  // by name
};

absl::StatusOr<ProviderRow> ReadRow(const StoreCore& core, const std::string& gateway, const std::string& name)
    SB_REQUIRES(core.mutex) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT kind, base_url, headers, sealed_secret, update_us FROM providers"
                                  " WHERE gateway=? AND name=?",
                                  gateway, name));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) {
    ASSIGN_OR_RETURN(const std::vector<std::string> known, ProviderNames(core, gateway));
    return absl::NotFoundError(absl::StrCat("gateway \"", gateway, "\": unknown provider \"", name, "\"",
                                            NearNames(name, known, "it has none")));
  }
  ProviderRow row;
  if (!row.provider.ParseFromString(query.Text(2))) {
    return absl::DataLossError(absl::StrCat("provider \"", name, "\": its stored details are unreadable"));
  }
  row.provider.set_gateway(gateway);
  row.provider.set_name(name);
  row.provider.set_kind(query.Text(0));
  row.provider.set_base_url(query.Text(1));
  row.sealed_secret = query.Text(3);
  *row.provider.mutable_update_time() = ToTimestamp(query.Int(4));
  if (ProviderKind kind; row.provider.base_url().empty() && ParseProviderKind(row.provider.kind(), kind)) {
    const auto region = row.provider.options().find("region");
    row.provider.set_base_url(
        WellKnownBaseUrl(name, kind, region == row.provider.options().end() ? "" : region->second));
  }
  ASSIGN_OR_RETURN(SqliteStatement secrets,
                   core.db->Query("SELECT endpoint, sealed_secret FROM endpoint_secrets WHERE gateway=? AND provider=?",
                                  gateway, name));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, secrets.Step());
    if (!more) return row;
    row.sealed_of_endpoints[secrets.Text(0)] = secrets.Text(1);
  }
}

absl::Status PutEndpointSecrets(StoreCore& core, const v1::Provider& provider, const SecretChanges& secrets)
    SB_REQUIRES(core.mutex) {
  const auto remove = [&](const std::string& endpoint) SB_REQUIRES(core.mutex) {
    return core.db->Run("DELETE FROM endpoint_secrets WHERE gateway=? AND provider=? AND endpoint=?",
                        provider.gateway(), provider.name(), endpoint);
  };
  std::set<std::string> kept;
  for (const v1::ProviderEndpoint& endpoint : provider.endpoints()) kept.insert(endpoint.name());
  ASSIGN_OR_RETURN(const ProviderRow row, ReadRow(core, provider.gateway(), provider.name()));
  for (const auto& [endpoint, sealed] : row.sealed_of_endpoints) {
    if (kept.count(endpoint) == 0) RETURN_IF_ERROR(remove(endpoint));
  }
  for (const auto& [endpoint, secret] : secrets.of_endpoints) {
    if (secret.empty()) {
      RETURN_IF_ERROR(remove(endpoint));
      continue;
    }
    RETURN_IF_ERROR(
        core.db->Run("INSERT INTO endpoint_secrets(gateway, provider, endpoint, sealed_secret) VALUES(?,?,?,?)"
                     " ON CONFLICT DO UPDATE SET sealed_secret=excluded.sealed_secret",
                     provider.gateway(), provider.name(), endpoint, SqlBlob{core.sealer->Seal(secret)}));
  }
  return absl::OkStatus();
}

// `whose`: `provider "groq"`. Empty stays empty.
absl::StatusOr<std::string> OpenSecret(const StoreCore& core, const std::string& sealed, const std::string& kind_text,
                                       const std::string& whose) {
  if (sealed.empty()) return std::string();
  absl::StatusOr<std::string> clear = core.sealer->Open(sealed);
  if (!clear.ok()) {
    return absl::Status(clear.status().code(), absl::StrCat(whose, ": its stored secret cannot be opened (",
                                                            std::string(clear.status().message()), "); give it again"));
  }
  if (ProviderKind kind; ParseProviderKind(kind_text, kind) && !SecretFits(kind, *clear)) {
    return absl::InvalidArgumentError(absl::StrCat(whose, ": its secret is not of the shape that ", kind_text,
                                                   " needs, ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]; give "
                                                   "it again"));
  }
  return clear;
}

}  // namespace

absl::Status PutProvider(StoreCore& core, const v1::Provider& provider, const SecretChanges& secrets) {
  // Only what changes is written of the secret: NULL here means "as it is" in an update.
  ASSIGN_OR_RETURN(SqliteStatement put,
                   core.db->Prepare("INSERT INTO providers(gateway, name, kind, base_url, headers, sealed_secret, "
                                    "update_us) VALUES(?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET kind=excluded.kind, "
                                    "base_url=excluded.base_url, headers=excluded.headers, "
                                    "update_us=excluded.update_us, sealed_secret=iif(?,excluded.sealed_secret,"
                                    "sealed_secret)"));
  put.BindAll(provider.gateway(), provider.name(), provider.kind(), provider.base_url(),
              SqlBlob{SerializeDeterministic(DetailsOf(provider))}, nullptr, core.clock->UnixMicros(),
              secrets.own.has_value());
  const std::string sealed = secrets.own.value_or("").empty() ? "" : core.sealer->Seal(*secrets.own);
  if (!sealed.empty()) put.Bind(6, SqlBlob{sealed});
  RETURN_IF_ERROR(put.Run());
  return PutEndpointSecrets(core, provider, secrets);
}

absl::StatusOr<v1::Provider> FindProvider(const StoreCore& core, const std::string& gateway, const std::string& name) {
  ASSIGN_OR_RETURN(ProviderRow row, ReadRow(core, gateway, name));
  row.provider.set_has_secret(!row.sealed_secret.empty());
  for (v1::ProviderEndpoint& endpoint : *row.provider.mutable_endpoints()) {
    endpoint.set_has_secret(row.sealed_of_endpoints.count(endpoint.name()) != 0);
  }
  return std::move(row.provider);
}

absl::StatusOr<std::vector<std::string>> ProviderNames(const StoreCore& core, const std::string& gateway) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query("SELECT name FROM providers WHERE gateway=? ORDER BY name", gateway));
  std::vector<std::string> names;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return names;
    names.push_back(query.Text(0));
  }
}

absl::StatusOr<v1::SnapshotProvider> ProviderForSnapshot(const StoreCore& core, const std::string& gateway,
                                                         const std::string& name) {
  ASSIGN_OR_RETURN(const ProviderRow row, ReadRow(core, gateway, name));
  const v1::Provider& provider = row.provider;
  const std::string whose = absl::StrCat("provider \"", name, "\"");
  v1::SnapshotProvider published;
  published.set_gateway(gateway);
  published.set_name(name);
  published.set_kind(provider.kind());
  published.set_base_url(provider.base_url());
  *published.mutable_headers() = provider.headers();
  *published.mutable_options() = provider.options();
  if (provider.has_health_check()) *published.mutable_health_check() = provider.health_check();
  ASSIGN_OR_RETURN(*published.mutable_secret(), OpenSecret(core, row.sealed_secret, provider.kind(), whose));
  for (const v1::ProviderEndpoint& stored : provider.endpoints()) {
    v1::SnapshotProvider::Endpoint& endpoint = *published.add_endpoints();
    endpoint.set_name(stored.name());
    endpoint.set_base_url(stored.base_url().empty() ? provider.base_url() : stored.base_url());
    endpoint.set_weight(stored.weight());
    endpoint.set_secret(published.secret());
    const auto own = row.sealed_of_endpoints.find(stored.name());
    if (own == row.sealed_of_endpoints.end()) continue;
    ASSIGN_OR_RETURN(*endpoint.mutable_secret(), OpenSecret(core, own->second, provider.kind(),
                                                            absl::StrCat(whose, " endpoint \"", stored.name(), "\"")));
  }
  return published;
}

}  // namespace signalbox
