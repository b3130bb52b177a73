// gRPC: Keys. Thin: input checks and pages over KeyStore. A key's text is in the answer to CreateKey and nowhere
// else. Thread-safe; what it refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {

class KeysService : public v1::Keys::Service {
 public:
  explicit KeysService(const OperatorDeps& deps) : deps_(deps) {}
  grpc::Status CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                         v1::CreateKeyResponse* response) override;
  grpc::Status ListKeys(grpc::ServerContext* context, const v1::ListKeysRequest* request,
                        v1::ListKeysResponse* response) override;
  grpc::Status RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                         v1::GatewayKey* response) override;

 private:
  const OperatorDeps& deps_;
};

}  // namespace signalbox
