#include "controlplane/http/sessions.h"

#include <algorithm>
#include <utility>

#include "common/seal/seal.h"
#include "common/sha256.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

absl::Status SignedOut() {
  return absl::UnauthenticatedError("the session has ended, or never was: sign in again (POST /session)");
}

}  // namespace

absl::StatusOr<Sessions::Started> Sessions::Start(const std::string& token) {
  ASSIGN_OR_RETURN(const Caller caller, authority_.Authenticate(token));
  // The same words as for a token that is unknown: nothing is told about tokens that do not sign in.
  if (caller.role == Role::kProxy) return absl::UnauthenticatedError("the token is unknown or revoked");
  Started started{NewSecret("sbs_"), {token, NewSecret("sbc_"), caller}};
  MutexLock lock(mutex_);
  const int64_t now_us = clock_.MonotonicMicros();
  MakeRoom(caller.token_id, now_us);
  entries_[Sha256(started.id)] = Entry{token, caller.token_id, started.session.csrf, now_us, now_us};
  return started;
}

absl::StatusOr<Sessions::Session> Sessions::Find(const std::string& id) {
  Session session;
  {
    MutexLock lock(mutex_);
    const auto found = entries_.find(Sha256(id));
    if (found == entries_.end()) return SignedOut();
    const int64_t now_us = clock_.MonotonicMicros();
    if (Expired(found->second, now_us)) {
      entries_.erase(found);
      return SignedOut();
    }
    found->second.used_us = now_us;
    session.token = found->second.token;
    session.csrf = found->second.csrf;
  }
  absl::StatusOr<Caller> caller = authority_.Authenticate(session.token);
  if (!caller.ok()) {
    End(id);
    return SignedOut();
  }
  session.caller = *std::move(caller);
  return session;
}

void Sessions::End(const std::string& id) {
  MutexLock lock(mutex_);
  entries_.erase(Sha256(id));
}

size_t Sessions::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

bool Sessions::Expired(const Entry& entry, int64_t now_us) const {
  return now_us - entry.used_us >= kSessionIdleUs || now_us - entry.start_us >= kSessionUsMax;
}

void Sessions::MakeRoom(const std::string& token_id, int64_t now_us) {
  std::erase_if(entries_, [&](const auto& entry) { return Expired(entry.second, now_us); });
  const auto end_oldest = [&](bool of_token) SB_REQUIRES(mutex_) {
    auto oldest = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (of_token && entry->second.token_id != token_id) continue;
      if (oldest == entries_.end() || entry->second.used_us < oldest->second.used_us) oldest = entry;
    }
    if (oldest != entries_.end()) entries_.erase(oldest);
  };
  const auto of_token = std::count_if(entries_.begin(), entries_.end(),
                                      [&](const auto& entry) { return entry.second.token_id == token_id; });
  if (static_cast<size_t>(of_token) >= kSessionsPerTokenMax) end_oldest(/*of_token=*/true);
  if (entries_.size() >= sessions_max_) end_oldest(/*of_token=*/false);
}

}  // namespace signalbox
