// gRPC: Admin. Tokens, server information, backup. Thread-safe; what it refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/admin.grpc.pb.h"

namespace signalbox {

class AdminService : public v1::Admin::Service {
 public:
  explicit AdminService(const OperatorDeps& deps) : deps_(deps), start_us_(deps.clock->UnixMicros()) {}
  grpc::Status GetServerInfo(grpc::ServerContext* context, const v1::GetServerInfoRequest* request,
                             v1::GetServerInfoResponse* response) override;
  grpc::Status Backup(grpc::ServerContext* context, const v1::BackupRequest* request,
                      v1::BackupResponse* response) override;
  grpc::Status CreateToken(grpc::ServerContext* context, const v1::CreateTokenRequest* request,
                           v1::CreateTokenResponse* response) override;
  grpc::Status ListTokens(grpc::ServerContext* context, const v1::ListTokensRequest* request,
                          v1::ListTokensResponse* response) override;
  grpc::Status RevokeToken(grpc::ServerContext* context, const v1::RevokeTokenRequest* request,
                           v1::Token* response) override;
  grpc::Status ListAudit(grpc::ServerContext* context, const v1::ListAuditRequest* request,
                         v1::ListAuditResponse* response) override;

 private:
  const OperatorDeps& deps_;
  const int64_t start_us_;
};

}  // namespace signalbox
