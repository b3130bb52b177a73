// Who a live run from the console is sent to, and with which gateway key: a connected proxy that said where it serves,
// and a key of the gateway's own, which that proxy already knows when Prepare returns. Thread-safe; owned by the
// composition root, store and publisher outlive it.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/api/live_target.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/store/sqlite_store.h"

namespace signalbox {

class LiveRuns {
 public:
  LiveRuns(SqliteStore& store, Publisher& publisher) : store_(store), publisher_(publisher) {}

  // `proxy_id` empty: of the connected ones that are in sync, each in turn. UNAVAILABLE when there is none, or it does
  // not take the key in time; FAILED_PRECONDITION before the first deployment.
  absl::StatusOr<LiveTarget> Prepare(const std::string& gateway, const std::string& proxy_id);

 private:
  absl::StatusOr<v1::ProxyStatus> Choose(const std::string& proxy_id);

  SqliteStore& store_;
  Publisher& publisher_;
  std::atomic<size_t> turn_{0};
};

}  // namespace signalbox
