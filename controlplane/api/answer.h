// The frame of every operator call: who calls, then the handler, then its status as gRPC's. The one place where that
// is decided. Any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/status/statusor.h"
#include "common/rpc/rpc.h"

namespace signalbox {

// `handler` takes the caller and returns a StatusOr<Response>.
template <typename Response, typename Handler>
grpc::Status Answer(const grpc::ServerContextBase& context, const TokenAuthority& authority, Response* response,
                    Handler handler) {
  const absl::StatusOr<Caller> caller = Authorize(context, authority, Role::kAdmin);
  if (!caller.ok()) return ToGrpcStatus(caller.status());
  absl::StatusOr<Response> answer = handler(*caller);
  if (!answer.ok()) return ToGrpcStatus(answer.status());
  *response = *std::move(answer);
  return grpc::Status::OK;
}

}  // namespace signalbox
