// What a token may do. viewer < editor < deployer < admin, each may do all that the ones below may; a proxy's token is
// beside them: it gets snapshots (with the providers' secrets), asks for quota and reports spend, and only an admin's
// may do that too. Which method needs which role: controlplane/api/method_roles.h. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace signalbox {

enum class Role { kProxy, kViewer, kEditor, kDeployer, kAdmin };

inline constexpr char kRoleNames[] = "viewer, editor, deployer, admin or proxy";

const char* RoleName(Role role);
std::optional<Role> ParseRole(std::string_view name);

// Whether a token of role `has` may do what needs `needed`.
bool Covers(Role has, Role needed);

// PERMISSION_DENIED saying what is needed and what was given.
absl::Status CheckRole(Role has, Role needed);

}  // namespace signalbox
