// The quota service as something a process can host: signalbox-quota does, and the control plane's embedded mode.
// Owns store, engine, the gRPC service and the one thread that serves it (call_loop.h); answers are given only after
// their batch is committed. Thread-safe. Order of a life: Register(), the server is built, Start(); Shutdown(), the
// server's Shutdown, Drain(), then server and host may go in any order.
#pragma once

#include <grpcpp/server_builder.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/rpc/rpc.h"
#include "controlplane/quota/call_loop.h"
#include "controlplane/quota/quota_store.h"

namespace signalbox {

struct QuotaHostOptions {
  std::string store = "sqlite";  // sqlite, redis://…, memory (nothing survives)
  std::string data_dir;          // made when missing; quota.db lives there
  Durability durability = Durability::kProcess;
  int64_t compact_after_bytes = kQuotaLogBytesBeforeCompaction;  // of log, sqlite only
  const Clock* clock = &Clock::System();                         // outlives the host
  bool tokens_may_be_revoked = true;                             // asks about a session's for every message
};

// Counted since the process started.
struct QuotaHostMetrics {
  int64_t decisions = 0;       // acquires and extends decided
  int64_t batches = 0;         // transactions committed
  int64_t sessions = 0;        // open now
  int64_t counters = 0;        // in memory now
  int64_t holds = 0;           // requests with something held or charged now
  int64_t store_failures = 0;  // batches that could not be committed; their sessions were closed, nothing answered
  int64_t clock_jumps = 0;     // steps of the wall clock that were not believed
};

class QuotaHost {
 public:
  // Opens and recovers the store. FAILED_PRECONDITION when another process has it open, DATA_LOSS when it is damaged,
  // UNAVAILABLE when the directory cannot be used. `authority` outlives the host.
  static absl::StatusOr<std::unique_ptr<QuotaHost>> Open(QuotaHostOptions options, const TokenAuthority& authority);
  virtual ~QuotaHost() = default;
  virtual void Register(grpc::ServerBuilder& builder) = 0;  // before the server is built, which the host outlives
  virtual void Start() = 0;                                 // once it is built
  // Others may be served by the same thread: from before Start(), and like the host's own.
  virtual CallLoop& loop() = 0;
  virtual QuotaHostMetrics metrics() const = 0;
  // An online copy of quota.db through the store's own connection (a second one may not open it). FAILED_PRECONDITION
  // when `path` exists, UNIMPLEMENTED by a store that has no file.
  virtual absl::Status BackupTo(const std::string& path) {
    return absl::UnimplementedError("this quota store has no file to copy");
  }
  // Answers what was received, ends every session with UNAVAILABLE, stops the engine. Later calls are UNAVAILABLE.
  virtual void Shutdown() = 0;
  // Waits for the last call to end. The server must have been shut down, and not be destroyed yet.
  virtual void Drain() = 0;
};

}  // namespace signalbox
