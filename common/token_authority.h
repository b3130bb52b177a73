// Who may call: a bearer token becomes a caller with a role. The stores and files that know the tokens implement it, so
// they need no gRPC; common/rpc/rpc.h applies it to a call. Thread-safe, every implementation.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/role.h"

namespace signalbox {

struct Caller {
  std::string token_id;
  std::string name;  // author in versions and deployments
  Role role = Role::kProxy;
};

class TokenAuthority {
 public:
  virtual ~TokenAuthority() = default;
  // UNAUTHENTICATED for a token that is unknown or revoked.
  virtual absl::StatusOr<Caller> Authenticate(std::string_view token) const = 0;
};

}  // namespace signalbox
