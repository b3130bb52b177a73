// Who may call: the tokens table, answered from memory. Only hashes are kept, so the lookup needs no constant time.
// The first admin token and the first proxy token are made at first start, into 0600 files. Thread-safe; the store
// outlives it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/token_authority.h"
#include "controlplane/store/token_store.h"

namespace signalbox {

class StoredTokenAuthority : public TokenAuthority {
 public:
  // Writes <data_dir>/admin.token and <data_dir>/proxy.token unless the store has ever had a token of that role.
  static absl::StatusOr<std::unique_ptr<StoredTokenAuthority>> Open(TokenStore& store, const std::string& data_dir);

  absl::StatusOr<Caller> Authenticate(std::string_view token) const override;

  // The token and its text, which is nowhere else. INVALID_ARGUMENT for a role that is none (common/role.h).
  absl::StatusOr<std::pair<v1::Token, std::string>> Create(const std::string& role, const std::string& display_name);
  absl::StatusOr<v1::Token> Revoke(const std::string& id);

 private:
  explicit StoredTokenAuthority(TokenStore& store) : store_(store) {}
  absl::Status Load();
  absl::Status MakeFirst(const std::string& role, const std::string& path);

  TokenStore& store_;
  mutable Mutex mutex_;
  std::unordered_map<std::string, Caller> callers_ SB_GUARDED_BY(mutex_);  // by sha256 of the text; live ones
};

}  // namespace signalbox
