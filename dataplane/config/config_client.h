// The proxy's side of the snapshot stream: receives offers, builds beside the live snapshot, swaps whole, keeps the
// last known good on disk, then acks. Invariant: what `holder()` gives never gets worse: a bad offer, a lost control
// plane or a full disk leave it serving what it served. Thread-safe; owned by the proxy, which stops it before it goes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/config/active_snapshot.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace signalbox {

struct ConfigClientOptions {
  std::shared_ptr<grpc::Channel> channel;
  std::string token;     // a proxy token
  std::string proxy_id;  // not empty
  std::string boot_id;   // new with each start
  std::string build;     // version and build; refusals are parked per build
  std::map<std::string, std::string> labels;
  std::function<std::string()> http_address;  // host:port to be told as where it serves clients; null: not told
  bool http_tls = false;
  std::string data_dir;  // holds proxy.key and the last known good, both made when missing; must exist
  // The newest schema accepted from the control plane; 0 refuses every snapshot (to rehearse a refusal). What was kept
  // on disk is read as long as this build understands it.
  int max_schema = kSchema;
  const Clock* clock = &Clock::System();
  std::function<int64_t()> in_flight;  // requests being served now, for Status; called on the client's thread
  // What the proxy knows of its providers' health, for Status, and a number that changes with it: a change is reported
  // within kStatusChangeUs. Called on the client's thread.
  std::function<std::vector<v1::ProviderStatus>()> providers;
  std::function<uint64_t()> provider_changes;
  int64_t status_us = kStatusUs;
};

class ConfigClient {
 public:
  virtual ~ConfigClient() = default;  // stops
  // Holds the last known good already before Start, if there was one.
  virtual SnapshotHolder& holder() = 0;
  virtual void Start() = 0;
  // Returns when the stream has ended and no listener will be called any more. A second call does nothing.
  virtual void Stop() = 0;
  // Until a snapshot is there, from disk or stream; false when `timeout_ms` passed first or the client was stopped.
  virtual bool WaitForFirst(int timeout_ms) = 0;
  virtual bool Connected() const = 0;
  // Microseconds since the control plane was last heard: 0 while connected. Before the first contact since start: since
  // the snapshot on disk was saved, or since start without one.
  virtual int64_t StalenessMicros() const = 0;
  // Counters for metrics, since start.
  struct Counters {
    int64_t applied = 0;
    int64_t rejected = 0;
    int64_t connects = 0;
    int64_t save_failures = 0;  // of the last known good
  };
  virtual Counters counters() const = 0;
};

// Reads the last known good; a corrupt file is logged and passed over. FAILED_PRECONDITION or INVALID_ARGUMENT when
// proxy.key is unsafe or no key, UNAVAILABLE when it cannot be written.
absl::StatusOr<std::unique_ptr<ConfigClient>> NewConfigClient(ConfigClientOptions options);

}  // namespace signalbox
