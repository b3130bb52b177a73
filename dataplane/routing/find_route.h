// Which route a request walks: the one it names, or for a plain model the gateway's default route, so that limits
// cannot be walked around. Pure; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "common/custom_cost.h"
#include "dataplane/config/active_snapshot.h"
#include "dataplane/provider/format.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

// What a request names: a route (`dynamic/<route>`), a `{provider}/{model}`, or a bare `{model}` of the provider that
// is natural to the format: "anthropic" for Messages, "openai" for the others.
struct RouteWanted {
  std::string gateway;
  Format format = Format::kChat;
  std::string_view model;
  std::string_view provider;  // a path said it: the whole model is that provider's; empty: the model says it
};

using FoundRoute = std::variant<std::shared_ptr<const v1::CompiledRoute>, Refusal>;

// Of that gateway; the default ones when it has none.
const v1::GatewaySettings& SettingsOf(const ActiveSnapshot& snapshot, const std::string& gateway);

// 404 route_not_found, provider_not_found; 403 route_not_allowed, plain_models_refused.
FoundRoute FindRoute(const ActiveSnapshot& snapshot, const v1::SnapshotKey& key, const RouteWanted& wanted);

// Whether `key` may call providers of the gateway without naming a route, by whatever endpoint; the default route that
// such calls pass through, null when there is none.
FoundRoute DefaultRouteFor(const ActiveSnapshot& snapshot, const v1::SnapshotKey& key, const std::string& gateway);

// The configured provider of that name, or the only one known by another name of the same (google-ai-studio is google);
// null: none.
std::shared_ptr<const v1::SnapshotProvider> FindProvider(const ActiveSnapshot::Gateway& gateway, std::string_view name);
Refusal ProviderNotFound(const ActiveSnapshot::Gateway* gateway, std::string_view name);

// The default route with every model in it replaced by the named one: that element's time limit and retries stay, its
// fallback and parameters do not, since they are another model's. Null `default_route`: start, model, end.
std::shared_ptr<const v1::CompiledRoute> PlainRoute(const v1::CompiledRoute* default_route, const std::string& gateway,
                                                    const std::string& provider, const std::string& model,
                                                    const v1::ModelPrice* price);

// The route with every model at what the request says it costs.
std::shared_ptr<const v1::CompiledRoute> AtCustomCost(const v1::CompiledRoute& route, const CustomCost& cost);

// A limit on dollars or tokens, shadows aside: what cannot be metered must not pass it.
bool LimitsUse(const v1::CompiledRoute& route);

}  // namespace signalbox
