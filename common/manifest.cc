#include "common/manifest.h"

#include "absl/strings/str_cat.h"
#include "common/sha256.h"

namespace signalbox {

std::string ManifestSha256(const std::vector<v1::ManifestEntry>& manifest) {
  std::string text;
  for (const v1::ManifestEntry& entry : manifest) AppendManifestLine(entry.name(), entry.sha256(), text);
  return Sha256Hex(text);
}

void AppendManifestLine(std::string_view name, std::string_view sha256, std::string& text) {
  text.append(name).push_back('\0');
  text.append(sha256).push_back('\n');
}

bool SameSnapshot(const v1::SnapshotId& a, const v1::SnapshotId& b) {
  return a.lineage() == b.lineage() && a.sequence() == b.sequence() && a.sha256() == b.sha256();
}

std::string GatewayResource(const std::string& gateway) { return absl::StrCat("gateways/", gateway, "/settings"); }
std::string RouteResource(const std::string& gateway, const std::string& route_id) {
  return absl::StrCat("gateways/", gateway, "/routes/", route_id);
}
std::string ProviderResource(const std::string& gateway, const std::string& name) {
  return absl::StrCat("gateways/", gateway, "/providers/", name);
}
std::string KeyResource(const std::string& gateway, const std::string& id) {
  return absl::StrCat("gateways/", gateway, "/keys/", id);
}
std::string PricesResource(const std::string& gateway, const std::string& provider) {
  return absl::StrCat("gateways/", gateway, "/prices/", provider);
}

}  // namespace signalbox
