#include "controlplane/store/token_store.h"

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

constexpr char kTokenColumns[] = "id, role, display_name, create_us, revoke_us, sha256";

v1::Token ReadToken(const SqliteStatement& query) {
  v1::Token token;
  token.set_id(query.Text(0));
  token.set_role(query.Text(1));
  token.set_display_name(query.Text(2));
  *token.mutable_create_time() = ToTimestamp(query.Int(3));
  if (query.Int(4) != 0) *token.mutable_revoke_time() = ToTimestamp(query.Int(4));
  return token;
}

absl::StatusOr<v1::Token> FindToken(const StoreCore& core, const std::string& id) SB_REQUIRES(core.mutex) {
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core.db->Query(absl::StrCat("SELECT ", kTokenColumns, " FROM tokens WHERE id=?"), id));
  ASSIGN_OR_RETURN(const bool found, query.Step());
  if (!found) return absl::NotFoundError(absl::StrCat("unknown token \"", id, "\"; list the tokens for their ids"));
  return ReadToken(query);
}

}  // namespace

absl::StatusOr<v1::Token> TokenStore::Create(const std::string& role, const std::string& display_name,
                                             const std::string& sha256) {
  MutexLock lock(core_.mutex);
  const std::string id = NewUuid();
  RETURN_IF_ERROR(
      core_.db->Run("INSERT INTO tokens(id, role, display_name, sha256, create_us, revoke_us) VALUES(?,?,?,?,?,0)", id,
                    role, display_name, sha256, core_.clock->UnixMicros()));
  return FindToken(core_, id);
}

absl::StatusOr<v1::Token> TokenStore::Revoke(const std::string& id) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(const v1::Token token, FindToken(core_, id));
  if (token.has_revoke_time()) return token;
  if (token.role() == "admin") {
    ASSIGN_OR_RETURN(SqliteStatement query,
                     core_.db->Query("SELECT count(*) FROM tokens WHERE role='admin' AND revoke_us=0"));
    RETURN_IF_ERROR(query.Step().status());
    if (query.Int(0) <= 1) {
      return absl::FailedPreconditionError(
          absl::StrCat("token \"", id, "\" is the last admin token; create another one first"));
    }
  }
  RETURN_IF_ERROR(core_.db->Run("UPDATE tokens SET revoke_us=? WHERE id=?", core_.clock->UnixMicros(), id));
  return FindToken(core_, id);
}

absl::StatusOr<Page<v1::Token>> TokenStore::List(const std::string& after_id, int limit) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query(absl::StrCat("SELECT ", kTokenColumns,
                                                " FROM tokens WHERE seq>coalesce((SELECT seq FROM tokens WHERE id=?),0)"
                                                " ORDER BY seq LIMIT ?"),
                                   after_id, limit + 1));
  Page<v1::Token> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    page.items.push_back(ReadToken(query));
  }
}

absl::StatusOr<std::vector<std::pair<std::string, v1::Token>>> TokenStore::All() const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(SqliteStatement query,
                   core_.db->Query(absl::StrCat("SELECT ", kTokenColumns, " FROM tokens ORDER BY seq")));
  std::vector<std::pair<std::string, v1::Token>> tokens;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return tokens;
    tokens.emplace_back(query.Text(5), ReadToken(query));
  }
}

}  // namespace signalbox
