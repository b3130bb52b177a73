// The upstream client against a server that sends exactly the bytes a test says.
#include "dataplane/http/upstream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "common/clock.h"
#include "dataplane/http/tcp_acked.h"
#include "tests/dataplane/http/raw_socket.h"
#include "tests/dataplane/http/test_certificate.h"

namespace signalbox {
namespace {

using testing::RawSocket;
using testing::TestCertificate;

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Runs `script(n, connection)` for the n-th connection, each on its own thread.
class ScriptedServer {
 public:
  using Script = std::function<void(int, RawSocket&)>;
  explicit ScriptedServer(Script script, SSL_CTX* tls = nullptr) : script_(std::move(script)), tls_(tls) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = RawSocket::Loopback(0);
    ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener_, 64);
    socklen_t length = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Accept(); });
  }
  ~ScriptedServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
    for (std::thread& thread : connections_) thread.join();
  }
  std::string port() const { return std::to_string(port_); }
  int accepted() const { return accepted_; }
  int resumed() const { return resumed_; }

 private:
  void Accept() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      const int n = accepted_++;
      connections_.emplace_back([this, n, fd] {
        RawSocket connection(fd);
        if (tls_ != nullptr && !connection.StartTls(tls_, /*as_server=*/true)) return;
        if (tls_ != nullptr && connection.resumed()) ++resumed_;
        script_(n, connection);
      });
    }
  }

  Script script_;
  SSL_CTX* tls_;
  int listener_;
  int port_ = 0;
  std::atomic<int> accepted_{0};
  std::atomic<int> resumed_{0};
  std::thread thread_;
  std::vector<std::thread> connections_;
};

int64_t InMs(int64_t ms) { return Clock::System().MonotonicMicros() + ms * 1000; }

class UpstreamTest : public ::testing::Test {
 protected:
  UpstreamTest() : tls_(*NewUpstreamTlsContext("")) {}
  // The pool goes first, then whatever the loop still holds, then the server's threads, then what scripts refer to.
  void TearDown() override {
    pool_.reset();
    io_.restart();
    io_.poll();
    server_.reset();
  }

  void Listen(ScriptedServer::Script script) {
    server_ = std::make_unique<ScriptedServer>(std::move(script));
    endpoint_ = *known_.At("http://127.0.0.1:" + server_->port());
  }
  UpstreamPool& pool() {
    if (!pool_) pool_ = NewUpstreamPool(io_, tls_);
    return *pool_;
  }
  template <typename T>
  T Run(asio::awaitable<T> work) {
    std::optional<T> result;
    asio::co_spawn(io_, std::move(work), [&](std::exception_ptr failure, T value) {
      EXPECT_EQ(failure, nullptr);
      result.emplace(std::move(value));
    });
    io_.restart();
    while (!result) io_.run_one();
    return *std::move(result);
  }
  absl::StatusOr<UpstreamHead> Start(UpstreamCall& call, std::string_view body = "{}", int64_t deadline_us = 0) {
    UpstreamRequest request;
    request.target = "/v1/chat/completions";
    request.headers = {{"authorization", "Bearer k"}, {"connection", "upgrade"}, {"content-length", "99"}};
    request.body = body;
    return Run(call.Start(request, deadline_us));
  }
  absl::StatusOr<std::string> ReadAll(UpstreamCall& call, int64_t deadline_us = 0) {
    return Run(call.ReadAll(1 << 20, deadline_us));
  }
  // A whole call; the body, or the first failure.
  absl::StatusOr<std::string> Whole() {
    const auto call = pool().NewCall(endpoint_);
    const auto head = Start(*call);
    if (!head.ok()) return head.status();
    return ReadAll(*call);
  }

  std::deque<std::promise<void>> promises_;
  std::promise<std::string> seen_;
  asio::io_context io_{1};
  asio::ssl::context tls_;
  std::unique_ptr<ScriptedServer> server_;
  KnownEndpoints known_;
  std::shared_ptr<const UpstreamEndpoint> endpoint_;
  std::unique_ptr<UpstreamPool> pool_;
};

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nx-id: 7\r\ncontent-length: 5\r\n\r\nhello";

TEST(KnownEndpoints, SayWhereAProviderIs) {
  KnownEndpoints known;
  struct {
    const char* base_url;
    const char* origin;
    const char* authority;
    const char* path_prefix;
  } const cases[] = {
      {"https://API.openai.com/v1/", "https://api.openai.com", "api.openai.com", "/v1"},
      {"https://a.example:443", "https://a.example", "a.example", ""},
      {"http://a.example:443/x", "http://a.example:443", "a.example:443", "/x"},
      {"HTTP://127.0.0.1:80", "http://127.0.0.1", "127.0.0.1", ""},
      {"https://[::1]:8443/v1", "https://[::1]:8443", "[::1]:8443", "/v1"},
      {"http://[::1]", "http://[::1]", "[::1]", ""},
  };
  for (const auto& c : cases) {
    const auto endpoint = known.At(c.base_url);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ((*endpoint)->origin, c.origin);
    EXPECT_EQ((*endpoint)->authority(), c.authority);
    EXPECT_EQ((*endpoint)->path_prefix, c.path_prefix);
    EXPECT_EQ(*known.At(c.base_url), *endpoint) << "parsed once";
  }
  EXPECT_EQ(known.At("ftp://a.example").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(UpstreamTest, SendsTheRequestAndReadsTheResponse) {
  std::promise<std::string>& seen = seen_;
  Listen([&](int, RawSocket& peer) {
    seen.set_value(peer.ReadRequest());
    peer.Send(kOk);
    peer.ReadToEnd();
  });
  const auto call = pool().NewCall(endpoint_);
  EXPECT_FALSE(call->request_sent());
  const auto head = Start(*call, "{\"a\":1}");
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_TRUE(call->request_sent());
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->headers.Value("X-Id"), "7");
  EXPECT_EQ(seen.get_future().get(), "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:" + server_->port() +
                                         "\r\nauthorization: Bearer k\r\ncontent-length: 7\r\n\r\n{\"a\":1}");
  EXPECT_EQ(ReadAll(*call).value(), "hello");
  EXPECT_EQ(ReadAll(*call).value(), "");
}

TEST_F(UpstreamTest, ConnectionReadToItsEndIsUsedAgain) {
  Listen([](int, RawSocket& peer) {
    while (!peer.ReadRequest().empty()) peer.Send(kOk);
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Whole().value(), "hello");
  EXPECT_EQ(server_->accepted(), 1);
}

TEST_F(UpstreamTest, LongBodiesGoBothWays) {
  const std::string body(3 << 20, 'q');
  Listen([&](int, RawSocket& peer) {
    const std::string request = peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(request.size()) + "\r\n\r\n" + request);
    peer.ReadToEnd();
  });
  const auto call = pool().NewCall(endpoint_);
  ASSERT_TRUE(Start(*call, body).ok());
  const auto echoed = Run(call->ReadAll(4 << 20, 0));
  ASSERT_TRUE(echoed.ok()) << echoed.status();
  EXPECT_TRUE(echoed->ends_with("\r\n\r\n" + body));
}

TEST_F(UpstreamTest, ConnectionThePeerClosedIsReplacedUnseen) {
  std::promise<void>& closed = promises_.emplace_back();
  Listen([&](int n, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk);
    if (n == 0) {
      peer.Close();
      closed.set_value();
    } else {
      peer.ReadToEnd();
    }
  });
  EXPECT_EQ(Whole().value(), "hello");
  closed.get_future().get();
  EXPECT_EQ(Whole().value(), "hello");
  EXPECT_EQ(server_->accepted(), 2);
}

TEST_F(UpstreamTest, ARequestThatThePeerTookIsNotSentAgainOnAnotherConnection) {
  for (const bool reset : {false, true}) {
    pool_.reset();
    Listen([reset](int, RawSocket& peer) {
      peer.ReadRequest();
      peer.Send(kOk);
      peer.ReadRequest();  // the second call's, lost: a provider may have worked on it, and bill it
      if (reset) peer.Reset();
    });
    EXPECT_EQ(Whole().value(), "hello");
    const auto call = pool().NewCall(endpoint_);
    const auto head = Start(*call);
    EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable) << head.status();
    EXPECT_TRUE(call->request_sent());
    EXPECT_EQ(server_->accepted(), 1);
    pool_.reset();
  }
}

// A connection of two ends: what the client sends after the peer's end was already under way.
class TwoEnds {
 public:
  TwoEnds() {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = RawSocket::Loopback(0);
    ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::listen(listener, 1);
    socklen_t length = sizeof address;
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
    client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ::connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(listener);
  }
  ~TwoEnds() {
    ::close(client);
    if (peer >= 0) ::close(peer);
  }
  int client;
  int peer;
};

TEST(TcpBytesAcked, DoesNotMoveWhenThePeerEndedBeforeTheBytesCame) {
  TwoEnds ends;
  const auto before = TcpBytesAcked(ends.client);
  ASSERT_TRUE(before.has_value());
  ::close(std::exchange(ends.peer, -1));
  ASSERT_EQ(::send(ends.client, "POST", 4, MSG_NOSIGNAL), 4);
  char byte;
  EXPECT_EQ(::recv(ends.client, &byte, 1, 0), 0) << "an end, although a reset followed it";
  EXPECT_EQ(TcpBytesAcked(ends.client), before);
}

TEST(TcpBytesAcked, MovesWhenThePeerTookTheBytesBeforeItEnded) {
  TwoEnds ends;
  const auto before = TcpBytesAcked(ends.client);
  ASSERT_EQ(::send(ends.client, "POST", 4, MSG_NOSIGNAL), 4);
  char bytes[8];
  ASSERT_EQ(::recv(ends.peer, bytes, sizeof bytes, 0), 4);
  ::close(std::exchange(ends.peer, -1));
  EXPECT_EQ(::recv(ends.client, bytes, 1, 0), 0);
  EXPECT_EQ(TcpBytesAcked(ends.client), *before + 4);
}

TEST_F(UpstreamTest, FreshConnectionLostWithoutAByteIsUnavailable) {
  Listen([](int, RawSocket& peer) { peer.ReadRequest(); });
  const auto call = pool().NewCall(endpoint_);
  const auto head = Start(*call);
  EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable) << head.status();
  EXPECT_TRUE(Contains(head.status().ToString(), "provider 127.0.0.1:" + server_->port())) << head.status();
  EXPECT_TRUE(call->request_sent());
  EXPECT_EQ(server_->accepted(), 1);
}

TEST_F(UpstreamTest, RefusedConnectionIsUnavailableAndNothingWasSent) {
  {
    const ScriptedServer gone([](int, RawSocket&) {});
    endpoint_ = *known_.At("http://127.0.0.1:" + gone.port());
  }
  const auto call = pool().NewCall(endpoint_);
  const auto head = Start(*call);
  EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Contains(head.status().ToString(), "connecting: Connection refused")) << head.status();
  EXPECT_FALSE(call->request_sent());
}

TEST_F(UpstreamTest, UnknownHostIsUnavailable) {
  endpoint_ = *known_.At("http://no-such-host.invalid");
  const auto call = pool().NewCall(endpoint_);
  const auto head = Start(*call);
  EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable) << head.status();
  EXPECT_TRUE(Contains(head.status().ToString(), "looking up its address")) << head.status();
}

TEST_F(UpstreamTest, HostNamesAreLookedUp) {
  Listen([](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk);
    peer.ReadToEnd();
  });
  endpoint_ = *known_.At("http://localhost:" + server_->port());
  EXPECT_EQ(Whole().value(), "hello");
}

TEST_F(UpstreamTest, SilentProviderExceedsTheDeadline) {
  Listen([](int, RawSocket& peer) { peer.ReadToEnd(); });
  const auto call = pool().NewCall(endpoint_);
  const auto head = Start(*call, "{}", InMs(50));
  EXPECT_EQ(head.status().code(), absl::StatusCode::kDeadlineExceeded) << head.status();
  EXPECT_TRUE(call->request_sent());
  EXPECT_EQ(ReadAll(*call).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(UpstreamTest, BodyThatStopsExceedsTheDeadline) {
  Listen([](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk.substr(0, kOk.size() - 2));
    peer.ReadToEnd();
  });
  const auto call = pool().NewCall(endpoint_);
  ASSERT_TRUE(Start(*call, "{}", InMs(20'000)).ok());
  EXPECT_EQ(Run(call->ReadSome(InMs(20'000))).value(), "hel");
  EXPECT_EQ(Run(call->ReadSome(InMs(50))).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(UpstreamTest, BytesAreHandedOnAsTheyCome) {
  promises_.resize(3);
  auto& more = promises_;
  Listen([&](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\none: \r");
    more[0].get_future().get();
    peer.Send("\na\r\ntwo");
    more[1].get_future().get();
    peer.Send(" halves\r\n");
    more[2].get_future().get();
    peer.Send("0\r\n\r\n");
    peer.ReadToEnd();
  });
  const auto call = pool().NewCall(endpoint_);
  ASSERT_TRUE(Start(*call).ok());
  EXPECT_EQ(Run(call->ReadSome(0)).value(), "one: ");
  more[0].set_value();
  EXPECT_EQ(Run(call->ReadSome(0)).value(), "two");
  more[1].set_value();
  EXPECT_EQ(Run(call->ReadSome(0)).value(), " halves");
  more[2].set_value();
  EXPECT_EQ(Run(call->ReadSome(0)).value(), "");
}

TEST_F(UpstreamTest, InterimResponsesAreSkipped) {
  Listen([](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + std::string(kOk));
    peer.ReadToEnd();
  });
  EXPECT_EQ(Whole().value(), "hello");
}

TEST_F(UpstreamTest, EveryFramingEndsCleanlyAndIsReusedWhereItCan) {
  struct Case {
    std::string name, response, body;
    bool reused;
  };
  static const Case cases[] = {
      {"length", std::string(kOk), "hello", true},
      {"empty", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "", true},
      {"no content", "HTTP/1.1 204 No Content\r\n\r\n", "", true},
      {"chunked",
       "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6; x=y\r\n world\r\n0\r\nt: 1\r\n\r\n",
       "hello world", true},
      {"connection close", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\nhello", "hello", false},
      {"http/1.0", "HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", "hello", false},
      {"surplus bytes", std::string(kOk) + "HTTP/1.1 200 Smuggled\r\n\r\n", "hello", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    pool_.reset();
    Listen([&](int, RawSocket& peer) {
      while (!peer.ReadRequest().empty()) peer.Send(c.response);
    });
    EXPECT_EQ(Whole().value(), c.body);
    EXPECT_EQ(Whole().value(), c.body);
    EXPECT_EQ(server_->accepted(), c.reused ? 1 : 2);
    pool_.reset();
  }
}

TEST_F(UpstreamTest, BodyWithoutFramingEndsWithTheConnection) {
  Listen([](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\n\r\nall of it");
  });
  EXPECT_EQ(Whole().value(), "all of it");
}

TEST_F(UpstreamTest, WhatIsCutOrNotHttpIsDataLoss) {
  struct Case {
    std::string name, response, message;
  };
  static const Case cases[] = {
      {"cut head", "HTTP/1.1 200 OK\r\ncontent-le", "head broke off"},
      {"cut length", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "the response broke off"},
      {"cut chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello", "the response broke off"},
      {"no last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
       "the response broke off"},
      {"no end of trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
       "the response broke off"},
      {"bad chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n", "bad chunked body"},
      {"garbage", "220 smtp.example.org ready\r\n", "not HTTP"},
      {"bad status", "HTTP/1.1 2x0 OK\r\n\r\n", "not HTTP"},
      {"bad header", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "not HTTP"},
      {"bad length", "HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n", "not HTTP"},
      {"both framings", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n", "not HTTP"},
      {"unknown encoding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "unknown Transfer-Encoding"},
      {"upgrade", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "unexpected status 101"},
      {"long head", "HTTP/1.1 200 OK\r\nx: " + std::string(70'000, 'x'), "head exceeds 65536 bytes"},
      {"long whole head", "HTTP/1.1 200 OK\r\nx: " + std::string(70'000, 'x') + "\r\ncontent-length: 0\r\n\r\n",
       "head exceeds 65536 bytes"},
      {"endless interim",
       [] {
         std::string all;
         for (int i = 0; i < 4'000; ++i) all += "HTTP/1.1 100 Continue\r\n\r\n";
         return all;
       }(),
       "head exceeds 65536 bytes"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    Listen([&](int, RawSocket& peer) {
      peer.ReadRequest();
      peer.Send(c.response);
      peer.ShutdownSend();
      peer.ReadToEnd();
    });
    const auto body = Whole();
    EXPECT_EQ(body.status().code(), absl::StatusCode::kDataLoss) << body.status();
    EXPECT_TRUE(Contains(body.status().ToString(), c.message)) << body.status();
    EXPECT_EQ(server_->accepted(), 1);
  }
}

TEST_F(UpstreamTest, WhatCameBeforeACutIsStillHandedOn) {
  Listen([](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz");
    peer.ReadToEnd();
  });
  const auto call = pool().NewCall(endpoint_);
  ASSERT_TRUE(Start(*call).ok());
  EXPECT_EQ(Run(call->ReadSome(0)).value(), "hello");
  EXPECT_EQ(Run(call->ReadSome(0)).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(UpstreamTest, ResponseLongerThanAllowedIsRefused) {
  Listen([](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk);
    peer.ReadToEnd();
  });
  const auto call = pool().NewCall(endpoint_);
  ASSERT_TRUE(Start(*call).ok());
  EXPECT_EQ(Run(call->ReadAll(4, 0)).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(UpstreamTest, EarlyRefusalIsReadThoughTheBodyWasNotTaken) {
  Listen([](int, RawSocket& peer) {
    peer.ReadUntil("\r\n\r\n");
    peer.Send("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno");
    peer.ShutdownSend();
    peer.ReadToEnd();
  });
  const std::string body(8 << 20, 'q');
  const auto call = pool().NewCall(endpoint_);
  const auto head = Start(*call, body);
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_EQ(head->status, 413);
}

TEST_F(UpstreamTest, CancelClosesTheConnectionAtOnceAndEndsEveryOperation) {
  for (const bool before_the_head : {true, false}) {
    std::promise<void>& closed = promises_.emplace_back();
    std::promise<void>& asked = promises_.emplace_back();
    Listen([&](int, RawSocket& peer) {
      peer.ReadRequest();
      if (!before_the_head) peer.Send(kOk.substr(0, kOk.size() - 2));
      asked.set_value();
      peer.ReadToEnd();
      closed.set_value();
    });
    const auto call = pool().NewCall(endpoint_);
    std::thread canceller([&] {
      asked.get_future().get();
      asio::post(io_, [&] { call->Cancel(); });
    });
    const auto work = [&]() -> asio::awaitable<absl::Status> {
      UpstreamRequest request;
      request.target = "/";
      const auto head = co_await call->Start(request, 0);
      if (!head.ok()) co_return head.status();
      const auto all = co_await call->ReadAll(100, 0);
      co_return all.status();
    };
    EXPECT_EQ(Run(work()).code(), absl::StatusCode::kCancelled);
    closed.get_future().get();
    EXPECT_EQ(ReadAll(*call).status().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(Start(*call).status().code(), absl::StatusCode::kCancelled);
    canceller.join();
  }
}

TEST_F(UpstreamTest, DestroyingACallInFlightClosesItsConnection) {
  std::promise<void>& closed = promises_.emplace_back();
  Listen([&](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk.substr(0, kOk.size() - 2));
    peer.ReadToEnd();
    closed.set_value();
  });
  auto call = pool().NewCall(endpoint_);
  ASSERT_TRUE(Start(*call).ok());
  call.reset();
  closed.get_future().get();
}

TEST_F(UpstreamTest, HeadersThatWouldBreakTheRequestAreRefused) {
  endpoint_ = *known_.At("http://127.0.0.1:1");
  for (const auto& [target, value] :
       {std::pair("/a b", "v"), std::pair("/\r\nx: y", "v"), std::pair("/", "v\r\nx: y")}) {
    const auto call = pool().NewCall(endpoint_);
    UpstreamRequest request;
    request.target = target;
    request.headers = {{"x", value}};
    EXPECT_EQ(Run(call->Start(request, 0)).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(call->request_sent());
  }
}

// The next call may come at once: nobody listened meanwhile, so the connection is looked at.
TEST_F(UpstreamTest, WhatComesUnaskedOnAnIdleConnectionIsNobodysAnswer) {
  std::promise<void> idle, sent;
  Listen([&](int number, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk);
    if (number == 0) {
      idle.get_future().wait();
      peer.Send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong");
      sent.set_value();
    }
    peer.ReadToEnd();
  });
  EXPECT_EQ(Whole().value(), "hello");
  idle.set_value();
  sent.get_future().wait();
  EXPECT_EQ(Whole().value(), "hello");
}

class UpstreamTlsTest : public UpstreamTest {
 protected:
  ~UpstreamTlsTest() override {
    server_.reset();
    SSL_CTX_free(server_tls_);
  }
  void ListenTls(const TestCertificate& certificate, const std::string& host, ScriptedServer::Script script) {
    certificate.UseIn(server_tls_);
    SSL_CTX_set_session_id_context(server_tls_, reinterpret_cast<const unsigned char*>("t"), 1);
    server_ = std::make_unique<ScriptedServer>(std::move(script), server_tls_);
    endpoint_ = *known_.At("https://" + host + ":" + server_->port());
  }
  void Trust(const TestCertificate& certificate) {
    auto tls = NewUpstreamTlsContext(certificate.path());
    ASSERT_TRUE(tls.ok()) << tls.status();
    tls_ = *std::move(tls);
  }
  static void Serve(int, RawSocket& peer) {
    while (!peer.ReadRequest().empty()) peer.Send(kOk);
  }

  SSL_CTX* server_tls_ = SSL_CTX_new(TLS_server_method());
};

TEST_F(UpstreamTlsTest, TrustedCertificateOfTheRightNameIsAccepted) {
  for (const auto& [names, host] : {std::pair("DNS:localhost", "localhost"), std::pair("IP:127.0.0.1", "127.0.0.1")}) {
    pool_.reset();
    server_.reset();
    const TestCertificate certificate(names);
    Trust(certificate);
    ListenTls(certificate, host, Serve);
    EXPECT_EQ(Whole().value(), "hello");
    EXPECT_EQ(Whole().value(), "hello");
    EXPECT_EQ(server_->accepted(), 1);
    pool_.reset();
  }
}

TEST_F(UpstreamTlsTest, WrongNameIsRefused) {
  for (const auto& [names, host] :
       {std::pair("DNS:example.org", "localhost"), std::pair("DNS:localhost", "127.0.0.1")}) {
    pool_.reset();
    server_.reset();
    const TestCertificate certificate(names);
    Trust(certificate);
    ListenTls(certificate, host, Serve);
    const auto call = pool().NewCall(endpoint_);
    const auto head = Start(*call);
    EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_TRUE(Contains(head.status().ToString(), host)) << head.status();
    EXPECT_TRUE(Contains(head.status().ToString(), "its TLS certificate is refused")) << head.status();
    EXPECT_TRUE(Contains(head.status().ToString(), "mismatch")) << head.status();
    EXPECT_FALSE(call->request_sent());
  }
}

TEST_F(UpstreamTlsTest, UnknownIssuerIsRefused) {
  const TestCertificate certificate("DNS:localhost");
  ListenTls(certificate, "localhost", Serve);
  const auto call = pool().NewCall(endpoint_);
  const auto head = Start(*call);
  EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Contains(head.status().ToString(),
                       "provider localhost:" + server_->port() + ": its TLS certificate is refused: self"))
      << head.status();
}

TEST_F(UpstreamTlsTest, NextConnectionResumesTheSession) {
  const TestCertificate certificate("DNS:localhost");
  Trust(certificate);
  ListenTls(certificate, "localhost", [](int, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send(kOk);
    peer.Close();
  });
  EXPECT_EQ(Whole().value(), "hello");
  absl::StatusOr<std::string> second = Whole();
  if (!second.ok()) second = Whole();  // sent on the first connection just before its end arrived: not sent again
  EXPECT_EQ(second.value(), "hello");
  EXPECT_EQ(server_->accepted(), 2);
  EXPECT_EQ(server_->resumed(), 1);
}

TEST_F(UpstreamTlsTest, CutWithoutCloseNotifyIsNoCleanEnd) {
  const TestCertificate certificate("DNS:localhost");
  Trust(certificate);
  ListenTls(certificate, "localhost", [](int n, RawSocket& peer) {
    peer.ReadRequest();
    peer.Send("HTTP/1.1 200 OK\r\n\r\nall of it");
    if (n == 0) peer.CloseNotify();
    peer.Close();
  });
  EXPECT_EQ(Whole().value(), "all of it");
  EXPECT_EQ(Whole().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(UpstreamTlsTest, PeerThatDoesNotSpeakTlsIsUnavailable) {
  Listen([](int, RawSocket& peer) {
    peer.Send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.ReadToEnd();
  });
  endpoint_ = *known_.At("https://127.0.0.1:" + server_->port());
  const auto head = Start(*pool().NewCall(endpoint_));
  EXPECT_EQ(head.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Contains(head.status().ToString(), "TLS handshake")) << head.status();
}

TEST_F(UpstreamTlsTest, SilentTlsPeerExceedsTheDeadline) {
  Listen([](int, RawSocket& peer) { peer.ReadToEnd(); });
  endpoint_ = *known_.At("https://127.0.0.1:" + server_->port());
  const auto call = pool().NewCall(endpoint_);
  EXPECT_EQ(Start(*call, "{}", InMs(50)).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(call->request_sent());
}

TEST(NewUpstreamTlsContext, MissingCaFileIsNamed) {
  const auto tls = NewUpstreamTlsContext("/no/such/file.pem");
  EXPECT_EQ(tls.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Contains(tls.status().ToString(), "CA file /no/such/file.pem")) << tls.status();
}

}  // namespace
}  // namespace signalbox
