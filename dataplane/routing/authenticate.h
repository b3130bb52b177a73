// Who calls: the gateway key of a request, looked up in the pinned snapshot. Pure but for the hash.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/config/active_snapshot.h"
#include "dataplane/http/header_fields.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

// Where clients put a key, the strongest first: Cloudflare's way, OpenAI's, Anthropic's, Google's, Azure's.
inline constexpr std::string_view kKeyHeaders[] = {"cf-aig-authorization", "authorization", "x-api-key",
                                                   "x-goog-api-key", "api-key"};
bool IsKeyHeader(std::string_view lower_case_name);

// The key as the client sent it: in the first of those headers that is there (`Bearer ` before it does not count), else
// as `key` in the query of `target`, as some of Google's clients do; empty: none.
std::string PresentedKey(const HeaderFields& headers, std::string_view target);

// The query (without its ?) without the key: without `key`, and without whatever holds `presented_key`.
std::string QueryWithoutKey(std::string_view query, std::string_view presented_key);

// 401 missing_key, invalid_key, expired_key; 403 wrong_gateway when the key is of another gateway than `gateway`.
std::variant<std::shared_ptr<const v1::SnapshotKey>, Refusal> AuthenticateKey(const ActiveSnapshot& snapshot,
                                                                              std::string_view presented_key,
                                                                              const std::string& gateway,
                                                                              int64_t now_us);

// Whether the key's allow-list admits the route; an empty list admits all.
bool KeyAllowsRoute(const v1::SnapshotKey& key, std::string_view route);

}  // namespace signalbox
