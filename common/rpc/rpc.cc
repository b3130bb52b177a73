#include "common/rpc/rpc.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/faults.h"
#include "common/loopback.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr size_t kTokenBytesMax = 4096;

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream in(path, std::ios::binary);
  std::stringstream content;
  content << in.rdbuf();
  if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  return content.str();
}

}  // namespace

absl::Status CheckListenerIsSafe(std::string_view address, const TlsFiles& tls) {
  const size_t colon = address.rfind(':');
  const std::string port(colon == std::string_view::npos ? "" : address.substr(colon + 1));
  uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number > 65'535) {  // gRPC would take the number modulo 65,536
    return absl::InvalidArgumentError(
        absl::StrCat("listen address \"", std::string(address), "\" is not host:port, port 0 to 65535"));
  }
  if (IsLoopback(address) || (!tls.cert.empty() && !tls.key.empty())) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("refusing to listen on ", std::string(address),
                                                    " without TLS: give --tls_cert and --tls_key, or bind 127.0.0.1"));
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const std::string& address,
                                                                           const TlsFiles& tls) {
  RETURN_IF_ERROR(CheckListenerIsSafe(address, tls));
  if (tls.cert.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions options(tls.ca.empty()
                                                ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                                : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  ASSIGN_OR_RETURN(const std::string cert, ReadFile(tls.cert));
  ASSIGN_OR_RETURN(const std::string key, ReadFile(tls.key));
  ASSIGN_OR_RETURN(options.pem_root_certs, ReadFile(tls.ca));
  options.pem_key_cert_pairs.push_back({key, cert});
  return grpc::SslServerCredentials(options);
}

absl::Status CheckPeerIsSafe(const std::string& target, const TlsFiles& tls) {
  if (!tls.empty() || IsLoopback(target)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("refusing to send a token to ", target, " without TLS: give --tls_ca"));
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> NewChannel(const std::string& target, const TlsFiles& tls) {
  RETURN_IF_ERROR(CheckPeerIsSafe(target, tls));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  // Named a backoff, this is how long a connection attempt may take, TLS and the peer's settings included.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (tls.empty()) {
    credentials = grpc::InsecureChannelCredentials();
  } else {
    grpc::SslCredentialsOptions options;
    ASSIGN_OR_RETURN(options.pem_root_certs, ReadFile(tls.ca));
    ASSIGN_OR_RETURN(options.pem_private_key, ReadFile(tls.key));
    ASSIGN_OR_RETURN(options.pem_cert_chain, ReadFile(tls.cert));
    credentials = grpc::SslCredentials(options);
  }
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

void AddToken(grpc::ClientContext& context, const std::string& token) {
  context.AddMetadata("authorization", absl::StrCat("Bearer ", token));
}

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return absl::NotFoundError(absl::StrCat("no token file at ", path));
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("token file ", path, " is accessible by others; make it private: chmod 600 ", path));
  }
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  const std::string token(absl::StripAsciiWhitespace(line));
  if (token.empty()) return absl::NotFoundError(absl::StrCat("no token in ", path));
  // gRPC ends the process over metadata that is no header value.
  if (token.size() > kTokenBytesMax || !std::all_of(token.begin(), token.end(), absl::ascii_isgraph)) {
    return absl::FailedPreconditionError(absl::StrCat("the first line of ", path, " is not a token"));
  }
  return token;
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto payload = status.GetPayload(kFaultsTypeUrl);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()),
                      payload.has_value() ? std::string(*payload) : std::string());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) result.SetPayload(kFaultsTypeUrl, absl::Cord(status.error_details()));
  return result;
}

absl::StatusOr<Caller> Authenticate(const grpc::ServerContextBase& context, const TokenAuthority& authority) {
  const auto& metadata = context.client_metadata();
  const auto header = metadata.find("authorization");
  if (header == metadata.end()) {
    return absl::UnauthenticatedError("no token: send the metadata authorization: Bearer <token>");
  }
  std::string_view value(header->second.data(), header->second.size());
  if (!absl::StartsWithIgnoreCase(absl::string_view(value.data(), value.size()), "bearer ")) {
    return absl::UnauthenticatedError("the authorization metadata must read: Bearer <token>");
  }
  value.remove_prefix(7);
  return authority.Authenticate(value);
}

absl::StatusOr<Caller> Authorize(const grpc::ServerContextBase& context, const TokenAuthority& authority,
                                 Role required) {
  ASSIGN_OR_RETURN(const Caller caller, Authenticate(context, authority));
  RETURN_IF_ERROR(CheckRole(caller.role, required));
  return caller;
}

}  // namespace signalbox
