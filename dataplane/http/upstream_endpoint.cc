// Where a provider is, and the TLS that proves it.
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "absl/strings/str_cat.h"
#include "dataplane/http/request_head.h"
#include "dataplane/http/upstream.h"

namespace signalbox {
namespace {

using boost::system::error_code;

constexpr size_t kKnownEndpointsMax = 4'096;  // more than are configured at once

absl::Status BadUrl(std::string_view url, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("base URL \"", absl::string_view(url.data(), url.size()), "\" ",
                                                 absl::string_view(why.data(), why.size()),
                                                 "; write http(s)://host[:port][/path]"));
}

}  // namespace

absl::StatusOr<UpstreamEndpoint> ParseEndpoint(std::string_view base_url) {
  UpstreamEndpoint endpoint;
  std::string_view rest = base_url;
  if (EqualsIgnoreCase(rest.substr(0, 8), "https://")) {
    rest.remove_prefix(8);
  } else if (EqualsIgnoreCase(rest.substr(0, 7), "http://")) {
    endpoint.tls = false;
    rest.remove_prefix(7);
  } else {
    return BadUrl(base_url, "does not begin with http:// or https://");
  }
  endpoint.port = endpoint.tls ? "443" : "80";
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  if (!std::all_of(path.begin(), path.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '?' && c != '#';
      })) {
    return BadUrl(base_url, "has a query, a fragment or a character that is not allowed in its path");
  }
  endpoint.path_prefix = std::string(path);

  std::string_view port;
  if (!authority.empty() && authority.front() == '[') {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return BadUrl(base_url, "has no ] after its IPv6 address");
    endpoint.host = std::string(authority.substr(1, end - 1));
    error_code error;
    asio::ip::make_address_v6(endpoint.host, error);
    if (error) return BadUrl(base_url, "has no IPv6 address between [ and ]");
    port = authority.substr(end + 1);
  } else {
    const size_t colon = authority.find(':');
    endpoint.host = std::string(authority.substr(0, colon));
    port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
    const bool host_ok = !endpoint.host.empty() && std::all_of(endpoint.host.begin(), endpoint.host.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
             c == '_';
    });
    if (!host_ok) return BadUrl(base_url, "has no valid host name");
  }
  if (!port.empty()) {
    if (port.front() != ':') return BadUrl(base_url, "has no valid port");
    port.remove_prefix(1);
    const bool digits = !port.empty() && port.size() <= 5 &&
                        std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    int value = 0;
    if (digits) {
      for (const char c : port) value = value * 10 + (c - '0');
    }
    if (value < 1 || value > 65'535) return BadUrl(base_url, "has no valid port");
    endpoint.port = std::to_string(value);
  }
  for (char& c : endpoint.host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  endpoint.origin = absl::StrCat(endpoint.tls ? "https://" : "http://", v6 ? "[" : "", endpoint.host, v6 ? "]" : "");
  if (endpoint.port != (endpoint.tls ? "443" : "80")) absl::StrAppend(&endpoint.origin, ":", endpoint.port);
  return endpoint;
}

absl::StatusOr<std::shared_ptr<const UpstreamEndpoint>> KnownEndpoints::At(std::string_view base_url) {
  const absl::string_view key(base_url.data(), base_url.size());
  if (const auto known = by_base_url_.find(key); known != by_base_url_.end()) return known->second;
  absl::StatusOr<UpstreamEndpoint> parsed = ParseEndpoint(base_url);
  if (!parsed.ok()) return parsed.status();
  if (by_base_url_.size() >= kKnownEndpointsMax) by_base_url_.clear();
  auto endpoint = std::make_shared<const UpstreamEndpoint>(*std::move(parsed));
  by_base_url_.emplace(key, endpoint);
  return endpoint;
}

absl::StatusOr<asio::ssl::context> NewUpstreamTlsContext(const std::string& ca_file) {
  error_code error;
  asio::ssl::context context(asio::ssl::context::tls_client);
  if (SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION) != 1) {
    return absl::InternalError("OpenSSL does not know TLS 1.2");
  }
  context.set_verify_mode(asio::ssl::verify_peer, error);
  if (ca_file.empty()) {
    context.set_default_verify_paths(error);
    if (error) return absl::UnavailableError(absl::StrCat("the system's certificate store: ", error.message()));
  } else {
    context.load_verify_file(ca_file, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("CA file ", ca_file, ": ", error.message()));
  }
  return context;
}

}  // namespace signalbox
