// gRPC's standard health service, served on a call loop: the whole server has a status, no other name is known.
// Thread-safe. Outlives the loop's last call.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "controlplane/quota/call_loop.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace signalbox {

class HealthService {
 public:
  void Register(grpc::ServerBuilder& builder) { builder.RegisterService(&service_); }
  void Start(CallLoop& loop);  // once the server is built, before the loop starts
  // Tells those who watch that the server does not serve any more, and ends their calls.
  void Shutdown();

 private:
  class Watch;
  using Service = grpc::health::v1::Health::AsyncService;

  // NOT_FOUND for a name that is not known.
  absl::StatusOr<grpc::health::v1::HealthCheckResponse> Check(const std::string& name) const;

  Service service_;
  mutable Mutex mutex_;
  bool serving_ SB_GUARDED_BY(mutex_) = true;
  absl::flat_hash_set<Watch*> watches_ SB_GUARDED_BY(mutex_);
};

}  // namespace signalbox
