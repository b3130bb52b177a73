// The proxy's HTTP/1.1 calls to providers: pooled keep-alive connections per worker, TLS with verification of the
// chain and the host name. Everything runs on the worker's thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/http/header_fields.h"
#include "dataplane/http/http_server.h"

namespace signalbox {

// Parsed from a base URL such as https://api.openai.com/v1.
struct UpstreamEndpoint {
  bool tls = true;
  std::string host;         // without port
  std::string port;         // "443"
  std::string path_prefix;  // "/v1", no slash at the end
  std::string origin;       // "https://api.openai.com", with the port where that is not the scheme's
  // host[:port], as the Host header says it.
  std::string_view authority() const { return std::string_view(origin).substr(tls ? 8 : 7); }
};
// INVALID_ARGUMENT for anything but http(s)://host[:port][/path].
absl::StatusOr<UpstreamEndpoint> ParseEndpoint(std::string_view base_url);

// Endpoints by their base URLs, each parsed once. One thread.
class KnownEndpoints {
 public:
  // As ParseEndpoint.
  absl::StatusOr<std::shared_ptr<const UpstreamEndpoint>> At(std::string_view base_url);

 private:
  absl::flat_hash_map<std::string, std::shared_ptr<const UpstreamEndpoint>> by_base_url_;
};

struct UpstreamRequest {
  std::string method = "POST";
  std::string target;     // whole: the endpoint's path_prefix is the caller's to put in front
  HeaderFields headers;   // host and content-length are added
  std::string_view body;  // outlives the call
};

struct UpstreamHead {
  int status = 0;
  HeaderFields headers;
};

// One call. Destroying it, or Cancel, closes a connection whose response was not read to its end; a connection read
// to its end goes back to the pool.
class UpstreamCall {
 public:
  virtual ~UpstreamCall() = default;
  // Connects or takes a pooled connection, sends the request, reads the response's head; at most until
  // `deadline_us` (monotonic; 0: none). A pooled connection that the peer had closed is replaced once, unseen, if the
  // peer surely took no byte of the request: a POST that may have been read is never sent twice. DEADLINE_EXCEEDED,
  // UNAVAILABLE (connect, reset, TLS), CANCELLED, DATA_LOSS (not HTTP).
  virtual asio::awaitable<absl::StatusOr<UpstreamHead>> Start(const UpstreamRequest& request, int64_t deadline_us) = 0;
  // The next bytes of the body as they come; empty: its clean end. DATA_LOSS when it broke off.
  virtual asio::awaitable<absl::StatusOr<std::string_view>> ReadSome(int64_t deadline_us) = 0;
  // The rest, at most `max_bytes`, else RESOURCE_EXHAUSTED.
  virtual asio::awaitable<absl::StatusOr<std::string>> ReadAll(size_t max_bytes, int64_t deadline_us) = 0;
  // From the same thread: pending and later operations end with CANCELLED, the connection closes at once.
  virtual void Cancel() = 0;
  // Whether any byte of the request left that the peer may have taken: a failed call's outcome is then unknown.
  virtual bool request_sent() const = 0;
};

class UpstreamPool {
 public:
  virtual ~UpstreamPool() = default;
  virtual std::unique_ptr<UpstreamCall> NewCall(std::shared_ptr<const UpstreamEndpoint> endpoint) = 0;
};

// `tls` verifies peers; it outlives the pool.
std::unique_ptr<UpstreamPool> NewUpstreamPool(asio::io_context& io, asio::ssl::context& tls);
// Default: the system's certificate store, or the PEM file `ca_file` when given.
absl::StatusOr<asio::ssl::context> NewUpstreamTlsContext(const std::string& ca_file);

}  // namespace signalbox
