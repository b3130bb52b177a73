// The one place, besides *_service and *_client files, that knows gRPC: credentials, tokens, status conversion.
// Any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/token_authority.h"

namespace signalbox {

// PEM files. A server uses cert and key, and asks clients for a certificate when `ca` is given (mutual TLS); a client
// checks its server against `ca` and shows cert and key when given.
struct TlsFiles {
  std::string cert;
  std::string key;
  std::string ca;
  bool empty() const { return cert.empty() && key.empty() && ca.empty(); }
};

// FAILED_PRECONDITION when the address is off loopback and there is no certificate; the message names the flags.
absl::Status CheckListenerIsSafe(std::string_view address, const TlsFiles& tls);

// Loopback without TLS: plain text. Else TLS. NOT_FOUND when a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const std::string& address,
                                                                           const TlsFiles& tls);
// FAILED_PRECONDITION when the token would travel in the clear: off loopback, and nothing in `tls`.
absl::Status CheckPeerIsSafe(const std::string& target, const TlsFiles& tls);
absl::StatusOr<std::shared_ptr<grpc::Channel>> NewChannel(const std::string& target, const TlsFiles& tls);

// Client side: sends `authorization: Bearer <token>`.
void AddToken(grpc::ClientContext& context, const std::string& token);
// The first line of a token file. NOT_FOUND, or FAILED_PRECONDITION when the file is readable by others or holds no
// token.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);

grpc::Status ToGrpcStatus(const absl::Status& status);  // faults travel as binary details
absl::Status FromGrpcStatus(const grpc::Status& status);

// The caller of an RPC. UNAUTHENTICATED without a valid bearer token.
absl::StatusOr<Caller> Authenticate(const grpc::ServerContextBase& context, const TokenAuthority& authority);
// The same, and PERMISSION_DENIED when the caller's role does not cover the required one.
absl::StatusOr<Caller> Authorize(const grpc::ServerContextBase& context, const TokenAuthority& authority,
                                 Role required);

}  // namespace signalbox
