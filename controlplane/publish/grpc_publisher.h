// Publisher over gRPC: serves signalbox.v1.Snapshots (proxy token) and signalbox.v1.Fleet (admin token). One thread
// reads the source and publishes; streams run on gRPC's threads. Thread-safe; source, authority and clock outlive it.
//
// Lifetime: register services(), start the server, Start(); to stop: Shutdown(), then the server's Shutdown, destroy
// the server, destroy the publisher.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "controlplane/publish/publisher.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace signalbox {

class TokenAuthority;

class GrpcPublisher : public Publisher {
 public:
  virtual std::vector<grpc::Service*> services() = 0;  // owned by the publisher
  // Publishes what the source holds now, then what OnCommitted announces.
  virtual void Start() = 0;
  // Ends every stream with UNAVAILABLE and the publishing thread, wakes WaitForFleet. A second call does nothing.
  virtual void Shutdown() = 0;
};

// Which proxies there are, across restarts: a deployment right after one must wait for those that have not come back.
struct FleetMemory {
  std::vector<std::string> known;                                               // when the control plane stopped
  std::function<absl::Status(const std::vector<std::string>& known)> remember;  // null: not kept
};

std::unique_ptr<GrpcPublisher> NewGrpcPublisher(const SnapshotSource& source, const TokenAuthority& tokens,
                                                const Clock& clock, FleetMemory memory = {});

}  // namespace signalbox
