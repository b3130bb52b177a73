#include "controlplane/store/audit_store.h"

#include "absl/strings/str_cat.h"

namespace signalbox {

absl::Status AuditStore::Append(const v1::AuditEntry& entry) {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(SqliteTransaction transaction, SqliteTransaction::Begin(*core_.db));
  RETURN_IF_ERROR(
      core_.db->Run("INSERT INTO audit(time_us, who, token_id, role, method, gateway, resource, summary, error)"
                    " VALUES(?,?,?,?,?,?,?,?,?)",
                    core_.clock->UnixMicros(), entry.who(), entry.token_id(), entry.role(), entry.method(),
                    entry.gateway(), entry.resource(), entry.summary(), entry.error()));
  RETURN_IF_ERROR(core_.db->Run("DELETE FROM audit WHERE id<=?", core_.db->LastInsertRowId() - entries_max_));
  return transaction.Commit();
}

absl::StatusOr<Page<v1::AuditEntry>> AuditStore::List(const Filter& filter, int64_t before, int limit) const {
  MutexLock lock(core_.mutex);
  ASSIGN_OR_RETURN(
      SqliteStatement query,
      core_.db->Query("SELECT id, time_us, who, token_id, role, method, gateway, resource, summary, error FROM audit"
                      " WHERE (?1=0 OR id<?1) AND (?2='' OR who=?2 OR token_id=?2)"
                      " AND (?3='' OR method=?3 OR substr(method, -length(?3)-1)='.'||?3) ORDER BY id DESC LIMIT ?4",
                      before, filter.who, filter.method, limit + 1));
  Page<v1::AuditEntry> page;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return page;
    if (page.items.size() == static_cast<size_t>(limit)) {
      page.more = true;
      return page;
    }
    v1::AuditEntry& entry = page.items.emplace_back();
    entry.set_id(query.Int(0));
    entry.set_time_us(query.Int(1));
    entry.set_who(query.Text(2));
    entry.set_token_id(query.Text(3));
    entry.set_role(query.Text(4));
    entry.set_method(query.Text(5));
    entry.set_gateway(query.Text(6));
    entry.set_resource(query.Text(7));
    entry.set_summary(query.Text(8));
    entry.set_error(query.Text(9));
  }
}

}  // namespace signalbox
