// The identity of a snapshot's content, computed alike by who publishes and who applies. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

// Hex sha256 over each "name\0" + sha256 (32 bytes) + "\n"; `manifest` must be ordered by name.
std::string ManifestSha256(const std::vector<v1::ManifestEntry>& manifest);
// The same text piece by piece: one entry's line of it.
void AppendManifestLine(std::string_view name, std::string_view sha256, std::string& text);

bool SameSnapshot(const v1::SnapshotId& a, const v1::SnapshotId& b);

// gateways/<gateway>/settings
std::string GatewayResource(const std::string& gateway);
// gateways/<gateway>/{routes,providers,keys,prices}/<id>; prices are of a provider
std::string RouteResource(const std::string& gateway, const std::string& route_id);
std::string ProviderResource(const std::string& gateway, const std::string& name);
std::string KeyResource(const std::string& gateway, const std::string& id);
std::string PricesResource(const std::string& gateway, const std::string& provider);

}  // namespace signalbox
