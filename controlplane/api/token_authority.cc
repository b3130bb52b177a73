#include "controlplane/api/token_authority.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/seal/seal.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

Caller CallerOf(const v1::Token& token) {
  return Caller{token.id(), token.display_name().empty() ? token.id() : token.display_name(),
                ParseRole(token.role()).value_or(Role::kProxy)};
}

// Whole or not at all, readable by its owner only.
absl::Status WritePrivateFile(const std::string& path, const std::string& content) {
  const std::string tmp = absl::StrCat(path, ".tmp");
  ::unlink(tmp.c_str());
  const int fd = ::open(tmp.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return absl::UnavailableError(absl::StrCat("cannot create ", tmp, ": ", std::strerror(errno)));
  errno = ENOSPC;  // for a write that took only a part
  const bool written =
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fsync(fd) == 0;
  const int write_errno = errno;
  ::close(fd);
  if (!written) {
    ::unlink(tmp.c_str());
    return absl::UnavailableError(absl::StrCat("cannot write ", tmp, ": ", std::strerror(write_errno)));
  }
  if (::rename(tmp.c_str(), path.c_str()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot rename ", tmp, ": ", std::strerror(errno)));
  }
  // Before the store knows the token: after a power cut nobody could tell what it was.
  const std::string directory = path.substr(0, path.find_last_of('/') + 1);
  const int directory_fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = directory_fd >= 0 && ::fsync(directory_fd) == 0;
  const int sync_errno = errno;
  if (directory_fd >= 0) ::close(directory_fd);
  if (!synced) return absl::UnavailableError(absl::StrCat("cannot sync ", directory, ": ", std::strerror(sync_errno)));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoredTokenAuthority>> StoredTokenAuthority::Open(TokenStore& store,
                                                                                 const std::string& data_dir) {
  std::unique_ptr<StoredTokenAuthority> authority(new StoredTokenAuthority(store));
  RETURN_IF_ERROR(authority->MakeFirst("admin", absl::StrCat(data_dir, "/admin.token")));
  RETURN_IF_ERROR(authority->MakeFirst("proxy", absl::StrCat(data_dir, "/proxy.token")));
  RETURN_IF_ERROR(authority->Load());
  return authority;
}

// The file first: a crash between the two leaves a file that the next start replaces, never a token nobody knows.
absl::Status StoredTokenAuthority::MakeFirst(const std::string& role, const std::string& path) {
  ASSIGN_OR_RETURN(const auto tokens, store_.All());
  for (const auto& [sha256, token] : tokens) {
    if (token.role() == role) return absl::OkStatus();
  }
  const std::string text = NewSecret("sbt_");
  RETURN_IF_ERROR(WritePrivateFile(path, absl::StrCat(text, "\n")));
  RETURN_IF_ERROR(store_.Create(role, role, Sha256Hex(text)).status());
  LOG(INFO) << "made the first " << role << " token: it is in " << path;
  return absl::OkStatus();
}

absl::Status StoredTokenAuthority::Load() {
  ASSIGN_OR_RETURN(const auto tokens, store_.All());
  MutexLock lock(mutex_);
  for (const auto& [sha256, token] : tokens) {
    if (!token.has_revoke_time()) callers_[sha256] = CallerOf(token);
  }
  return absl::OkStatus();
}

absl::StatusOr<Caller> StoredTokenAuthority::Authenticate(std::string_view token) const {
  const std::string sha256 = Sha256Hex(token);
  MutexLock lock(mutex_);
  const auto found = callers_.find(sha256);
  if (found == callers_.end()) return absl::UnauthenticatedError("the token is unknown or revoked");
  return found->second;
}

absl::StatusOr<std::pair<v1::Token, std::string>> StoredTokenAuthority::Create(const std::string& role,
                                                                               const std::string& display_name) {
  if (!ParseRole(role).has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("role \"", role, "\": must be ", kRoleNames));
  }
  const std::string text = NewSecret("sbt_");
  const std::string sha256 = Sha256Hex(text);
  ASSIGN_OR_RETURN(const v1::Token token, store_.Create(role, display_name, sha256));
  MutexLock lock(mutex_);
  callers_[sha256] = CallerOf(token);
  return std::make_pair(token, text);
}

absl::StatusOr<v1::Token> StoredTokenAuthority::Revoke(const std::string& id) {
  ASSIGN_OR_RETURN(const v1::Token token, store_.Revoke(id));
  MutexLock lock(mutex_);
  std::erase_if(callers_, [&](const auto& entry) { return entry.second.token_id == id; });
  return token;
}

}  // namespace signalbox
