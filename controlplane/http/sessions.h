// Who is signed in to the console: a random id in a cookie stands for a token, which stays in this process' memory.
// Each use authenticates the token anew, so that revoking it ends its sessions at once; a restart signs everybody out.
// Ids are kept as hashes, and both the number of sessions and their age are bounded. Thread-safe; owned by the HTTP
// port, the authority and the clock outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/token_authority.h"

namespace signalbox {

class Sessions {
 public:
  struct Session {
    std::string token;
    std::string csrf;  // what a changing call must also carry
    Caller caller;     // as the authority says now
  };
  struct Started {
    std::string id;  // for the cookie, and nowhere else
    Session session;
  };

  Sessions(const TokenAuthority& authority, const Clock& clock, size_t sessions_max = kSessionsMax)
      : authority_(authority), clock_(clock), sessions_max_(sessions_max) {}

  // UNAUTHENTICATED for a token that is unknown, revoked or a proxy's. Past a bound the session used longest ago ends:
  // of the same token first, of all then.
  absl::StatusOr<Started> Start(const std::string& token) SB_EXCLUDES(mutex_);
  // UNAUTHENTICATED for a session that is unknown, has ended, or whose token may no longer call.
  absl::StatusOr<Session> Find(const std::string& id) SB_EXCLUDES(mutex_);
  void End(const std::string& id) SB_EXCLUDES(mutex_);
  size_t size() const SB_EXCLUDES(mutex_);

 private:
  struct Entry {
    std::string token;
    std::string token_id;
    std::string csrf;
    int64_t start_us = 0;  // monotonic
    int64_t used_us = 0;
  };
  bool Expired(const Entry& entry, int64_t now_us) const;
  void MakeRoom(const std::string& token_id, int64_t now_us) SB_REQUIRES(mutex_);

  const TokenAuthority& authority_;
  const Clock& clock_;
  const size_t sessions_max_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> entries_ SB_GUARDED_BY(mutex_);  // by the SHA-256 of the id
};

}  // namespace signalbox
