// gRPC: Providers. Thin: input checks and pages over GatewayStore; no answer carries a secret. Thread-safe; what it
// refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {

class ProvidersService : public v1::Providers::Service {
 public:
  explicit ProvidersService(const OperatorDeps& deps) : deps_(deps) {}
  grpc::Status ApplyProvider(grpc::ServerContext* context, const v1::ApplyProviderRequest* request,
                             v1::Provider* response) override;
  grpc::Status ListProviders(grpc::ServerContext* context, const v1::ListProvidersRequest* request,
                             v1::ListProvidersResponse* response) override;
  grpc::Status DeleteProvider(grpc::ServerContext* context, const v1::DeleteProviderRequest* request,
                              v1::DeleteProviderResponse* response) override;

  grpc::Status ListProviderStatus(grpc::ServerContext* context, const v1::ListProviderStatusRequest* request,
                                  v1::ListProviderStatusResponse* response) override;

 private:
  const OperatorDeps& deps_;
};

}  // namespace signalbox
