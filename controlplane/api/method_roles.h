// Which role each call of the operators' API needs, and which calls change something (and so leave an audit entry):
// the one table of both. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "common/role.h"

namespace signalbox {

struct MethodRole {
  std::string_view method;  // signalbox.v1.Routes.Deploy
  Role role;
  bool changes = false;
};

const std::vector<MethodRole>& MethodRoles();

// A method that is not in the table needs an admin and counts as changing.
MethodRole RoleOf(std::string_view method);

// What the HTTP port does besides, by names that are no gRPC methods.
inline constexpr std::string_view kSessionStart = "session.start";
inline constexpr std::string_view kSessionEnd = "session.end";
inline constexpr std::string_view kLiveRun = "live_run";

}  // namespace signalbox
