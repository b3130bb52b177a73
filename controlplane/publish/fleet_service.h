// signalbox.v1.Fleet: which proxy runs what. Thread-safe.
#pragma once

#include "common/rpc/rpc.h"
#include "controlplane/publish/snapshots_service.h"
#include "signalbox/v1/snapshot.grpc.pb.h"

namespace signalbox {

class FleetService final : public v1::Fleet::Service {
 public:
  FleetService(const SnapshotsService& snapshots, const TokenAuthority& tokens)
      : snapshots_(snapshots), tokens_(tokens) {}
  // Admin token. Pages are ordered by proxy id; a page token is the last id of the page before.
  grpc::Status ListProxies(grpc::ServerContext* context, const v1::ListProxiesRequest* request,
                           v1::ListProxiesResponse* response) override;

 private:
  const SnapshotsService& snapshots_;
  const TokenAuthority& tokens_;
};

}  // namespace signalbox
