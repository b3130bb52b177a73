// The frame of every operator call: who calls and whether her role covers the method, then the handler, then, of a call
// that changes something, the audit entry (also when it was refused or failed), then its status as gRPC's. The one
// place where that is decided. Any thread.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "common/rpc/rpc.h"
#include "controlplane/api/method_roles.h"
#include "controlplane/api/operator_services.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {

// The full name of the one operator method that takes such a request.
const std::string& MethodTaking(const google::protobuf::Descriptor* request);

// Writes down how a changing call ended. The call's status; where that is OK and the entry could not be written,
// INTERNAL saying so.
absl::Status Audit(const OperatorDeps& deps, const Caller& caller, const MethodRole& method,
                   const google::protobuf::Message& request, const google::protobuf::Message* response,
                   const absl::Status& status);

// `handler` takes the caller and returns a StatusOr<Response>.
template <typename Request, typename Response, typename Handler>
grpc::Status Answer(const grpc::ServerContextBase& context, const OperatorDeps& deps, const Request& request,
                    Response* response, Handler handler) {
  const MethodRole method = RoleOf(MethodTaking(Request::descriptor()));
  const absl::StatusOr<Caller> caller = Authenticate(context, *deps.authority);
  if (!caller.ok()) return ToGrpcStatus(caller.status());
  absl::StatusOr<Response> answer = CheckRole(caller->role, method.role).ok()
                                        ? absl::StatusOr<Response>(handler(*caller))
                                        : absl::StatusOr<Response>(CheckRole(caller->role, method.role));
  absl::Status status = answer.status();
  if (method.changes) status = Audit(deps, *caller, method, request, answer.ok() ? &*answer : nullptr, status);
  if (!status.ok()) return ToGrpcStatus(status);
  *response = *std::move(answer);
  return grpc::Status::OK;
}

}  // namespace signalbox
