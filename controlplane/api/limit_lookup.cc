#include "controlplane/api/limit_lookup.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"
#include "common/manifest.h"
#include "common/route/field_ref.h"
#include "common/route/limit_terms.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

absl::Status Bad(const std::string& field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

DeployedLimit LimitOf(const v1::CompiledRoute& route, const v1::CompiledElement& element) {
  const v1::CompiledElement::Limit& limit = element.limit();
  DeployedLimit deployed;
  deployed.key = CounterOf(route.gateway(), limit);
  deployed.limit = limit.limit();
  for (const v1::FieldRef& field : limit.key()) deployed.key_fields.push_back(FieldRefText(field));
  deployed.elements.push_back(absl::StrCat(route.name(), "/", element.id()));
  return deployed;
}

std::vector<DeployedLimit> LimitsOf(const v1::CompiledRoute& route) {
  std::vector<DeployedLimit> limits;
  for (const v1::CompiledElement& element : route.elements()) {
    if (element.has_limit()) limits.push_back(LimitOf(route, element));
  }
  return limits;
}

absl::StatusOr<v1::CompiledRoute> ReadRoute(const SqliteStore& store, const v1::ManifestEntry& entry) {
  ASSIGN_OR_RETURN(const std::string blob, store.ReadBlob(entry.sha256()));
  v1::Resource resource;
  if (!resource.ParseFromString(blob) || !resource.has_route()) {
    return absl::DataLossError(absl::StrCat("the published resource ", entry.name(), " is no route"));
  }
  return resource.route();
}

absl::StatusOr<std::vector<DeployedLimit>> LimitsOfRoute(SqliteStore& store, const LimitName& name) {
  ASSIGN_OR_RETURN(const v1::Route route, store.routes().Get(name.gateway, name.route));
  ASSIGN_OR_RETURN(const PublishedSnapshot snapshot, store.ReadSnapshot());
  const std::string resource = RouteResource(name.gateway, route.id());
  const auto entry = std::find_if(snapshot.manifest.begin(), snapshot.manifest.end(),
                                  [&](const v1::ManifestEntry& candidate) { return candidate.name() == resource; });
  if (entry == snapshot.manifest.end()) {
    return absl::FailedPreconditionError(
        absl::StrCat(Describe(route), " is not deployed, so it has no limits yet: deploy it, or name a pool"));
  }
  ASSIGN_OR_RETURN(const v1::CompiledRoute compiled, ReadRoute(store, *entry));
  std::vector<DeployedLimit> limits = LimitsOf(compiled);
  const std::string described = Describe(route, compiled.version());
  if (limits.empty()) return absl::NotFoundError(absl::StrCat(described, " has no limit"));
  std::vector<std::string> elements;
  for (const DeployedLimit& limit : limits) {
    const std::string element = limit.elements[0].substr(compiled.name().size() + 1);
    if (element == name.element) return std::vector<DeployedLimit>{limit};
    elements.push_back(element);
  }
  if (!name.element.empty()) {
    return absl::NotFoundError(absl::StrCat(described, " has no limit at an element \"", name.element, "\"",
                                            NearNames(name.element, elements, "it has none")));
  }
  if (limits.size() == 1) return limits;
  return Bad("element", absl::StrCat("is missing, and ", described, " has ", limits.size(),
                                     " limits: ", absl::StrJoin(elements, ", ")));
}

// One entry for all limits that share their counters.
void Merge(DeployedLimit limit, std::vector<DeployedLimit>& into) {
  for (DeployedLimit& known : into) {
    if (!SharesCounters(known.key, limit.key)) continue;
    if (known.limit != limit.limit) known.limit.reset();
    if (known.key_fields.size() != limit.key_fields.size()) known.key_fields.clear();
    known.elements.insert(known.elements.end(), limit.elements.begin(), limit.elements.end());
    return;
  }
  into.push_back(std::move(limit));
}

absl::StatusOr<std::vector<DeployedLimit>> LimitsOfPool(SqliteStore& store, const LimitName& name) {
  ASSIGN_OR_RETURN(const std::vector<v1::CompiledRoute> routes, DeployedRoutes(store, name.gateway));
  std::vector<DeployedLimit> found;
  for (const v1::CompiledRoute& route : routes) {
    for (DeployedLimit& limit : LimitsOf(route)) {
      if (limit.key.pool() == name.pool) Merge(std::move(limit), found);
    }
  }
  return found;
}

absl::StatusOr<v1::Scalar> ParseValue(const std::string& text, const std::string& type) {
  v1::Scalar value;
  if (text.empty()) return Bad("identifier", "must not be empty");
  if (type.empty() || type == "string") {
    value.set_string_value(text);
    return value;
  }
  if (type == "bool" && (text == "true" || text == "false")) {
    value.set_bool_value(text == "true");
    return value;
  }
  double number = 0;
  if (type == "number" && absl::SimpleAtod(text, &number) && std::isfinite(number)) {
    value.set_number_value(number);
    return value;
  }
  if (type == "bool" || type == "number") {
    return Bad("identifier", absl::StrCat("\"", text, "\" is no ", type, type == "bool" ? ": give true or false" : ""));
  }
  return Bad("identifier_type", absl::StrCat("\"", type, "\" is not known: give string, number or bool"));
}

}  // namespace

absl::StatusOr<std::vector<v1::CompiledRoute>> DeployedRoutes(SqliteStore& store, const std::string& gateway) {
  RETURN_IF_ERROR(store.routes().List(gateway, "", 1).status());  // an unknown gateway is an error
  ASSIGN_OR_RETURN(const PublishedSnapshot snapshot, store.ReadSnapshot());
  const std::string prefix = RouteResource(gateway, "");
  std::vector<v1::CompiledRoute> routes;
  for (const v1::ManifestEntry& entry : snapshot.manifest) {
    if (!absl::StartsWith(entry.name(), prefix)) continue;
    absl::StatusOr<v1::CompiledRoute> route = ReadRoute(store, entry);
    if (absl::IsNotFound(route.status())) continue;  // replaced since the manifest was read
    RETURN_IF_ERROR(route.status());
    routes.push_back(*std::move(route));
  }
  std::sort(routes.begin(), routes.end(), [](const auto& a, const auto& b) { return a.name() < b.name(); });
  return routes;
}

absl::StatusOr<std::vector<DeployedLimit>> FindLimits(SqliteStore& store, const LimitName& name) {
  if (name.route.empty() && name.pool.empty()) {
    return Bad("route", "is missing: name a limit by route and element, or by pool");
  }
  if (!name.pool.empty() && !(name.route.empty() && name.element.empty())) {
    return Bad("pool", "names the limit by itself: give either a pool, or a route and its element");
  }
  return name.pool.empty() ? LimitsOfRoute(store, name) : LimitsOfPool(store, name);
}

absl::StatusOr<Identifier> ParseIdentifier(const google::protobuf::RepeatedPtrField<std::string>& values,
                                           const google::protobuf::RepeatedPtrField<std::string>& types) {
  if (values.size() > kLimitKeyFieldsMax) {
    return Bad("identifier",
               absl::StrCat("has ", values.size(), " values; a limit's key has at most ", kLimitKeyFieldsMax));
  }
  if (types.size() > 1 && types.size() != values.size()) {
    return Bad("identifier_type", absl::StrCat("has ", types.size(), " entries for ", values.size(),
                                               " values: give one for all, or one each"));
  }
  Identifier identifier;
  for (int i = 0; i < values.size(); ++i) {
    const std::string type = types.empty() ? "" : types.size() == 1 ? types[0] : types[i];
    ASSIGN_OR_RETURN(*identifier.Add(), ParseValue(values[i], type));
  }
  return identifier;
}

absl::StatusOr<int64_t> ParseAmount(std::string_view text, v1::Unit unit) {
  constexpr size_t kDecimals = 9;
  const bool money = unit == v1::NANO_DOLLARS;
  const absl::Status bad = Bad("amount", absl::StrCat("\"", std::string(text), "\" is no amount: give ",
                                                      money ? "dollars with at most nine decimals, such as -1.25"
                                                            : "a whole number, such as -10",
                                                      ", and not 0"));
  std::string_view rest = text;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative || (!rest.empty() && rest.front() == '+')) rest.remove_prefix(1);
  const size_t point = rest.find('.');
  std::string digits(rest.substr(0, point));
  const std::string_view fraction = point == std::string_view::npos ? "" : rest.substr(point + 1);
  if (digits.empty() || (point != std::string_view::npos && (!money || fraction.empty())) ||
      fraction.size() > kDecimals) {
    return bad;
  }
  if (money) digits += std::string(fraction) + std::string(kDecimals - fraction.size(), '0');
  if (!std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return absl::ascii_isdigit(c); })) return bad;
  int64_t amount = 0;
  const int64_t most = money ? kLimitNanosMax : kLimitTokensMax;
  if (!absl::SimpleAtoi(digits, &amount) || amount == 0) return bad;
  if (amount > most) {
    return Bad("amount", absl::StrCat("\"", std::string(text), "\" is over ", money ? most / kNanosPerDollar : most));
  }
  return negative ? -amount : amount;
}

bool SharesCounters(const v1::CounterKey& a, const v1::CounterKey& b) {
  return a.gateway() == b.gateway() && a.pool() == b.pool() && a.unit() == b.unit() &&
         a.window_seconds() == b.window_seconds() && a.technique() == b.technique() && a.calendar() == b.calendar() &&
         a.timezone() == b.timezone();
}

std::string DescribeKind(const v1::CounterKey& key) {
  return absl::StrCat(UnitText(key.unit()), " per ", WindowText(key),
                      key.technique() == v1::SLIDING ? ", sliding" : "");
}

}  // namespace signalbox
