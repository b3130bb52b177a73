#include "common/role.h"

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

constexpr Role kRoles[] = {Role::kProxy, Role::kViewer, Role::kEditor, Role::kDeployer, Role::kAdmin};

std::string WithArticle(Role role) {
  return absl::StrCat(role == Role::kEditor || role == Role::kAdmin ? "an " : "a ", RoleName(role));
}

}  // namespace

const char* RoleName(Role role) {
  switch (role) {
    case Role::kProxy:
      return "proxy";
    case Role::kViewer:
      return "viewer";
    case Role::kEditor:
      return "editor";
    case Role::kDeployer:
      return "deployer";
    case Role::kAdmin:
      return "admin";
  }
  return "unknown";
}

std::optional<Role> ParseRole(std::string_view name) {
  for (const Role role : kRoles) {
    if (name == RoleName(role)) return role;
  }
  return std::nullopt;
}

bool Covers(Role has, Role needed) {
  if (has == Role::kAdmin) return true;
  if (has == Role::kProxy || needed == Role::kProxy) return has == needed;
  return has >= needed;
}

absl::Status CheckRole(Role has, Role needed) {
  if (Covers(has, needed)) return absl::OkStatus();
  const bool only = needed == Role::kAdmin || needed == Role::kProxy;
  return absl::PermissionDeniedError(absl::StrCat("this call needs ", WithArticle(needed), " token",
                                                  only ? "" : " or one that may do more", "; ", WithArticle(has),
                                                  " token was given"));
}

}  // namespace signalbox
