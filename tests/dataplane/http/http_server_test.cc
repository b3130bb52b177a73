// The proxy's front over real sockets, byte by byte.
#include "dataplane/http/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/dataplane/http/raw_socket.h"
#include "tests/dataplane/http/test_certificate.h"

namespace signalbox {
namespace {

using testing::kGuardSeconds;
using testing::RawSocket;
using testing::TestCertificate;

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

constexpr size_t kLargeBodyBytes = 100'000;

// A server on its own thread. The handler knows these targets:
//   /echo    the request's body          /stream  chunk by chunk, one for each Permit(); then a clean end
//   /hang    until the client goes       /cut     one chunk, then AbortStream
//   /throw   throws                      /silent  returns without an answer
//   /gate    answers after one Permit()  /late    sets OnClientGone when the client has gone already
//   /forget  lets its request go while   /room    says whether an earlier body's memory is kept
//            it streams
class HttpServerTest : public ::testing::Test {
 protected:
  HttpServerTest() { options_.address = "127.0.0.1:0"; }
  ~HttpServerTest() override { StopServer(); }

  template <typename F>
  auto OnWorker(F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto done = task.get_future();
    asio::post(io_, [&task] { task(); });
    return done.get();
  }
  void StartServer() {
    auto server = NewHttpServer(io_, options_, [this](HttpExchange& exchange) { return Handle(exchange); });
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    address_ = server_->address();
    server_->Start();
    thread_ = std::thread([this] { io_.run(); });
  }
  void StopServer() {
    if (!thread_.joinable()) return;
    OnWorker([this] { server_.reset(); });
    work_.reset();
    thread_.join();
  }
  void Permit() {
    asio::post(io_, [this] {
      ++permits_;
      gate_.cancel();
    });
  }
  // Blocks until the handler says `word` (its words come in order).
  void Expect(const std::string& word) {
    std::unique_lock lock(mutex_);
    const bool heard =
        said_.wait_for(lock, std::chrono::seconds(kGuardSeconds), [&] { return heard_ < words_.size(); });
    ASSERT_TRUE(heard) << "waiting for: " << word;
    EXPECT_EQ(words_[heard_++], word);
  }
  void Say(std::string word) {
    const std::lock_guard lock(mutex_);
    words_.push_back(std::move(word));
    said_.notify_all();
  }

  asio::awaitable<void> Wait(asio::steady_timer& timer) {
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  asio::awaitable<void> WaitForPermit(HttpExchange& exchange) {
    while (permits_ == 0 && !exchange.client_gone()) {
      gate_.expires_at(std::chrono::steady_clock::time_point::max());
      co_await Wait(gate_);
    }
    if (permits_ > 0) --permits_;
  }

  asio::awaitable<void> Handle(HttpExchange& exchange) {
    const std::string target = exchange.request().target;
    HttpReply reply;
    if (target == "/throw") throw std::runtime_error("on purpose");
    if (target == "/silent") co_return;
    if (target == "/hang") {
      asio::steady_timer forever(io_, std::chrono::steady_clock::time_point::max());
      exchange.OnClientGone([&] {
        Say("gone");
        forever.cancel();
      });
      Say("hanging");
      co_await Wait(forever);
      const bool sent = co_await exchange.Reply(reply);
      Say(sent ? "sent" : "not sent");
    } else if (target == "/late") {
      Say("late");
      while (!exchange.client_gone()) {
        asio::steady_timer turn(io_, std::chrono::milliseconds(1));
        co_await Wait(turn);
      }
      asio::steady_timer forever(io_, std::chrono::steady_clock::time_point::max());
      exchange.OnClientGone([&] { forever.cancel(); });
      co_await Wait(forever);
      Say("told");
    } else if (target == "/gate") {
      Say("at gate");
      co_await WaitForPermit(exchange);
      reply.body = "through";
      co_await exchange.Reply(reply);
    } else if (target == "/stream" || target == "/cut") {
      exchange.OnClientGone([this] {
        Say("gone");
        gate_.cancel();
      });
      HeaderFields headers{{"x-stream", "1"}, {"x-bad", "a\r\nb: c"}};
      co_await exchange.BeginStream(200, "text/event-stream", headers, {});
      for (int i = 0; i < 3; ++i) {
        co_await WaitForPermit(exchange);
        const std::string event = "data: " + std::to_string(i) + "\n\n";
        if (!co_await exchange.WriteChunk(event)) co_return;
        if (target == "/cut") {
          exchange.AbortStream();
          const bool after = co_await exchange.WriteChunk("more");
          Say(after ? "written after the cut" : "cut");
          co_return;
        }
      }
      co_await exchange.EndStream({});
    } else if (target == "/whole") {
      const bool open = co_await exchange.BeginStream(200, "text/plain", {}, "there already, ") &&
                        co_await exchange.EndStream("and the rest of it");
      Say(open && !co_await exchange.WriteChunk("more") ? "ended" : "not ended");
    } else if (target == "/forget") {
      co_await exchange.BeginStream(200, "text/plain", {}, {});
      exchange.ForgetRequest();
      const HttpRequest& left = exchange.request();
      const std::string told = left.body.capacity() < kLargeBodyBytes && left.headers.size() == 0 ? "gone" : "kept";
      if (co_await exchange.WriteChunk(told)) co_await exchange.EndStream({});
    } else if (target == "/room") {
      reply.body = exchange.request().body.capacity() < kLargeBodyBytes ? "none" : "kept";
      co_await exchange.Reply(std::move(reply));
    } else if (target == "/flood") {
      co_await exchange.BeginStream(200, "text/plain", {}, {});
      const std::string block(1 << 20, 'x');
      while (co_await exchange.WriteChunk(block)) {
      }
      Say(exchange.client_gone() ? "flood ended: gone" : "flood ended");
    } else {
      reply.content_type = "text/plain";
      reply.headers = {{"x-method", exchange.request().method}};
      reply.body = exchange.request().body;
      co_await exchange.Reply(std::move(reply));
    }
  }

  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  asio::steady_timer gate_{io_};
  int permits_ = 0;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
  std::string address_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable said_;
  std::vector<std::string> words_;
  size_t heard_ = 0;
};

constexpr std::string_view kHello = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kHelloReply =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-method: POST\r\ncontent-length: 5\r\n\r\nhello";

TEST_F(HttpServerTest, ConnectionServesOneRequestAfterAnother) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  for (int i = 0; i < 3; ++i) {
    client.Send(kHello);
    EXPECT_EQ(client.ReadResponse(), kHelloReply);
  }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrder) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  std::string all, expected;
  for (int i = 0; i < 50; ++i) {
    const std::string body = "number " + std::to_string(i);
    all += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  client.Send(all);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(client.ReadResponse().ends_with("\r\n\r\nnumber " + std::to_string(i)));
}

// A long body is read with room for one byte of what follows.
TEST_F(HttpServerTest, PipelinedBehindALongBodyNothingIsLost) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  std::string all;
  std::vector<std::string> bodies;
  for (const size_t size : {5'000, 65'536, 100'000, 131'072, 300'000}) {
    bodies.emplace_back(size, static_cast<char>('a' + bodies.size()));
    all += "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + bodies.back();
  }
  std::thread sender([&] { client.Send(all); });
  for (const std::string& body : bodies) EXPECT_TRUE(client.ReadResponse().ends_with("\r\n\r\n" + body));
  sender.join();
}

TEST_F(HttpServerTest, BytesPipelinedWhileTheHandlerWorksAreKept) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("at gate");
  const std::string body(100'000, 'b');
  const std::string next = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + body;
  client.Send(next.substr(0, 60'000));
  Permit();
  EXPECT_TRUE(client.ReadResponse().ends_with("through"));
  client.Send(next.substr(60'000));
  EXPECT_TRUE(client.ReadResponse().ends_with(body));
}

TEST_F(HttpServerTest, RequestCutAnywhereIsTheSameRequest) {
  StartServer();
  for (size_t cut = 1; cut < kHello.size(); cut += 7) {
    RawSocket client = RawSocket::To(address_);
    for (size_t at = 0; at < kHello.size(); at += cut) client.Send(kHello.substr(at, cut));
    EXPECT_EQ(client.ReadResponse(), kHelloReply);
  }
}

TEST_F(HttpServerTest, ChunkedRequestBodyIsReadWholeAndItsTrailersDropped) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nContent-Length: 3\r\n\r\n");
  client.Send(kHello);
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, HeadGetsTheLengthButNoBody) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(client.ReadUntil("\r\n\r\n").ends_with("content-length: 5\r\n\r\n"));
  client.Send(kHello);
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, ConnectionCloseIsHonoured) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(Contains(client.ReadToEnd(), "connection: close\r\n"));
  EXPECT_FALSE(client.reset());
}

TEST_F(HttpServerTest, Http10IsAnsweredAndClosed) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("POST /echo HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello");
  EXPECT_TRUE(client.ReadToEnd().ends_with("connection: close\r\ncontent-length: 5\r\n\r\nhello"));
}

TEST_F(HttpServerTest, ContinueIsSentBeforeTheBody) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.Send("hello");
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, ContinueIsNotSentForABodyTooLarge) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\nExpect: 100-continue\r\n\r\n");
  const std::string reply = client.ReadToEnd();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 413 ")) << reply;
}

// Every refusal: status, code, closed without a reset, and nothing after it served.
TEST_F(HttpServerTest, AmbiguousFramingIsRefusedAndTheConnectionClosed) {
  StartServer();
  const struct {
    std::string name, bytes;
    int status;
    std::string code;
  } cases[] = {
      {"both", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400, "bad_framing"},
      {"both, other order",
       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400,
       "bad_framing"},
      {"two lengths", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400,
       "bad_framing"},
      {"two equal lengths", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
       400, "bad_framing"},
      {"list of lengths", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", 400, "bad_framing"},
      {"signed length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", 400, "bad_framing"},
      {"negative length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400, "bad_framing"},
      {"hex length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello", 400, "bad_framing"},
      {"empty length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\nhello", 400, "bad_framing"},
      {"huge length", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551621\r\n\r\nhello", 400,
       "bad_framing"},
      {"unknown encoding", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400, "bad_framing"},
      {"encodings", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400,
       "bad_framing"},
      {"chunked twice",
       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
       400, "bad_framing"},
      {"xchunked", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400,
       "bad_framing"},
      {"vertical tab",
       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0b"
       "chunked\r\n\r\n0\r\n\r\n",
       400, "bad_framing"},
      {"chunked in 1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_framing"},
      {"bare LF", "GET /echo HTTP/1.1\nHost: x\n\n", 400, "bad_framing"},
      {"bare LF in a header", "GET /echo HTTP/1.1\r\nHost: x\nX: y\r\n\r\n", 400, "bad_framing"},
      {"bare CR", "GET /echo HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400, "bad_framing"},
      {"NUL", std::string("GET /echo HTTP/1.1\r\nHost: x\0y\r\n\r\n", 34), 400, "bad_framing"},
      {"folded line", "GET /echo HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400, "bad_framing"},
      {"first header folded", "GET /echo HTTP/1.1\r\n Host: x\r\n\r\n", 400, "bad_framing"},
      {"blank before colon", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", 400, "bad_framing"},
      {"tab before colon", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400,
       "bad_framing"},
      {"no name", "GET /echo HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400, "bad_framing"},
      {"no colon", "GET /echo HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n", 400, "bad_framing"},
      {"no host", "GET /echo HTTP/1.1\r\n\r\n", 400, "bad_framing"},
      {"two hosts", "GET /echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "bad_framing"},
      {"two hosts in 1.0", "GET /echo HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400, "bad_framing"},
      {"bad host", "GET /echo HTTP/1.1\r\nHost: x/y\r\n\r\n", 400, "bad_framing"},
      {"space in target", "GET /ec ho HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_framing"},
      {"no target", "GET HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_framing"},
      {"bad method", "G(T /echo HTTP/1.1\r\nHost: x\r\n\r\n", 400, "bad_framing"},
      {"http/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "bad_framing"},
      {"http/0.9", "GET /echo\r\n\r\n", 400, "bad_framing"},
      {"http/1.2", "GET /echo HTTP/1.2\r\nHost: x\r\n\r\n", 400, "bad_framing"},
      {"a TLS hello", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03", 400, "bad_framing"},
      {"bad chunk", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_framing"},
      {"chunk too long", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
       400, "bad_framing"},
      {"long trailers",
       "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: " + std::string(20'000, 't'), 400,
       "bad_framing"},
      {"expectation", "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 5\r\n\r\nhello", 417,
       "expectation_failed"},
      {"40 KB of headers", "GET /echo HTTP/1.1\r\nHost: x\r\nX: " + std::string(40'000, 'h') + "\r\n\r\n", 431,
       "headers_too_large"},
      {"40 KB of target", "GET /" + std::string(40'000, 't'), 431, "headers_too_large"},
      {"too many fields",
       [] {
         std::string all = "GET /echo HTTP/1.1\r\nHost: x\r\n";
         for (int i = 0; i < 300; ++i) all += "a: b\r\n";
         return all + "\r\n";
       }(),
       431, "headers_too_large"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    RawSocket client = RawSocket::To(address_);
    client.Send(c.bytes);
    client.Send(kHello);  // smuggled: must never be served
    const std::string reply = client.ReadToEnd();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 " + std::to_string(c.status) + " ")) << reply;
    EXPECT_TRUE(Contains(reply, "connection: close\r\n")) << reply;
    EXPECT_TRUE(Contains(reply, "\"code\":\"" + c.code + "\"")) << reply;
    EXPECT_TRUE(Contains(reply, "content-type: application/json\r\n")) << reply;
    EXPECT_FALSE(Contains(reply, "HTTP/1.1 200")) << reply;
    EXPECT_FALSE(client.reset());
  }
  RawSocket client = RawSocket::To(address_);
  client.Send(kHello);
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, OneEmptyLineBeforeARequestIsForgiven) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("\r\n" + std::string(kHello));
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
  client.Send("\r\n\r\n");
  EXPECT_TRUE(client.ReadToEnd().starts_with("HTTP/1.1 400 "));
}

TEST_F(HttpServerTest, BodyTooLargeIsRefusedAndTheSendingClientCanReadIt) {
  StartServer();
  const std::string block(1 << 20, 'b');
  {
    RawSocket client = RawSocket::To(address_);
    client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(33 << 20) + "\r\n\r\n");
    for (int i = 0; i < 33; ++i) ASSERT_TRUE(client.Send(block)) << i;
    const std::string reply = client.ReadToEnd();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 413 ")) << reply;
    EXPECT_TRUE(Contains(reply, "\"code\":\"body_too_large\"")) << reply;
    EXPECT_FALSE(client.reset());
  }
  RawSocket chunked = RawSocket::To(address_);
  chunked.Send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 33; ++i) ASSERT_TRUE(chunked.Send("100000\r\n" + block + "\r\n")) << i;
  const std::string reply = chunked.ReadToEnd();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 413 ")) << reply;
  EXPECT_FALSE(chunked.reset());
}

TEST_F(HttpServerTest, LargestBodyIsTaken) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  const std::string body(32 << 20, 'b');
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  client.Send(body);
  const std::string reply = client.ReadResponse();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(reply.ends_with("\r\n\r\n" + body));
}

TEST_F(HttpServerTest, SlowHeadersTimeOutWith408) {
  options_.header_timeout_ms = 60;
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /echo HTTP/1.1\r\nHost: x\r\nX-Drip: ");
  const std::string reply = client.ReadToEnd();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 408 ")) << reply;
  EXPECT_TRUE(Contains(reply, "\"code\":\"request_timeout\"")) << reply;
  RawSocket mute = RawSocket::To(address_);
  EXPECT_EQ(mute.ReadToEnd(), "");
}

TEST_F(HttpServerTest, SlowBodyTimesOutWith408) {
  options_.body_timeout_ms = 60;
  StartServer();
  for (const char* head : {"Content-Length: 5\r\n\r\nhel", "Transfer-Encoding: chunked\r\n\r\n5\r\nhel"}) {
    RawSocket client = RawSocket::To(address_);
    client.Send(std::string("POST /echo HTTP/1.1\r\nHost: x\r\n") + head);
    const std::string reply = client.ReadToEnd();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 408 ")) << reply;
    EXPECT_TRUE(Contains(reply, "body took longer than 60 ms")) << reply;
  }
}

TEST_F(HttpServerTest, IdleConnectionIsClosedSilently) {
  options_.idle_timeout_ms = 60;
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send(kHello);
  EXPECT_EQ(client.ReadToEnd(), kHelloReply);
}

TEST_F(HttpServerTest, HandlersTakeAsLongAsTheyLike) {
  options_.header_timeout_ms = options_.body_timeout_ms = options_.idle_timeout_ms = options_.write_stall_timeout_ms =
      20;
  StartServer();
  RawSocket slow = RawSocket::To(address_);
  slow.Send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("at gate");
  // Another connection lives and dies of each timeout meanwhile.
  RawSocket other = RawSocket::To(address_);
  other.Send("GET");
  EXPECT_TRUE(other.ReadToEnd().starts_with("HTTP/1.1 408 "));
  Permit();
  EXPECT_TRUE(slow.ReadResponse().ends_with("through"));
}

TEST_F(HttpServerTest, HonestClientsAreUnaffectedBySlowOnes) {
  StartServer();
  std::vector<RawSocket> slow;
  for (int i = 0; i < 200; ++i) {
    slow.push_back(RawSocket::To(address_));
    slow.back().Send("POST /echo HTTP/1.1\r\nHost: x\r\nX-Drip: ");
  }
  RawSocket honest = RawSocket::To(address_);
  for (int round = 0; round < 20; ++round) {
    for (RawSocket& client : slow) client.Send("d");
    honest.Send(kHello);
    EXPECT_EQ(honest.ReadResponse(), kHelloReply);
    RawSocket fresh = RawSocket::To(address_);
    fresh.Send(kHello);
    EXPECT_EQ(fresh.ReadResponse(), kHelloReply);
  }
  for (RawSocket& client : slow) {
    client.Send("\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_EQ(client.ReadResponse(), kHelloReply);
  }
}

TEST_F(HttpServerTest, TooManyConnectionsAreTurnedAway) {
  options_.connections_max = 1;
  StartServer();
  RawSocket first = RawSocket::To(address_);
  first.Send(kHello);
  EXPECT_EQ(first.ReadResponse(), kHelloReply);
  RawSocket second = RawSocket::To(address_);
  const std::string reply = second.ReadToEnd();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 503 ")) << reply;
  EXPECT_TRUE(Contains(reply, "\"code\":\"overloaded\"")) << reply;
  first.Send(kHello);
  EXPECT_EQ(first.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, ClientThatClosesIsNoticedBeforeTheReply) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("hanging");
  client.Close();
  Expect("gone");
  Expect("not sent");
}

TEST_F(HttpServerTest, ClientThatResetsOrHalfClosesIsNoticed) {
  StartServer();
  RawSocket reset = RawSocket::To(address_);
  reset.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("hanging");
  reset.Reset();
  Expect("gone");
  Expect("not sent");
  RawSocket half = RawSocket::To(address_);
  half.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("hanging");
  half.ShutdownSend();
  Expect("gone");
  Expect("not sent");
  EXPECT_EQ(half.ReadToEnd(), "");
}

TEST_F(HttpServerTest, ClientThatPipelinedAndThenLeftIsNoticed) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n" + std::string(kHello));
  Expect("hanging");
  client.Send(kHello);
  client.Close();
  Expect("gone");
  Expect("not sent");
}

TEST_F(HttpServerTest, LateInterestInALeavingClientIsTold) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("late");
  client.Close();
  Expect("told");
}

TEST_F(HttpServerTest, StreamedChunksArriveOneByOne) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string head = client.ReadUntil("\r\n\r\n");
  EXPECT_TRUE(Contains(head, "content-type: text/event-stream\r\n")) << head;
  EXPECT_TRUE(Contains(head, "transfer-encoding: chunked\r\n")) << head;
  EXPECT_TRUE(Contains(head, "x-stream: 1\r\n")) << head;
  EXPECT_FALSE(Contains(head, "x-bad")) << head;
  for (int i = 0; i < 3; ++i) {
    Permit();  // only now may the handler go on
    EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "9\r\ndata: " + std::to_string(i) + "\n\n\r\n");
  }
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "0\r\n\r\n");
  client.Send(kHello);
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, WhatIsThereAtAStreamsBeginningAndEndTravelsWithThem) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /whole HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "f\r\nthere already, \r\n12\r\nand the rest of it\r\n0\r\n\r\n");
  Expect("ended");
  client.Send("HEAD /whole HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  Expect("ended");
  client.Send(kHello);
  EXPECT_EQ(client.ReadResponse(), kHelloReply) << "no body before it";
  RawSocket old = RawSocket::To(address_);
  old.Send("GET /whole HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(old.ReadToEnd().ends_with("\r\n\r\nthere already, and the rest of it"));
  Expect("ended");
}

TEST_F(HttpServerTest, ForgottenRequestIsGoneWhileItsAnswerGoesOn) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("POST /forget HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kLargeBodyBytes) + "\r\n\r\n" +
              std::string(kLargeBodyBytes, 'x'));
  client.ReadUntil("\r\n\r\n");
  EXPECT_EQ(client.ReadUntil("0\r\n\r\n"), "4\r\ngone\r\n0\r\n\r\n");
  client.Send(kHello);
  EXPECT_EQ(client.ReadResponse(), kHelloReply);
}

TEST_F(HttpServerTest, IdleConnectionHoldsNoBody) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kLargeBodyBytes) + "\r\n\r\n" +
              std::string(kLargeBodyBytes, 'x'));
  EXPECT_TRUE(Contains(client.ReadResponse(), "xxx"));
  client.Send("GET /room HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(Contains(client.ReadResponse(), "none"));
}

TEST_F(HttpServerTest, Http10StreamEndsWithTheConnection) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /stream HTTP/1.0\r\n\r\n");
  Permit();
  Permit();
  Permit();
  const std::string reply = client.ReadToEnd();
  EXPECT_FALSE(Contains(reply, "transfer-encoding"));
  EXPECT_TRUE(reply.ends_with("\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n")) << reply;
  EXPECT_FALSE(client.reset());
}

TEST_F(HttpServerTest, AbortedStreamHasNoEnd) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
  Permit();
  const std::string reply = client.ReadToEnd();
  EXPECT_TRUE(reply.ends_with("9\r\ndata: 0\n\n\r\n")) << reply;
  Expect("cut");
  RawSocket old = RawSocket::To(address_);
  old.Send("GET /cut HTTP/1.0\r\n\r\n");
  Permit();
  old.ReadToEnd();
  EXPECT_TRUE(old.reset());
  Expect("cut");
}

TEST_F(HttpServerTest, ClientThatLeavesMidStreamIsNoticed) {
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  Permit();
  client.ReadUntil("data: 0\n\n\r\n");
  client.Close();
  Expect("gone");
}

TEST_F(HttpServerTest, ClientThatTakesNothingIsGivenUp) {
  options_.write_stall_timeout_ms = 60;
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("flood ended: gone");
}

TEST_F(HttpServerTest, HandlerThatFailsIsAnsweredWith500) {
  StartServer();
  for (const char* target : {"/throw", "/silent"}) {
    RawSocket client = RawSocket::To(address_);
    client.Send(std::string("GET ") + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    const std::string reply = client.ReadToEnd();
    EXPECT_TRUE(reply.starts_with("HTTP/1.1 500 ")) << reply;
    EXPECT_TRUE(Contains(reply, "\"code\":\"internal_error\"")) << reply;
  }
}

TEST_F(HttpServerTest, DrainLetsExchangesEndAndClosesIdleConnections) {
  StartServer();
  RawSocket idle = RawSocket::To(address_);
  idle.Send(kHello);
  EXPECT_EQ(idle.ReadResponse(), kHelloReply);
  RawSocket busy = RawSocket::To(address_);
  busy.Send("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("at gate");
  OnWorker([this] { server_->BeginDrain(); });
  EXPECT_EQ(idle.ReadToEnd(), "");
  EXPECT_FALSE(RawSocket::To(address_).connected());
  EXPECT_EQ(OnWorker([this] { return server_->open_exchanges(); }), 1u);
  Permit();
  const std::string reply = busy.ReadToEnd();
  EXPECT_TRUE(Contains(reply, "connection: close\r\n")) << reply;
  EXPECT_TRUE(reply.ends_with("through")) << reply;
  EXPECT_EQ(OnWorker([this] { return server_->open_exchanges(); }), 0u);
}

TEST_F(HttpServerTest, CloseAllEndsWhatDrainDidNot) {
  StartServer();
  RawSocket busy = RawSocket::To(address_);
  busy.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("hanging");
  OnWorker([this] { server_->CloseAll(); });
  Expect("gone");
  Expect("not sent");
  EXPECT_EQ(busy.ReadToEnd(), "");
}

TEST_F(HttpServerTest, LoopThatStopsWithExchangesInFlightLeavesNothingBehind) {
  StartServer();
  RawSocket hanging = RawSocket::To(address_);
  hanging.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
  Expect("hanging");
  RawSocket streaming = RawSocket::To(address_);
  streaming.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  streaming.ReadUntil("\r\n\r\n");
  RawSocket partial = RawSocket::To(address_);
  partial.Send("GET /stream HTTP/1.1\r\n");
  io_.stop();  // the rest is for the sanitizers to see
  thread_.join();
}

TEST(HttpServer, ALoopThatGoesTakesItsConnectionsAlong) {
  const auto held = std::make_shared<int>();  // by the handler, which all connections share
  auto io = std::make_unique<asio::io_context>(1);
  HttpServerOptions options;
  options.address = "127.0.0.1:0";
  auto server = NewHttpServer(*io, options, [held](HttpExchange& exchange) -> asio::awaitable<void> {
    HttpReply reply;
    reply.body = "hello";
    co_await exchange.Reply(std::move(reply));
  });
  ASSERT_TRUE(server.ok()) << server.status();
  (*server)->Start();
  RawSocket head = RawSocket::To((*server)->address());
  head.Send("GET /stream HTTP/1.1\r\n");
  RawSocket body = RawSocket::To((*server)->address());
  body.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  RawSocket idle = RawSocket::To((*server)->address());
  std::thread loop([&] { io->run(); });
  idle.Send(kHello);
  EXPECT_TRUE(Contains(idle.ReadResponse(), "hello"));
  io->stop();
  loop.join();
  server->reset();
  io.reset();
  EXPECT_EQ(held.use_count(), 1) << "a connection that waits holds itself";
}

TEST_F(HttpServerTest, TakenAddressIsUnavailableAndNamed) {
  options_.reuse_port = true;
  StartServer();
  HttpServerOptions same;
  same.address = address_;
  auto second = NewHttpServer(io_, same, nullptr);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Contains(second.status().ToString(), "cannot listen on " + address_)) << second.status();
  same.reuse_port = true;
  EXPECT_TRUE(NewHttpServer(io_, same, nullptr).ok());
  same.refuse_taken_port = true;
  EXPECT_EQ(NewHttpServer(io_, same, nullptr).status().code(), absl::StatusCode::kUnavailable);
  same.address = "8080";
  EXPECT_EQ(NewHttpServer(io_, same, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
}

class HttpsServerTest : public HttpServerTest {
 protected:
  HttpsServerTest() {
    certificate_.UseIn(server_tls_.native_handle());
    options_.tls = &server_tls_;
  }
  ~HttpsServerTest() override {
    StopServer();
    SSL_CTX_free(client_tls_);
  }
  RawSocket Connect() {
    RawSocket client = RawSocket::To(address_);
    EXPECT_TRUE(client.StartTls(client_tls_, /*as_server=*/false));
    return client;
  }

  TestCertificate certificate_{"DNS:localhost"};
  asio::ssl::context server_tls_{asio::ssl::context::tls_server};
  SSL_CTX* client_tls_ = SSL_CTX_new(TLS_client_method());
};

TEST_F(HttpsServerTest, ServesOverTls) {
  StartServer();
  RawSocket client = Connect();
  for (int i = 0; i < 3; ++i) {
    client.Send(kHello);
    EXPECT_EQ(client.ReadResponse(), kHelloReply);
  }
  const std::string body(1 << 20, 'b');
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n");
  client.Send(body);
  EXPECT_TRUE(client.ReadToEnd().ends_with("\r\n\r\n" + body));
}

TEST_F(HttpsServerTest, StreamsOverTls) {
  StartServer();
  RawSocket client = Connect();
  client.Send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
  client.ReadUntil("\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    Permit();
    EXPECT_EQ(client.ReadUntil("\n\n\r\n"), "9\r\ndata: " + std::to_string(i) + "\n\n\r\n");
  }
  EXPECT_EQ(client.ReadUntil("\r\n\r\n"), "0\r\n\r\n");
}

TEST_F(HttpsServerTest, ClientThatLeavesIsNoticedWithAndWithoutCloseNotify) {
  StartServer();
  for (const bool polite : {true, false}) {
    RawSocket client = Connect();
    client.Send("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n");
    Expect("hanging");
    if (polite) client.CloseNotify();
    if (!polite) client.Close();
    Expect("gone");
    Expect("not sent");
  }
}

TEST_F(HttpsServerTest, RefusalsReachAClientThatIsStillSending) {
  StartServer();
  RawSocket client = Connect();
  client.Send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(33 << 20) + "\r\n\r\n");
  const std::string block(1 << 20, 'b');
  for (int i = 0; i < 33; ++i) ASSERT_TRUE(client.Send(block)) << i;
  const std::string reply = client.ReadToEnd();
  EXPECT_TRUE(reply.starts_with("HTTP/1.1 413 ")) << reply;
}

TEST_F(HttpsServerTest, PlainTextToATlsPortIsClosed) {
  options_.header_timeout_ms = 60;
  StartServer();
  RawSocket client = RawSocket::To(address_);
  client.Send(kHello);
  EXPECT_FALSE(Contains(client.ReadToEnd(), "HTTP/1.1 200"));
  RawSocket mute = RawSocket::To(address_);
  EXPECT_EQ(mute.ReadToEnd(), "");
}

}  // namespace
}  // namespace signalbox
