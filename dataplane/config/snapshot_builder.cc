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

void CheckEntries(const std::vector<v1::ManifestEntry>& manifest, Faults& faults) {
  for (size_t i = 0; i < manifest.size(); ++i) {
    if (manifest[i].sha256().size() != 32) {
      faults.Add("bad_manifest", manifest[i].name(), "its sha256 does not have 32 bytes");
    }
    if (i > 0 && manifest[i - 1].name() >= manifest[i].name()) {
      faults.Add("bad_manifest", manifest[i].name(), "the manifest is not ordered by name, or has a name twice");
    }
  }
}

void CheckIdentity(const std::string& sha256, const v1::SnapshotId& id, Faults& faults) {
  if (sha256 == id.sha256()) return;
  faults.Add("bad_manifest", "$",
             absl::StrCat("the manifest's sha256 is ", sha256, ", the snapshot's identity says ", id.sha256()));
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
    placed = active.gateways[part.route->gateway()].routes.Insert(part.route->name(), part.route);
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
    placed = active.keys.Insert(absl::AsciiStrToLower(part.key->sha256()), part.key);
    if (!placed) faults.Add("duplicate_name", name, "two keys have the same sha256");
  }
  if (name != expected) faults.Add("bad_resource", name, absl::StrCat("the blob is ", expected));
}

// The opposite, of a part that Place had no fault in.
void Displace(const SnapshotPart& part, ActiveSnapshot& active) {
  if (part.key != nullptr) {
    active.keys.Erase(absl::AsciiStrToLower(part.key->sha256()));
    return;
  }
  const std::string& name = part.route != nullptr      ? part.route->gateway()
                            : part.provider != nullptr ? part.provider->gateway()
                            : part.gateway != nullptr  ? part.gateway->gateway()
                                                       : part.prices->gateway();
  ActiveSnapshot::Gateway& gateway = active.gateways.at(name);
  if (part.route != nullptr) gateway.routes.Erase(part.route->name());
  if (part.provider != nullptr) gateway.providers.erase(part.provider->name());
  if (part.gateway != nullptr) gateway.settings = nullptr;
  if (part.prices != nullptr) gateway.prices.erase(part.prices->provider());
  const bool bare = gateway.routes.empty() && gateway.providers.empty() && gateway.prices.empty();
  if (bare && gateway.settings == nullptr) active.gateways.erase(name);
}

void CheckProvidersOf(const v1::CompiledRoute& route, const ActiveSnapshot& active, Faults& faults) {
  const ActiveSnapshot::Gateway& gateway = active.gateways.at(route.gateway());
  for (const v1::CompiledElement& element : route.elements()) {
    if (!element.has_model() || gateway.providers.contains(element.model().provider())) continue;
    faults.Add("unknown_provider", RouteResource(route.gateway(), route.route_id()),
               absl::StrCat("route \"", route.name(), "\" v", route.version(), ": element \"", element.id(),
                            "\": provider \"", element.model().provider(), "\" is not in the snapshot"));
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

// The parts of what is live, by their blob's sha256.
class HeldParts {
 public:
  explicit HeldParts(const BuiltSnapshot* live) : live_(live) {}
  // Null: none of that name and content.
  PartList::EntryPtr FindNamed(const v1::ManifestEntry& wanted) const {
    PartList::EntryPtr entry = live_ == nullptr ? nullptr : live_->parts.Find(wanted.name());
    return entry != nullptr && entry->sha256 == wanted.sha256() ? entry : nullptr;
  }
  // Of whatever name.
  PartList::EntryPtr Find(const std::string& sha256) {
    if (live_ != nullptr && by_sha256_.empty()) {
      live_->parts.ForEach([this](const PartList::EntryPtr& entry) { by_sha256_.emplace(entry->sha256, entry); });
    }
    const auto found = by_sha256_.find(sha256);
    return found == by_sha256_.end() ? nullptr : found->second;
  }

 private:
  const BuiltSnapshot* live_;
  absl::flat_hash_map<std::string, PartList::EntryPtr> by_sha256_;  // filled when first needed
};

// The part that an entry of an offer stands for; null with a fault.
PartList::EntryPtr PartFor(const v1::ManifestEntry& entry, const SnapshotOffer& offer, HeldParts& held,
                           Faults& faults) {
  if (PartList::EntryPtr same = held.FindNamed(entry); same != nullptr) return same;
  auto made = std::make_shared<PartList::Entry>();
  made->name = entry.name();
  made->sha256 = entry.sha256();
  if (const auto sent = offer.blobs.find(entry.sha256()); sent != offer.blobs.end()) {
    std::optional<SnapshotPart> parsed = ParsePart(entry.name(), entry.sha256(), sent->second, faults);
    if (!parsed.has_value()) return nullptr;
    made->part = *std::move(parsed);
  } else if (const PartList::EntryPtr other = held.Find(entry.sha256()); other != nullptr) {
    made->part = other->part;
  } else {
    faults.Add("blob_missing", entry.name(), "its blob was neither sent nor held");
    return nullptr;
  }
  return made;
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
  if (offer.base.has_value() && (live == nullptr || !SameSnapshot(*offer.base, live->active->id))) {
    return absl::FailedPreconditionError(absl::StrCat("snapshot ", offer.id.sequence(), ": offered as a change of ",
                                                      offer.base->sequence(), ", which is not what serves"));
  }
  CheckEntries(offer.manifest, faults);

  // An offer that stands alone is a change of nothing.
  auto built = offer.base.has_value() ? std::make_shared<BuiltSnapshot>(*live) : std::make_shared<BuiltSnapshot>();
  auto active =
      offer.base.has_value() ? std::make_shared<ActiveSnapshot>(*live->active) : std::make_shared<ActiveSnapshot>();
  built->schema = offer.schema;
  active->id = offer.id;
  bool provider_gone = false;
  // Everything old makes room before anything new comes: names may change hands.
  const auto displace = [&](const std::string& name) {
    const PartList::EntryPtr old = built->parts.Find(name);
    if (old == nullptr) return false;
    Displace(old->part, *active);
    if (old->part.provider != nullptr) provider_gone = true;
    built->parts.Remove(name);
    return true;
  };
  for (const std::string& name : offer.removed) {
    if (!displace(name)) faults.Add("bad_manifest", name, "it is to be removed and is not there");
  }
  if (offer.base.has_value()) {
    for (const v1::ManifestEntry& entry : offer.manifest) displace(entry.name());
  }
  HeldParts held(live);
  for (const v1::ManifestEntry& entry : offer.manifest) {
    PartList::EntryPtr part = PartFor(entry, offer, held, faults);
    if (part == nullptr) continue;
    Place(entry.name(), part->part, *active, faults);
    built->parts.Put(std::move(part));
  }
  // With blobs missing or refused, what they would have provided is no second fault.
  if (faults.list().empty()) {
    CheckIdentity(built->parts.Sha256(), offer.id, faults);
    const auto check = [&](const PartList::EntryPtr& entry) {
      if (entry->part.route != nullptr) CheckProvidersOf(*entry->part.route, *active, faults);
    };
    if (provider_gone || !offer.base.has_value()) {
      built->parts.ForEach(check);
    } else {
      for (const v1::ManifestEntry& entry : offer.manifest) check(built->parts.Find(entry.name()));
    }
    CheckDefaultRoutes(*active, faults);
  }
  if (!faults.list().empty()) return Refused(offer.id, faults);
  built->active = std::move(active);
  return std::shared_ptr<const BuiltSnapshot>(std::move(built));
}

}  // namespace signalbox
