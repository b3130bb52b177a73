#include "dataplane/routing/find_route.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/provider_kind.h"
#include "common/route/walker.h"
#include "dataplane/routing/authenticate.h"

namespace signalbox {
namespace {

constexpr std::string_view kRoutePrefix = "dynamic/";
constexpr size_t kQuotedBytesMax = 200;  // of a client's text in a message

std::string Quoted(std::string_view text) {
  return absl::StrCat("\"", std::string(text.substr(0, kQuotedBytesMax)), "\"");
}

const ActiveSnapshot::Gateway* FindGateway(const ActiveSnapshot& snapshot, const std::string& name) {
  const auto found = snapshot.gateways.find(name);
  return found == snapshot.gateways.end() ? nullptr : &found->second;
}

FoundRoute FindNamed(const ActiveSnapshot::Gateway* gateway, const v1::SnapshotKey& key, const RouteWanted& wanted) {
  const std::string name(wanted.model.substr(kRoutePrefix.size()));
  if (gateway != nullptr) {
    if (const auto* const found = gateway->routes.Find(name); found != nullptr) {
      if (KeyAllowsRoute(key, name)) return *found;
      return Refusal(403, "route_not_allowed", absl::StrCat("this key may not call the route \"", name, "\""), "model");
    }
  }
  return Refusal(404, "route_not_found",
                 absl::StrCat("no route ", Quoted(name), " is deployed in the gateway \"", wanted.gateway,
                              "\" (GET /v1/models lists them)"),
                 "model");
}

// The provider's name as the client says it, and the model.
struct Named {
  std::string_view provider;
  std::string_view model;
};

Named Split(const RouteWanted& wanted) {
  if (!wanted.provider.empty()) return {wanted.provider, wanted.model};
  const size_t slash = wanted.model.find('/');
  const std::string_view natural = wanted.format == Format::kMessages ? "anthropic" : "openai";
  if (slash == std::string_view::npos) return {natural, wanted.model};
  return {wanted.model.substr(0, slash), wanted.model.substr(slash + 1)};
}

bool SameCompany(const KnownProvider& a, const KnownProvider& b) {
  return a.kind == b.kind && a.base_url == b.base_url && a.price_source == b.price_source && !a.price_source.empty();
}

}  // namespace

std::shared_ptr<const v1::SnapshotProvider> FindProvider(const ActiveSnapshot::Gateway& gateway,
                                                         std::string_view name) {
  if (const auto found = gateway.providers.find(std::string(name)); found != gateway.providers.end()) {
    return found->second;
  }
  const KnownProvider* wanted = FindKnownProvider(name);
  if (wanted == nullptr) return nullptr;
  for (const KnownProvider& other : KnownProviders()) {
    if (!SameCompany(*wanted, other)) continue;
    const auto found = gateway.providers.find(std::string(other.name));
    if (found != gateway.providers.end()) return found->second;
  }
  return nullptr;
}

Refusal ProviderNotFound(const ActiveSnapshot::Gateway* gateway, std::string_view name) {
  std::vector<std::string> names;
  if (gateway != nullptr) {
    for (const auto& [configured, provider] : gateway->providers) names.push_back(configured);
  }
  std::sort(names.begin(), names.end());
  return Refusal(404, "provider_not_found",
                 absl::StrCat("no provider ", Quoted(name), " is configured in this gateway (there ",
                              names.empty() ? "is none" : absl::StrCat("are: ", absl::StrJoin(names, ", ")),
                              "); name a route as \"dynamic/<route>\" or a model as \"{provider}/{model}\""),
                 "model");
}

const v1::GatewaySettings& SettingsOf(const ActiveSnapshot& snapshot, const std::string& gateway) {
  const ActiveSnapshot::Gateway* found = FindGateway(snapshot, gateway);
  return found == nullptr || found->settings == nullptr ? v1::GatewaySettings::default_instance()
                                                        : found->settings->settings();
}

FoundRoute DefaultRouteFor(const ActiveSnapshot& snapshot, const v1::SnapshotKey& key,
                           const std::string& gateway_name) {
  const v1::GatewaySettings& settings = SettingsOf(snapshot, gateway_name);
  if (settings.refuse_plain_models()) {
    return Refusal(403, "plain_models_refused",
                   absl::StrCat("the gateway \"", gateway_name,
                                "\" serves routes only: name one as \"dynamic/<route>\" (GET /v1/models lists them)"),
                   "model");
  }
  const std::string& name = settings.default_route();
  if (name.empty()) {
    if (key.allowed_routes().empty()) return std::shared_ptr<const v1::CompiledRoute>();
    return Refusal(403, "route_not_allowed",
                   "this key may only call the routes it names, and a plain model passes through none", "model");
  }
  if (!KeyAllowsRoute(key, name)) {
    return Refusal(403, "route_not_allowed",
                   absl::StrCat("plain models pass through the route \"", name, "\", which this key may not call"),
                   "model");
  }
  return snapshot.gateways.at(gateway_name).routes.at(name);
}

FoundRoute FindRoute(const ActiveSnapshot& snapshot, const v1::SnapshotKey& key, const RouteWanted& wanted) {
  const ActiveSnapshot::Gateway* gateway = FindGateway(snapshot, wanted.gateway);
  if (wanted.provider.empty() && wanted.model.starts_with(kRoutePrefix)) return FindNamed(gateway, key, wanted);
  FoundRoute by_default = DefaultRouteFor(snapshot, key, wanted.gateway);
  if (std::holds_alternative<Refusal>(by_default)) return by_default;
  if (gateway == nullptr) return ProviderNotFound(gateway, wanted.model);
  const Named named = Split(wanted);
  const std::shared_ptr<const v1::SnapshotProvider> provider = FindProvider(*gateway, named.provider);
  if (provider == nullptr) return ProviderNotFound(gateway, named.provider);
  if (named.model.empty()) {
    return Refusal(400, "invalid_request",
                   absl::StrCat("\"model\" names no model: write \"", provider->name(), "/{model}\""), "model");
  }
  const auto table = gateway->prices.find(provider->name());
  const v1::ModelPrice* price = table == gateway->prices.end() ? nullptr : table->second.FindForTokens(named.model);
  return PlainRoute(std::get<std::shared_ptr<const v1::CompiledRoute>>(by_default).get(), wanted.gateway,
                    provider->name(), std::string(named.model), price);
}

std::shared_ptr<const v1::CompiledRoute> PlainRoute(const v1::CompiledRoute* default_route, const std::string& gateway,
                                                    const std::string& provider, const std::string& model,
                                                    const v1::ModelPrice* price) {
  auto route = std::make_shared<v1::CompiledRoute>();
  if (default_route != nullptr) {
    *route = *default_route;
  } else {
    route->set_gateway(gateway);
    v1::CompiledElement& start = *route->add_elements();
    start.set_id("start");
    start.mutable_start()->set_next(1);
    v1::CompiledElement& called = *route->add_elements();
    called.set_id("model");
    called.mutable_model()->set_on_success(2);
    v1::CompiledElement& end = *route->add_elements();
    end.set_id("end");
    end.mutable_end();
  }
  for (v1::CompiledElement& element : *route->mutable_elements()) {
    if (!element.has_model()) continue;
    v1::CompiledElement::Model& replaced = *element.mutable_model();
    replaced.set_provider(provider);
    replaced.set_model(model);
    replaced.clear_parameters_json();
    replaced.clear_on_fallback();
    replaced.clear_price();
    if (price != nullptr) *replaced.mutable_price() = *price;
  }
  // Models behind the fallbacks can be reached no more.
  for (v1::CompiledElement& element : *route->mutable_elements()) {
    if (!element.has_limit()) continue;
    const std::vector<uint32_t> reachable = ReachableModels(*route, element.limit().on_success());
    element.mutable_limit()->mutable_reachable_models()->Assign(reachable.begin(), reachable.end());
  }
  return route;
}

std::shared_ptr<const v1::CompiledRoute> AtCustomCost(const v1::CompiledRoute& route, const CustomCost& cost) {
  auto priced = std::make_shared<v1::CompiledRoute>(route);
  for (v1::CompiledElement& element : *priced->mutable_elements()) {
    if (!element.has_model()) continue;
    *element.mutable_model()->mutable_price() = CustomPrice(cost, element.model().price());
  }
  return priced;
}

bool LimitsUse(const v1::CompiledRoute& route) {
  return std::any_of(route.elements().begin(), route.elements().end(), [](const v1::CompiledElement& element) {
    return element.has_limit() && element.limit().unit() != v1::REQUESTS && !element.limit().shadow();
  });
}

}  // namespace signalbox
