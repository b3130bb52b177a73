// signalbox.v1.Fleet: which proxy runs what. Thread-safe.
#pragma once

#include <functional>
#include <utility>

#include "common/rpc/rpc.h"
#include "controlplane/publish/snapshots_service.h"
#include "signalbox/v1/snapshot.grpc.pb.h"

namespace signalbox {

class FleetService final : public v1::Fleet::Service {
 public:
  // `await_published` returns once what is committed is published, so that no proxy is called in sync with what was.
  FleetService(const SnapshotsService& snapshots, const TokenAuthority& tokens, std::function<void()> await_published)
      : snapshots_(snapshots), tokens_(tokens), await_published_(std::move(await_published)) {}
  // Pages are ordered by proxy id; a page token is the last id of the page before.
  grpc::Status ListProxies(grpc::ServerContext* context, const v1::ListProxiesRequest* request,
                           v1::ListProxiesResponse* response) override;

 private:
  const SnapshotsService& snapshots_;
  const TokenAuthority& tokens_;
  const std::function<void()> await_published_;
};

}  // namespace signalbox
