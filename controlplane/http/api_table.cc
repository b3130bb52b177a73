#include "controlplane/http/api_table.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "signalbox/v1/admin.pb.h"
#include "signalbox/v1/counters.pb.h"
#include "signalbox/v1/gateway.pb.h"
#include "signalbox/v1/route.pb.h"
#include "signalbox/v1/snapshot.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {
namespace {

std::vector<std::string_view> Segments(std::string_view path) {
  std::vector<std::string_view> segments;
  for (const absl::string_view segment : absl::StrSplit(absl::string_view(path.data(), path.size()), '/')) {
    segments.emplace_back(segment.data(), segment.size());
  }
  return segments;
}

// Whether `text` fits one segment of a template; a `{field}` is added to `fields`.
bool MatchSegment(std::string_view pattern, std::string_view text, std::map<std::string, std::string>& fields) {
  if (!pattern.starts_with("{")) return pattern == text;
  const size_t close = pattern.find('}');
  const std::string_view verb = pattern.substr(close + 1);
  if (text.size() <= verb.size() || !text.ends_with(verb)) return false;
  text.remove_suffix(verb.size());
  return PercentDecode(text, /*plus_is_space=*/false, fields[std::string(pattern.substr(1, close - 1))]);
}

std::optional<std::map<std::string, std::string>> MatchPath(const char* pattern,
                                                            const std::vector<std::string_view>& path) {
  const std::vector<std::string_view> segments = Segments(pattern);
  if (segments.size() != path.size()) return std::nullopt;
  std::map<std::string, std::string> fields;
  for (size_t i = 0; i < segments.size(); ++i) {
    if (!MatchSegment(segments[i], path[i], fields)) return std::nullopt;
  }
  return fields;
}

}  // namespace

// More specific entries first: the first fitting path wins, so `{route}:deploy` stands before `{route}`.
const std::vector<ApiMethod>& ApiTable() {
  static const auto* const table = new std::vector<ApiMethod>{
      {"POST", "/v1/gateways", "signalbox.v1.Gateways.CreateGateway"},
      {"GET", "/v1/gateways", "signalbox.v1.Gateways.ListGateways"},
      {"PUT", "/v1/gateways/{name}", "signalbox.v1.Gateways.UpdateGateway"},

      {"POST", "/v1/gateways/{gateway}/routes:validate", "signalbox.v1.Routes.ValidateRoute"},
      {"POST", "/v1/gateways/{gateway}/routes:simulate", "signalbox.v1.Routes.Simulate"},
      {"POST", "/v1/gateways/{gateway}/routes", "signalbox.v1.Routes.CreateRoute"},
      {"GET", "/v1/gateways/{gateway}/routes", "signalbox.v1.Routes.ListRoutes"},
      {"POST", "/v1/gateways/{gateway}/routes/{route}:rename", "signalbox.v1.Routes.RenameRoute"},
      {"POST", "/v1/gateways/{gateway}/routes/{route}:simulate", "signalbox.v1.Routes.Simulate"},
      {"POST", "/v1/gateways/{gateway}/routes/{route}:deploy", "signalbox.v1.Routes.Deploy"},
      {"POST", "/v1/gateways/{gateway}/routes/{route}:rollback", "signalbox.v1.Routes.Rollback"},
      {"GET", "/v1/gateways/{gateway}/routes/{route}:diff", "signalbox.v1.Routes.DiffVersions"},
      {"GET", "/v1/gateways/{gateway}/routes/{route}", "signalbox.v1.Routes.GetRoute"},
      {"DELETE", "/v1/gateways/{gateway}/routes/{route}", "signalbox.v1.Routes.DeleteRoute"},
      {"POST", "/v1/gateways/{gateway}/routes/{route}/versions", "signalbox.v1.Routes.SaveVersion"},
      {"GET", "/v1/gateways/{gateway}/routes/{route}/versions", "signalbox.v1.Routes.ListVersions"},
      {"GET", "/v1/gateways/{gateway}/routes/{route}/versions/{number}", "signalbox.v1.Routes.GetVersion"},
      {"GET", "/v1/gateways/{gateway}/routes/{route}/deployments", "signalbox.v1.Routes.ListDeployments"},

      {"PUT", "/v1/gateways/{provider.gateway}/providers/{provider.name}", "signalbox.v1.Providers.ApplyProvider"},
      {"GET", "/v1/gateways/{gateway}/providers", "signalbox.v1.Providers.ListProviders"},
      {"GET", "/v1/gateways/{gateway}/providers:status", "signalbox.v1.Providers.ListProviderStatus"},
      {"DELETE", "/v1/gateways/{gateway}/providers/{name}", "signalbox.v1.Providers.DeleteProvider"},

      {"POST", "/v1/gateways/{gateway}/keys", "signalbox.v1.Keys.CreateKey"},
      {"GET", "/v1/gateways/{gateway}/keys", "signalbox.v1.Keys.ListKeys"},
      {"POST", "/v1/gateways/{gateway}/keys/{id}:revoke", "signalbox.v1.Keys.RevokeKey"},

      {"GET", "/v1/gateways/{gateway}/prices", "signalbox.v1.Prices.ListPrices"},
      {"GET", "/v1/gateways/{gateway}/prices/{provider}/{model}", "signalbox.v1.Prices.GetPrice"},
      {"PUT", "/v1/gateways/{gateway}/prices/{price.provider}/{price.model}", "signalbox.v1.Prices.SetPrice"},
      {"GET", "/v1/prices:catalogue", "signalbox.v1.Prices.GetPriceCatalogue"},
      {"POST", "/v1/prices:refresh", "signalbox.v1.Prices.RefreshPrices"},

      {"GET", "/v1/gateways/{gateway}/usage", "signalbox.v1.Usage.QueryUsage"},
      {"GET", "/v1/gateways/{gateway}/requests", "signalbox.v1.Usage.ListRequests"},
      {"GET", "/v1/gateways/{gateway}/requests/{request_id}", "signalbox.v1.Usage.GetRequest"},

      {"GET", "/v1/gateways/{gateway}/limits", "signalbox.v1.Counters.ListLimits"},
      {"GET", "/v1/gateways/{gateway}/counters", "signalbox.v1.Counters.ListCounters"},
      {"GET", "/v1/gateways/{gateway}/counter", "signalbox.v1.Counters.GetCounter"},
      {"POST", "/v1/gateways/{gateway}/counter:reset", "signalbox.v1.Counters.ResetCounter"},
      {"POST", "/v1/gateways/{gateway}/counter:adjust", "signalbox.v1.Counters.AdjustCounter"},
      {"GET", "/v1/gateways/{gateway}/adjustments", "signalbox.v1.Counters.ListAdjustments"},

      {"GET", "/v1/proxies", "signalbox.v1.Fleet.ListProxies"},

      {"GET", "/v1/server", "signalbox.v1.Admin.GetServerInfo"},
      {"POST", "/v1/server:backup", "signalbox.v1.Admin.Backup"},
      {"POST", "/v1/tokens", "signalbox.v1.Admin.CreateToken"},
      {"GET", "/v1/tokens", "signalbox.v1.Admin.ListTokens"},
      {"POST", "/v1/tokens/{id}:revoke", "signalbox.v1.Admin.RevokeToken"},
      {"GET", "/v1/audit", "signalbox.v1.Admin.ListAudit"},
  };
  return *table;
}

const std::vector<std::string>& ApiServices() {
  static const auto* const services =
      new std::vector<std::string>{"signalbox.v1.Gateways", "signalbox.v1.Routes",   "signalbox.v1.Providers",
                                   "signalbox.v1.Keys",     "signalbox.v1.Prices",   "signalbox.v1.Fleet",
                                   "signalbox.v1.Usage",    "signalbox.v1.Counters", "signalbox.v1.Admin"};
  return *services;
}

ApiMatch MatchApi(std::string_view verb, std::string_view path) {
  ApiMatch match;
  const std::vector<std::string_view> segments = Segments(path);
  for (const ApiMethod& entry : ApiTable()) {
    std::optional<std::map<std::string, std::string>> fields = MatchPath(entry.path, segments);
    if (!fields.has_value()) continue;
    if (entry.verb != verb) {
      match.allowed.push_back(entry.verb);
      continue;
    }
    match.method = &entry;
    match.fields = *std::move(fields);
    match.allowed.clear();
    break;
  }
  return match;
}

const google::protobuf::MethodDescriptor* FindMethod(const std::string& full_name) {
  // Naming a message of each file links its descriptors in: the pool knows only what was linked.
  [[maybe_unused]] static const google::protobuf::Descriptor* const files[] = {
      v1::Token::descriptor(),       v1::Gateway::descriptor(),     v1::Route::descriptor(),
      v1::ProxyStatus::descriptor(), v1::SpendRecord::descriptor(), v1::LimitCounter::descriptor()};
  return google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(full_name);
}

bool PercentDecode(std::string_view text, bool plus_is_space, std::string& decoded) {
  decoded.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      if (i + 2 >= text.size() || !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 1])) ||
          !absl::ascii_isxdigit(static_cast<unsigned char>(text[i + 2]))) {
        return false;
      }
      decoded += absl::HexStringToBytes(absl::string_view(text.data() + i + 1, 2));
      i += 2;
    }
  }
  return true;
}

}  // namespace signalbox
