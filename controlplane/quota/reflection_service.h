// gRPC's standard reflection service, served on a call loop: what the descriptors compiled into this program say.
// Outlives the loop's last call.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "controlplane/quota/call_loop.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace signalbox {

class ReflectionService {
 public:
  // `services`: full names of what the server serves, this one included.
  explicit ReflectionService(std::vector<std::string> services) : services_(std::move(services)) {}

  void Register(grpc::ServerBuilder& builder) { builder.RegisterService(&service_); }
  void Start(CallLoop& loop);  // once the server is built, before the loop starts

 private:
  class Stream;
  using Service = grpc::reflection::v1alpha::ServerReflection::AsyncService;

  grpc::reflection::v1alpha::ServerReflectionResponse Answer(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request) const;

  const std::vector<std::string> services_;
  Service service_;
};

}  // namespace signalbox
