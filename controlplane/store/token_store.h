// Bearer tokens of operators and proxies, stored as the SHA-256 of their text. Thread-safe; a view of SqliteStore,
// which owns it. Who calls is decided by controlplane/api/token_authority.h, from memory.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/store_core.h"
#include "signalbox/v1/admin.pb.h"

namespace signalbox {

class TokenStore {
 public:
  explicit TokenStore(StoreCore& core) : core_(core) {}

  absl::StatusOr<v1::Token> Create(const std::string& role, const std::string& display_name, const std::string& sha256);
  // FAILED_PRECONDITION for the last admin token that is left. Repeating it keeps the first time.
  absl::StatusOr<v1::Token> Revoke(const std::string& id);
  // Oldest first, revoked ones too; from the first after the token `after_id`.
  absl::StatusOr<Page<v1::Token>> List(const std::string& after_id, int limit) const;
  // (sha256, token) of every token ever made.
  absl::StatusOr<std::vector<std::pair<std::string, v1::Token>>> All() const;

 private:
  StoreCore& core_;
};

}  // namespace signalbox
