// gRPC: Counters. Finds the counters behind a limit, asks the quota service, and puts the limit beside what it answers.
// Who adjusts is the caller's token, never the client's word. Thread-safe; what it refers to outlives it.
#pragma once

#include "controlplane/api/operator_services.h"
#include "signalbox/v1/counters.grpc.pb.h"

namespace signalbox {

class CountersService : public v1::Counters::Service {
 public:
  explicit CountersService(const OperatorDeps& deps) : deps_(deps) {}
  grpc::Status ListCounters(grpc::ServerContext* context, const v1::ListLimitCountersRequest* request,
                            v1::ListLimitCountersResponse* response) override;
  grpc::Status ListLimits(grpc::ServerContext* context, const v1::ListLimitsRequest* request,
                          v1::ListLimitsResponse* response) override;
  grpc::Status GetCounter(grpc::ServerContext* context, const v1::GetLimitCounterRequest* request,
                          v1::LimitCounter* response) override;
  grpc::Status ResetCounter(grpc::ServerContext* context, const v1::ResetCounterRequest* request,
                            v1::CounterAdjustment* response) override;
  grpc::Status AdjustCounter(grpc::ServerContext* context, const v1::AdjustLimitCounterRequest* request,
                             v1::CounterAdjustment* response) override;
  grpc::Status ListAdjustments(grpc::ServerContext* context, const v1::ListCounterAdjustmentsRequest* request,
                               v1::ListCounterAdjustmentsResponse* response) override;

 private:
  const OperatorDeps& deps_;
};

}  // namespace signalbox
