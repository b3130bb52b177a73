// signalbox.v1.Snapshots over gRPC's callback API: one reactor a stream, all protocol decisions in PublishCore. One
// mutex guards the core and every reactor's state; nothing blocks while holding it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "common/rpc/rpc.h"
#include "controlplane/publish/publish_core.h"
#include "signalbox/v1/snapshot.grpc.pb.h"

namespace signalbox {

class SnapshotsService final : public v1::Snapshots::CallbackService {
 public:
  SnapshotsService(const TokenAuthority& tokens, const Clock& clock) : tokens_(tokens), clock_(clock) {}
  ~SnapshotsService() override;  // waits for the streams, which end once Shutdown was called or the server is gone

  grpc::ServerBidiReactor<v1::ProxyMessage, v1::ControlMessage>* Stream(grpc::CallbackServerContext* context) override;

  void Remember(const std::vector<std::string>& proxy_ids);  // PublishCore::OnRemembered
  void Publish(std::shared_ptr<const PublishedContent> content);
  void Tick();
  void Shutdown();
  std::vector<v1::ProxyStatus> Fleet() const;
  std::vector<v1::ProviderStatus> ProviderStatuses(const std::string& gateway) const;
  v1::SnapshotId Published() const;
  // Blocks until the progress is complete, `wait_ms` passed or Shutdown.
  std::vector<v1::ProxyResult> WaitForFleet(int64_t sequence, int wait_ms);
  absl::Status WaitForProxy(const std::string& proxy_id, int64_t sequence, int wait_ms);  // of one proxy

 private:
  class Reactor;
  void Run(PublishCore::Actions actions) SB_REQUIRES(mutex_);

  const TokenAuthority& tokens_;
  const Clock& clock_;
  mutable Mutex mutex_;
  CondVar changed_;  // progress of the fleet, streams gone, shutdown
  PublishCore core_ SB_GUARDED_BY(mutex_);
  std::map<PublishCore::StreamId, Reactor*> reactors_ SB_GUARDED_BY(mutex_);  // until OnDone
  PublishCore::StreamId last_stream_ SB_GUARDED_BY(mutex_) = 0;
  bool shut_down_ SB_GUARDED_BY(mutex_) = false;
};

}  // namespace signalbox
