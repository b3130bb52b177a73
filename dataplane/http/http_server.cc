#include "dataplane/http/http_server.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <exception>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/http/http_session.h"
#include "dataplane/http/stream.h"

namespace signalbox {
namespace {

using asio::awaitable;
using asio::ip::tcp;

constexpr int kSweepMsMax = 250;
constexpr int kAcceptPauseMs = 50;

// ---- Accepting.

void LogFailure(std::exception_ptr failure) {
  if (!failure) return;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    LOG(ERROR) << "a connection ended by an exception: " << e.what();
  } catch (...) {
    LOG(ERROR) << "a connection ended by an unknown exception";
  }
}

// Runs while there are connections.
awaitable<void> SweepDeadlines(std::shared_ptr<HttpServerShared> core) {
  const HttpServerOptions& options = core->options;
  const int shortest_ms = std::min({options.header_timeout_ms, options.body_timeout_ms, options.idle_timeout_ms,
                                    options.write_stall_timeout_ms, options.linger_timeout_ms});
  const std::chrono::milliseconds pace(std::clamp(shortest_ms / 8, 1, kSweepMsMax));
  while (!core->sessions.empty() && !core->closed) {
    const int64_t now_ms = Clock::System().CoarseMonotonicMs();
    for (HttpSession* session : core->sessions) session->CheckDeadline(now_ms);
    core->sweep_timer.expires_after(pace);
    co_await core->sweep_timer.async_wait(kNoThrow);
  }
  core->sweeping = false;
}

void RefuseForLoad(tcp::socket socket, bool tls) {
  error_code ignored;  // best effort: this is the cheapest way to say no
  if (!tls) {
    const std::string body = ErrorReply(503, "overloaded", "the gateway has too many open connections; try again").body;
    const std::string text =
        absl::StrCat("HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n",
                     "retry-after: 1\r\nconnection: close\r\ncontent-length: ", body.size(), "\r\n\r\n", body);
    socket.non_blocking(true, ignored);
    socket.write_some(asio::buffer(text), ignored);
    socket.shutdown(tcp::socket::shutdown_send, ignored);
    std::array<char, 4096> unread;  // so that closing does not reset
    while (socket.read_some(asio::buffer(unread), ignored) == unread.size()) {
    }
  }
}

awaitable<void> AcceptLoop(std::shared_ptr<HttpServerShared> core) {
  while (!core->draining && !core->closed) {
    tcp::socket socket(core->io);
    const auto [error] = co_await core->acceptor.async_accept(socket, kNoThrow);
    if (core->draining || core->closed) co_return;
    if (error) {  // out of descriptors, or a client that left while queued
      LOG_EVERY_N(WARNING, 100) << "accept on " << core->options.address << ": " << error.message();
      core->accept_pause.expires_after(std::chrono::milliseconds(kAcceptPauseMs));
      co_await core->accept_pause.async_wait(kNoThrow);
      continue;
    }
    if (core->sessions.size() >= static_cast<size_t>(core->options.connections_max)) {
      RefuseForLoad(std::move(socket), core->options.tls != nullptr);
      continue;
    }
    auto session = std::make_shared<HttpSession>(core, std::move(socket));
    asio::co_spawn(core->io, HttpSession::Run(std::move(session)), LogFailure);
    if (!core->sweeping) {
      core->sweeping = true;
      asio::co_spawn(core->io, SweepDeadlines(core), LogFailure);
    }
  }
}

class BeastHttpServer final : public HttpServer {
 public:
  explicit BeastHttpServer(std::shared_ptr<HttpServerShared> core, std::string address)
      : core_(std::move(core)), address_(std::move(address)) {}
  ~BeastHttpServer() override { CloseAll(); }

  void Start() override { asio::co_spawn(core_->io, AcceptLoop(core_), LogFailure); }
  std::string address() const override { return address_; }
  void BeginDrain() override {
    core_->draining = true;
    StopAccepting();
    for (HttpSession* session : core_->sessions) session->BeginDrain();
  }
  size_t open_exchanges() const override { return core_->open_exchanges; }
  void CloseAll() override {
    core_->draining = true;
    core_->closed = true;
    StopAccepting();
    core_->sweep_timer.cancel();
    for (HttpSession* session : core_->sessions) session->CloseNow();
  }

 private:
  void StopAccepting() {
    error_code ignored;
    core_->acceptor.close(ignored);
    core_->accept_pause.cancel();
  }

  const std::shared_ptr<HttpServerShared> core_;
  const std::string address_;
};

using ReusePort = asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT>;

absl::StatusOr<tcp::endpoint> ParseAddress(asio::io_context& io, const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty() || port.empty() ||
      !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return absl::InvalidArgumentError(absl::StrCat("listen address \"", address, "\" is not host:port"));
  }
  error_code error;
  const auto results = tcp::resolver(io).resolve(host, port, tcp::resolver::passive, error);
  if (error || results.empty()) {
    return absl::UnavailableError(absl::StrCat("listen address \"", address, "\": ", error.message()));
  }
  return results.begin()->endpoint();
}

error_code Bind(tcp::acceptor& acceptor, const tcp::endpoint& endpoint, bool reuse_port) {
  error_code error;
  if (acceptor.open(endpoint.protocol(), error); error) return error;
  if (acceptor.set_option(tcp::acceptor::reuse_address(true), error); error) return error;
  if (reuse_port) {
    if (acceptor.set_option(ReusePort(true), error); error) return error;
  }
  if (acceptor.bind(endpoint, error); error) return error;
  acceptor.listen(tcp::acceptor::max_listen_connections, error);
  return error;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> NewHttpServer(asio::io_context& io, HttpServerOptions options,
                                                          HttpHandler handler) {
  const absl::StatusOr<tcp::endpoint> endpoint = ParseAddress(io, options.address);
  if (!endpoint.ok()) return endpoint.status();
  try {
    asio::use_service<Readiness>(io);  // now, and not with the first connection
  } catch (const boost::system::system_error& e) {
    return absl::UnavailableError(absl::StrCat("cannot watch connections: ", e.what()));
  }
  auto core = std::make_shared<HttpServerShared>(io, std::move(options), std::move(handler));
  error_code error;
  if (core->options.reuse_port && core->options.refuse_taken_port) {
    tcp::acceptor probe(io);
    error = Bind(probe, *endpoint, /*reuse_port=*/false);
  }
  if (!error) error = Bind(core->acceptor, *endpoint, core->options.reuse_port);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", core->options.address, ": ", error.message()));
  }
  const tcp::endpoint bound = core->acceptor.local_endpoint(error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", core->options.address, ": ", error.message()));
  }
  const std::string host = bound.address().to_string();
  std::string address = absl::StrCat(bound.address().is_v6() ? absl::StrCat("[", host, "]") : host, ":", bound.port());
  return std::make_unique<BeastHttpServer>(std::move(core), std::move(address));
}

}  // namespace signalbox
