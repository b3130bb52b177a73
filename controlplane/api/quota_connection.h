// The control plane's line to its quota service, embedded or remote, for what operators ask of it. There is none until
// Connect (the embedded service is reached through the server that is built last), and never with --quota=off.
// Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/rpc/rpc.h"
#include "common/status_macros.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {

class QuotaConnection {
 public:
  // `where` is how errors call it: "embedded", host:port. `token` must be an admin's there.
  void Connect(const std::shared_ptr<grpc::Channel>& channel, std::string token, std::string where) SB_EXCLUDES(mutex_);

  // One call with a deadline. FAILED_PRECONDITION without a quota service, UNAVAILABLE when it does not answer; what it
  // answers itself keeps its code.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Quota::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                        Response*),
                                const Request& request) const {
    ASSIGN_OR_RETURN(const Line line, Take());
    grpc::ClientContext context;
    AddToken(context, line.token);
    context.set_deadline(std::chrono::system_clock::now() + kTimeout);
    Response response;
    const grpc::Status status = (line.stub.get()->*method)(&context, request, &response);
    if (!status.ok()) return Explain(line, status);
    return response;
  }

 private:
  static constexpr auto kTimeout = std::chrono::seconds(5);
  struct Line {
    std::shared_ptr<v1::Quota::Stub> stub;
    std::string token;
    std::string where;
  };
  absl::StatusOr<Line> Take() const SB_EXCLUDES(mutex_);
  static absl::Status Explain(const Line& line, const grpc::Status& status);

  mutable Mutex mutex_;
  Line line_ SB_GUARDED_BY(mutex_);
};

}  // namespace signalbox
