#include "dataplane/routing/authenticate.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/sha256.h"
#include "dataplane/routing/percent.h"

namespace signalbox {

namespace {

// Calls `visit(name, value, text)` for each part of a query; name and value decoded.
template <typename Visit>
void ForEachPart(std::string_view query, const Visit& visit) {
  for (const absl::string_view part : absl::StrSplit(absl::string_view(query.data(), query.size()), '&')) {
    const std::pair<std::string, std::string> sides = absl::StrSplit(part, absl::MaxSplits('=', 1));
    visit(PercentDecoded(sides.first), PercentDecoded(sides.second), std::string(part));
  }
}

}  // namespace

bool IsKeyHeader(std::string_view lower_case_name) {
  return std::find(std::begin(kKeyHeaders), std::end(kKeyHeaders), lower_case_name) != std::end(kKeyHeaders);
}

std::string PresentedKey(const HeaderFields& headers, std::string_view target) {
  for (const std::string_view name : kKeyHeaders) {
    const std::optional<std::string_view> header = headers.Find(name);
    if (!header.has_value()) continue;
    std::string_view value = *header;
    if (absl::StartsWithIgnoreCase(absl::string_view(value.data(), value.size()), "bearer ")) value.remove_prefix(7);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    return std::string(value);
  }
  std::string key;
  const size_t mark = target.find('?');
  if (mark == std::string_view::npos) return key;
  ForEachPart(target.substr(mark + 1), [&key](const std::string& name, const std::string& value, const std::string&) {
    if (key.empty() && name == "key") key = value;
  });
  return key;
}

std::string QueryWithoutKey(std::string_view query, std::string_view presented_key) {
  std::string kept;
  ForEachPart(query, [&](const std::string& name, const std::string& value, const std::string& text) {
    const bool holds_key = !presented_key.empty() && (value.find(presented_key) != std::string::npos ||
                                                      name.find(presented_key) != std::string::npos);
    if (text.empty() || name == "key" || holds_key) return;
    absl::StrAppend(&kept, kept.empty() ? "" : "&", text);
  });
  return kept;
}

std::variant<std::shared_ptr<const v1::SnapshotKey>, Refusal> AuthenticateKey(const ActiveSnapshot& snapshot,
                                                                              std::string_view presented_key,
                                                                              const std::string& gateway,
                                                                              int64_t now_us) {
  if (presented_key.empty()) {
    return Refusal{401, "missing_key",
                   "no gateway key: send authorization: Bearer <key> (or cf-aig-authorization, x-api-key, "
                   "x-goog-api-key, api-key)",
                   ""};
  }
  const auto* const found = snapshot.keys.Find(Sha256Hex(presented_key));
  if (found == nullptr) {
    return Refusal{401, "invalid_key", "this gateway key is unknown or revoked", ""};
  }
  const v1::SnapshotKey& key = **found;
  if (key.expire_time_us() != 0 && key.expire_time_us() <= now_us) {
    return Refusal{401, "expired_key", "this gateway key has expired", ""};
  }
  if (key.gateway() != gateway) {
    return Refusal{403, "wrong_gateway", absl::StrCat("this key does not belong to the gateway \"", gateway, "\""), ""};
  }
  return *found;
}

bool KeyAllowsRoute(const v1::SnapshotKey& key, std::string_view route) {
  return key.allowed_routes().empty() ||
         std::find(key.allowed_routes().begin(), key.allowed_routes().end(), route) != key.allowed_routes().end();
}

}  // namespace signalbox
