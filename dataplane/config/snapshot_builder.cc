#include "dataplane/config/snapshot_builder.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/faults.h"
#include "common/limits.h"
#include "common/manifest.h"
#include "common/provider_kind.h"
#include "common/route/walker.h"
#include "common/sha256.h"

namespace signalbox {
namespace {

constexpr size_t kFaultsMax = 100;  // a Nack must stay a small message

class Faults {
 public:
  void Add(const std::string& code, const std::string& resource, const std::string& message) {
    if (list_.size() >= kFaultsMax) return;
    v1::Fault& fault = list_.emplace_back();
    fault.set_severity(v1::SEVERITY_ERROR);
    fault.set_code(code);
    fault.set_path(resource);
    fault.set_message(message);
  }
  const std::vector<v1::Fault>& list() const { return list_; }

 private:
  std::vector<v1::Fault> list_;
};

void CheckManifest(const SnapshotOffer& offer, Faults& faults) {
  const std::vector<v1::ManifestEntry>& manifest = offer.manifest;
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (manifest[i].sha256().size() != 32) {
      faults.Add("bad_manifest", manifest[i].name(), "its sha256 does not have 32 bytes");
    }
    if (i > 0 && manifest[i - 1].name() >= manifest[i].name()) {
      faults.Add("bad_manifest", manifest[i].name(), "the manifest is not ordered by name, or has a name twice");
    }
  }
  const std::string sha256 = ManifestSha256(manifest);
  if (sha256 != offer.id.sha256()) {
    faults.Add("bad_manifest", "$",
               absl::StrCat("the manifest's sha256 is ", sha256, ", the snapshot's identity says ", offer.id.sha256()));
  }
}

bool IsHex(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

// Without blanks and control characters: it can stand in a request line.
bool IsCleanText(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

// http(s)://host...; what exactly follows is for the upstream's own parser.
bool IsPlausibleUrl(const std::string& url) {
  absl::string_view rest = url;
  if (absl::StartsWith(rest, "https://")) {
    rest.remove_prefix(8);
  } else if (absl::StartsWith(rest, "http://")) {
    rest.remove_prefix(7);
  } else {
    return false;
  }
  if (rest.empty() || rest[0] == '/' || rest[0] == ':') return false;
  return IsCleanText(url);
}

std::optional<std::string> FaultOfBaseUrl(const std::string& base_url) {
  if (IsPlausibleUrl(base_url)) return std::nullopt;
  return absl::StrCat("base_url \"", base_url, "\" is not http(s)://host[:port][/path]");
}

std::optional<std::string> FaultOfEndpoints(const v1::SnapshotProvider& provider) {
  absl::flat_hash_set<std::string> names;
  for (const v1::SnapshotProvider::Endpoint& endpoint : provider.endpoints()) {
    if (endpoint.name().empty()) return "an endpoint has no name";
    if (!names.insert(endpoint.name()).second) return absl::StrCat("it has two endpoints \"", endpoint.name(), "\"");
    if (endpoint.weight() < 1) return absl::StrCat("endpoint \"", endpoint.name(), "\": its weight is below 1");
    if (const std::optional<std::string> fault = FaultOfBaseUrl(endpoint.base_url()); fault.has_value()) {
      return absl::StrCat("endpoint \"", endpoint.name(), "\": ", *fault);
    }
  }
  return std::nullopt;
}

std::optional<std::string> FaultOfProvider(const v1::SnapshotProvider& provider) {
  if (ProviderKind kind; !ParseProviderKind(provider.kind(), kind)) {
    return absl::StrCat("unknown kind \"", provider.kind(), "\" (known: ", ProviderKindList(), ")");
  }
  if (const std::optional<std::string> fault = FaultOfBaseUrl(provider.base_url()); fault.has_value()) return fault;
  if (const std::optional<std::string> fault = FaultOfEndpoints(provider); fault.has_value()) return fault;
  if (provider.has_health_check()) {
    const v1::HealthCheck& check = provider.health_check();
    if (!absl::StartsWith(check.path(), "/") || !IsCleanText(check.path()) || check.interval_s() < 1) {
      return "its health check needs a path that begins with / and an interval of at least a second";
    }
  }
  for (const auto& [name, value] : provider.headers()) {
    const bool clean = value.find_first_of(std::string("\r\n\0", 3)) == std::string::npos;
    if (name.empty() || name.find_first_of(std::string("\r\n :\0", 5)) != std::string::npos || !clean) {
      return absl::StrCat("header \"", name, "\" cannot be sent: it holds a line break or its name is no token");
    }
  }
  return std::nullopt;
}

std::optional<std::string> FaultOfKey(const v1::SnapshotKey& key) {
  if (key.sha256().size() != 64 || !IsHex(key.sha256())) return "its sha256 is not 64 hex digits";
  if (key.pinned_metadata_json().empty()) return std::nullopt;
  google::protobuf::Struct pinned;
  if (!google::protobuf::util::JsonStringToMessage(key.pinned_metadata_json(), &pinned).ok()) {
    return "its pinned metadata is no JSON object";
  }
  return std::nullopt;
}

// The part a blob makes, with the name its content claims.
std::optional<SnapshotPart> ParsePart(const std::string& name, const std::string& sha256, const std::string& data,
                                      Faults& faults) {
  if (Sha256(data) != sha256) {
    faults.Add("blob_corrupt", name, "the blob is not what its sha256 says");
    return std::nullopt;
  }
  auto resource = std::make_shared<v1::Resource>();
  if (!resource->ParseFromString(data)) {
    faults.Add("bad_resource", name, "the blob is no Resource");
    return std::nullopt;
  }
  SnapshotPart part;
  part.bytes = std::make_shared<const std::string>(data);
  switch (resource->kind_case()) {
    case v1::Resource::kRoute: {
      if (const absl::Status status = CheckCompiledRoute(resource->route()); !status.ok()) {
        faults.Add("bad_route", name, std::string(status.message()));
        return std::nullopt;
      }
      part.route = std::shared_ptr<const v1::CompiledRoute>(resource, &resource->route());
      return part;
    }
    case v1::Resource::kProvider: {
      if (const std::optional<std::string> fault = FaultOfProvider(resource->provider()); fault.has_value()) {
        faults.Add("bad_provider", name, absl::StrCat("provider \"", resource->provider().name(), "\": ", *fault));
        return std::nullopt;
      }
      part.provider = std::shared_ptr<const v1::SnapshotProvider>(resource, &resource->provider());
      return part;
    }
    case v1::Resource::kKey: {
      if (const std::optional<std::string> fault = FaultOfKey(resource->key()); fault.has_value()) {
        faults.Add("bad_key", name, absl::StrCat("key ", resource->key().id(), ": ", *fault));
        return std::nullopt;
      }
      part.key = std::shared_ptr<const v1::SnapshotKey>(resource, &resource->key());
      return part;
    }
    case v1::Resource::kGateway:
      part.gateway = std::shared_ptr<const v1::SnapshotGateway>(resource, &resource->gateway());
      return part;
    case v1::Resource::kPrices: {
      const v1::SnapshotPrices& prices = resource->prices();
      absl::StatusOr<PriceTable> table = PriceTable::Of({prices.prices().begin(), prices.prices().end()});
      if (!table.ok()) {
        faults.Add("bad_prices", name,
                   absl::StrCat("prices of \"", prices.provider(), "\": ", std::string(table.status().message())));
        return std::nullopt;
      }
      part.price_table = *std::move(table);
      part.prices = std::shared_ptr<const v1::SnapshotPrices>(resource, &prices);
      return part;
    }
    default:
      faults.Add("bad_resource", name, "the blob holds a kind of resource this proxy does not know");
      return std::nullopt;
  }
}

// Puts a part where requests find it.
void Place(const std::string& name, const SnapshotPart& part, ActiveSnapshot& active, Faults& faults) {
  std::string expected;
  bool placed = false;
  if (part.route != nullptr) {
    expected = RouteResource(part.route->gateway(), part.route->route_id());
    placed = active.gateways[part.route->gateway()].routes.emplace(part.route->name(), part.route).second;
    if (!placed) faults.Add("duplicate_name", name, absl::StrCat("there are two routes \"", part.route->name(), "\""));
  } else if (part.provider != nullptr) {
    expected = ProviderResource(part.provider->gateway(), part.provider->name());
    placed = active.gateways[part.provider->gateway()].providers.emplace(part.provider->name(), part.provider).second;
    if (!placed) {
      faults.Add("duplicate_name", name, absl::StrCat("there are two providers \"", part.provider->name(), "\""));
    }
  } else if (part.gateway != nullptr) {
    expected = GatewayResource(part.gateway->gateway());
    active.gateways[part.gateway->gateway()].settings = part.gateway;
  } else if (part.prices != nullptr) {
    expected = PricesResource(part.prices->gateway(), part.prices->provider());
    active.gateways[part.prices->gateway()].prices[part.prices->provider()] = part.price_table;
  } else {
    expected = KeyResource(part.key->gateway(), part.key->id());
    placed = active.keys.emplace(absl::AsciiStrToLower(part.key->sha256()), part.key).second;
    if (!placed) faults.Add("duplicate_name", name, "two keys have the same sha256");
  }
  if (name != expected) faults.Add("bad_resource", name, absl::StrCat("the blob is ", expected));
}

void CheckProvidersOfRoutes(const ActiveSnapshot& active, Faults& faults) {
  for (const auto& [gateway_name, gateway] : active.gateways) {
    for (const auto& [route_name, route] : gateway.routes) {
      for (const v1::CompiledElement& element : route->elements()) {
        if (!element.has_model() || gateway.providers.contains(element.model().provider())) continue;
        faults.Add("unknown_provider", RouteResource(gateway_name, route->route_id()),
                   absl::StrCat("route \"", route_name, "\" v", route->version(), ": element \"", element.id(),
                                "\": provider \"", element.model().provider(), "\" is not in the snapshot"));
      }
    }
  }
}

// A default route that is not there would let plain calls past its limits.
void CheckDefaultRoutes(const ActiveSnapshot& active, Faults& faults) {
  for (const auto& [gateway_name, gateway] : active.gateways) {
    if (gateway.settings == nullptr) continue;
    const std::string& route = gateway.settings->settings().default_route();
    if (route.empty() || gateway.routes.contains(route)) continue;
    faults.Add(
        "unknown_route", GatewayResource(gateway_name),
        absl::StrCat("gateway \"", gateway_name, "\": its default route \"", route, "\" is not in the snapshot"));
  }
}

absl::Status Refused(const v1::SnapshotId& id, const Faults& faults) {
  return StatusWithFaults(absl::StatusCode::kInvalidArgument,
                          absl::StrCat("snapshot ", id.sequence(), ": ", faults.list().front().path(), ": ",
                                       faults.list().front().message()),
                          faults.list());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const BuiltSnapshot>> BuildSnapshot(const SnapshotOffer& offer,
                                                                   const BuiltSnapshot* live, int max_schema) {
  Faults faults;
  // Nothing else in an offer of a newer schema can be believed to mean what it seems to.
  if (offer.schema > max_schema) {
    faults.Add("schema_too_new", "$",
               absl::StrCat("needs schema ", offer.schema, ", proxy understands ", max_schema, "; upgrade the proxy"));
    return Refused(offer.id, faults);
  }
  CheckManifest(offer, faults);

  auto built = std::make_shared<BuiltSnapshot>();
  auto active = std::make_shared<ActiveSnapshot>();
  built->schema = offer.schema;
  built->manifest = offer.manifest;
  active->id = offer.id;
  for (const v1::ManifestEntry& entry : offer.manifest) {
    auto part = built->parts.find(entry.sha256());
    if (part == built->parts.end()) {
      const auto sent = offer.blobs.find(entry.sha256());
      if (live != nullptr && live->parts.contains(entry.sha256())) {
        part = built->parts.emplace(entry.sha256(), live->parts.at(entry.sha256())).first;
      } else if (sent == offer.blobs.end()) {
        faults.Add("blob_missing", entry.name(), "its blob was neither sent nor held");
        continue;
      } else {
        std::optional<SnapshotPart> parsed = ParsePart(entry.name(), entry.sha256(), sent->second, faults);
        if (!parsed.has_value()) continue;
        part = built->parts.emplace(entry.sha256(), *std::move(parsed)).first;
      }
    }
    Place(entry.name(), part->second, *active, faults);
  }
  // With blobs missing or refused, what they would have provided is no second fault.
  if (faults.list().empty()) {
    CheckProvidersOfRoutes(*active, faults);
    CheckDefaultRoutes(*active, faults);
  }
  if (!faults.list().empty()) return Refused(offer.id, faults);
  built->active = std::move(active);
  return std::shared_ptr<const BuiltSnapshot>(std::move(built));
}

}  // namespace signalbox
