// Pushes what the store published to every connected proxy and knows what each runs. Stage two of a configuration's
// life: store -> publisher -> proxies. Thread-safe; owned by the control plane; the source outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "controlplane/publish/snapshot_source.h"
#include "signalbox/v1/route.pb.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

class Publisher {
 public:
  virtual ~Publisher() = default;
  // Call after every commit that changed the snapshot. Returns at once; commits within kDebounceUs travel together.
  virtual void OnCommitted() = 0;
  // Waits until every proxy that is connected, or was within the last two minutes, applied content at least as new as
  // `sequence` or refused it; at most `wait_ms`. One result a proxy, ordered by id.
  virtual std::vector<v1::ProxyResult> WaitForFleet(int64_t sequence, int wait_ms) = 0;
  // The same of one proxy, applied or not: OK, FAILED_PRECONDITION when it refused, UNAVAILABLE when it did not say.
  virtual absl::Status WaitForProxy(const std::string& proxy_id, int64_t sequence, int wait_ms) = 0;
  virtual std::vector<v1::ProxyStatus> Fleet() const = 0;
  // What connected proxies last said of the gateway's providers; ordered by provider, endpoint, model and proxy.
  virtual std::vector<v1::ProviderStatus> ProviderStatuses(const std::string& gateway) const = 0;
};

}  // namespace signalbox
