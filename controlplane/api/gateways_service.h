// gRPC: Gateways. Thin: input checks and pages over GatewayStore. Thread-safe; what it refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {

class GatewaysService : public v1::Gateways::Service {
 public:
  explicit GatewaysService(const OperatorDeps& deps) : deps_(deps) {}
  grpc::Status CreateGateway(grpc::ServerContext* context, const v1::CreateGatewayRequest* request,
                             v1::Gateway* response) override;
  grpc::Status ListGateways(grpc::ServerContext* context, const v1::ListGatewaysRequest* request,
                            v1::ListGatewaysResponse* response) override;

  grpc::Status UpdateGateway(grpc::ServerContext* context, const v1::UpdateGatewayRequest* request,
                             v1::Gateway* response) override;

 private:
  const OperatorDeps& deps_;
};

}  // namespace signalbox
