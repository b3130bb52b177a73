// signalbox.v1.Spend (proxy token: report) and signalbox.v1.Usage (admin token: read), over one ledger. A batch is
// acknowledged after it is committed; a malformed one ends the stream with INVALID_ARGUMENT. Thread-safe; ledger and
// authority outlive the services.
#pragma once

#include "common/rpc/rpc.h"
#include "controlplane/ledger/sqlite_ledger.h"
#include "signalbox/v1/spend.grpc.pb.h"

namespace signalbox {

class SpendService final : public v1::Spend::CallbackService {
 public:
  SpendService(SqliteLedger& ledger, const TokenAuthority& tokens) : ledger_(ledger), tokens_(tokens) {}
  grpc::ServerBidiReactor<v1::SpendBatch, v1::SpendAck>* Report(grpc::CallbackServerContext* context) override;

 private:
  SqliteLedger& ledger_;
  const TokenAuthority& tokens_;
};

class UsageService final : public v1::Usage::Service {
 public:
  UsageService(const SqliteLedger& ledger, const TokenAuthority& tokens) : ledger_(ledger), tokens_(tokens) {}
  grpc::Status QueryUsage(grpc::ServerContext* context, const v1::QueryUsageRequest* request,
                          v1::QueryUsageResponse* response) override;
  grpc::Status ListRequests(grpc::ServerContext* context, const v1::ListRequestsRequest* request,
                            v1::ListRequestsResponse* response) override;
  grpc::Status GetRequest(grpc::ServerContext* context, const v1::GetRequestRequest* request,
                          v1::SpendRecord* response) override;

 private:
  const SqliteLedger& ledger_;
  const TokenAuthority& tokens_;
};

}  // namespace signalbox
