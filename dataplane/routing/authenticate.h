// Who calls: the gateway key of a request, looked up in the pinned snapshot. Pure but for the hash.
#pragma once

#include <boost/beast/http/fields.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/config/active_snapshot.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

// The key as the client sent it: `cf-aig-authorization: Bearer ...`, else `authorization: Bearer ...`; empty: none.
std::string_view PresentedKey(const boost::beast::http::fields& headers);

// 401 missing_key, invalid_key, expired_key; 403 wrong_gateway when the key is of another gateway than `gateway`.
std::variant<std::shared_ptr<const v1::SnapshotKey>, Refusal> AuthenticateKey(const ActiveSnapshot& snapshot,
                                                                              std::string_view presented_key,
                                                                              const std::string& gateway,
                                                                              int64_t now_us);

// Whether the key's allow-list admits the route; an empty list admits all.
bool KeyAllowsRoute(const v1::SnapshotKey& key, std::string_view route);

}  // namespace signalbox
