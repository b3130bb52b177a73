#include "controlplane/api/quota_connection.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace signalbox {

void QuotaConnection::Connect(const std::shared_ptr<grpc::Channel>& channel, std::string token, std::string where) {
  MutexLock lock(mutex_);
  line_ = Line{v1::Quota::NewStub(channel), std::move(token), std::move(where)};
}

absl::StatusOr<QuotaConnection::Line> QuotaConnection::Take() const {
  MutexLock lock(mutex_);
  if (line_.stub != nullptr) return line_;
  return absl::FailedPreconditionError(
      "this control plane has no quota service, so it cannot read or change counters: start it with --quota=embedded, "
      "or with --quota=host:port and --quota_token_file");
}

absl::Status QuotaConnection::Explain(const Line& line, const grpc::Status& status) {
  const std::string service = absl::StrCat("the quota service (", line.where, ")");
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return absl::UnavailableError(absl::StrCat(service, " does not answer: ", status.error_message()));
    case grpc::StatusCode::PERMISSION_DENIED:
      return absl::FailedPreconditionError(
          absl::StrCat(service,
                       " takes the control plane's token for a proxy's, which may not do this: make its line "
                       "in the service's token file \"admin <token>\""));
    case grpc::StatusCode::UNAUTHENTICATED:
      return absl::FailedPreconditionError(absl::StrCat(
          service, " refuses the token of the control plane's --quota_token_file: ", status.error_message()));
    default:
      return FromGrpcStatus(status);
  }
}

}  // namespace signalbox
