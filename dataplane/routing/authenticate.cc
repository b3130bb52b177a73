#include "dataplane/routing/authenticate.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/sha256.h"

namespace signalbox {

std::string_view PresentedKey(const boost::beast::http::fields& headers) {
  for (const char* name : {"cf-aig-authorization", "authorization"}) {
    const auto header = headers.find(name);
    if (header == headers.end()) continue;
    std::string_view value(header->value().data(), header->value().size());
    if (absl::StartsWithIgnoreCase(absl::string_view(value.data(), value.size()), "bearer ")) value.remove_prefix(7);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    return value;
  }
  return {};
}

std::variant<std::shared_ptr<const v1::SnapshotKey>, Refusal> AuthenticateKey(const ActiveSnapshot& snapshot,
                                                                              std::string_view presented_key,
                                                                              const std::string& gateway,
                                                                              int64_t now_us) {
  if (presented_key.empty()) {
    return Refusal{401, "missing_key",
                   "no gateway key: send authorization: Bearer <key> (or cf-aig-authorization: Bearer <key>)", ""};
  }
  const auto found = snapshot.keys.find(Sha256Hex(presented_key));
  if (found == snapshot.keys.end()) {
    return Refusal{401, "invalid_key", "this gateway key is unknown or revoked", ""};
  }
  const v1::SnapshotKey& key = *found->second;
  if (key.expire_time_us() != 0 && key.expire_time_us() <= now_us) {
    return Refusal{401, "expired_key", "this gateway key has expired", ""};
  }
  if (key.gateway() != gateway) {
    return Refusal{403, "wrong_gateway", absl::StrCat("this key does not belong to the gateway \"", gateway, "\""), ""};
  }
  return found->second;
}

bool KeyAllowsRoute(const v1::SnapshotKey& key, std::string_view route) {
  return key.allowed_routes().empty() ||
         std::find(key.allowed_routes().begin(), key.allowed_routes().end(), route) != key.allowed_routes().end();
}

}  // namespace signalbox
