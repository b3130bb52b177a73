// bench_upstream: a provider that does as little as a provider can, so that what stands before it is what is measured:
// one thread, canned chat completions with usage (as large as the request they answer), streams of paced events. The
// simulated provider keeps a bill and reads every body; behind 5,000 streams or tens of thousands of requests a second
// it would take the cores from what is compared.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "common/program_flags.h"
#include "tests/bench/load/http_message.h"

ABSL_FLAG(int, events, 20, "pieces of text in a stream");
ABSL_FLAG(int, interval_ms, 500, "between two events of a stream");

namespace signalbox::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Time = SteadyClock::time_point;

constexpr int kBatchSize = 512;
constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kLargeBytes = 32 << 10;  // from here on a request gets the large answer
constexpr size_t kSmallText = 500;
constexpr size_t kLargeText = 50'000;
constexpr size_t kKeptBytes = 8 << 10;  // of a body; where "stream" is looked for

constexpr char kUsage[] =
    R"({"prompt_tokens":214,"completion_tokens":96,"total_tokens":310,"prompt_tokens_details":{"cached_tokens":0,)"
    R"("audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,)"
    R"("accepted_prediction_tokens":0,"rejected_prediction_tokens":0}})";

std::string Text(size_t bytes) {
  constexpr std::string_view kWords = "A kite climbs where the wind is steady and the line is \\\"long\\\" enough. ";
  std::string text;
  while (text.size() < bytes) text += kWords;
  return text;
}

std::string Answer(size_t text_bytes) {
  const std::string body = absl::StrCat(
      R"({"id":"chatcmpl-Bq2w8Y7sVbench","object":"chat.completion","created":1764000000,)",
      R"("model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":")",
      Text(text_bytes), R"(","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],)",
      R"("usage":)", kUsage, R"(,"service_tier":"default","system_fingerprint":"fp_bench"})");
  return absl::StrCat(
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: ", body.size(),
      "\r\n\r\n", body);
}

std::string Chunk(std::string_view data) {
  return absl::StrCat(absl::Hex(data.size()), "\r\n", std::string(data), "\r\n");
}

std::string Event(const std::string& choices, const std::string& usage) {
  return absl::StrCat(R"(data: {"id":"chatcmpl-Bq2w8Y7sVbench","object":"chat.completion.chunk","created":1764000000,)",
                      R"("model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_bench",)",
                      R"("choices":[)", choices, R"(],"usage":)", usage, "}\n\n");
}

std::string Choice(const std::string& delta, const std::string& finish) {
  return absl::StrCat(R"({"index":0,"delta":{)", delta, R"(},"logprobs":null,"finish_reason":)", finish, "}");
}

struct Connection {
  int fd = -1;
  uint64_t id = 0;
  HttpMessage request;
  size_t body_bytes = 0;
  std::string body;  // its beginning
  std::string unsent;
  int events_sent = -1;  // of a stream; -1: none is under way
  bool with_usage = false;
};

class Upstream {
 public:
  bool Listen() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof(at)) != 0 || ::listen(listener_, 16'384) != 0) {
      return false;
    }
    socklen_t size = sizeof(at);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    epoll_event interest{};
    interest.events = EPOLLIN;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener_, &interest);
    std::cout << "listening http 127.0.0.1:" << ntohs(at.sin_port) << std::endl;
    return true;
  }

  void Run() {
    prctl(PR_SET_TIMERSLACK, 1UL);
    std::array<epoll_event, kBatchSize> batch;
    while (true) {
      timespec timeout{};
      const bool paced = !pace_.empty();
      if (paced) {
        const auto left = std::chrono::nanoseconds(pace_.front().due - SteadyClock::now()).count();
        if (left > 0) timeout = {left / 1'000'000'000, left % 1'000'000'000};
      }
      const int count = ::epoll_pwait2(epoll_, batch.data(), kBatchSize, paced ? &timeout : nullptr, nullptr);
      for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(batch[static_cast<size_t>(i)].data.ptr);
        if (connection == nullptr) {
          Accept();
        } else {
          OnReady(*connection, batch[static_cast<size_t>(i)].events);
        }
      }
      SendDue();
      for (Connection* connection : closing_) connections_[connection->id].reset();
      closing_.clear();
    }
  }

 private:
  struct Due {
    Time due;
    uint64_t connection;
  };

  void Accept() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      auto connection = std::make_unique<Connection>();
      connection->fd = fd;
      connection->id = connections_.size();
      epoll_event interest{};
      interest.events = EPOLLIN;
      interest.data.ptr = connection.get();
      ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &interest);
      connections_.push_back(std::move(connection));
    }
  }

  void OnReady(Connection& connection, uint32_t events) {
    if (connection.fd < 0) return;
    if ((events & EPOLLOUT) != 0) SendRest(connection);
    if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return;
    const ssize_t n = ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Close(connection);
    std::string_view data(buffer_.data(), static_cast<size_t>(n));
    while (!data.empty() && connection.fd >= 0) {
      data.remove_prefix(connection.request.Take(data, [&](std::string_view piece) {
        connection.body_bytes += piece.size();
        if (connection.body.size() < kKeptBytes) connection.body.append(piece.substr(0, kKeptBytes));
      }));
      if (connection.request.bad()) return Close(connection);
      if (!connection.request.done()) return;
      AnswerTo(connection);
      connection.request.Reset();
      connection.body.clear();
      connection.body_bytes = 0;
    }
  }

  void AnswerTo(Connection& connection) {
    const std::string_view body = connection.body;
    const bool stream = body.find("\"stream\":true") != std::string_view::npos;
    if (!stream) return Send(connection, connection.body_bytes >= kLargeBytes ? large_ : small_);
    connection.with_usage = body.find("\"include_usage\":true") != std::string_view::npos;
    connection.events_sent = 0;
    Send(connection, stream_head_);
    SendEvent(connection);
  }

  // The next event of a stream; after the last piece of text its end.
  void SendEvent(Connection& connection) {
    if (connection.events_sent < events_) {
      Send(connection, connection.events_sent == 0 ? first_event_ : event_);
      ++connection.events_sent;
      pace_.push_back({SteadyClock::now() + interval_, connection.id});
      return;
    }
    connection.events_sent = -1;
    Send(connection, connection.with_usage ? end_with_usage_ : end_);
  }

  void SendDue() {
    const Time now = SteadyClock::now();
    while (!pace_.empty() && pace_.front().due <= now) {
      const uint64_t id = pace_.front().connection;
      pace_.pop_front();
      if (connections_[id] != nullptr && connections_[id]->fd >= 0) SendEvent(*connections_[id]);
    }
  }

  void Send(Connection& connection, std::string_view bytes) {
    if (!connection.unsent.empty()) {
      connection.unsent.append(bytes);
      return;
    }
    const ssize_t n = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return Close(connection);
    const size_t sent = n < 0 ? 0 : static_cast<size_t>(n);
    if (sent == bytes.size()) return;
    connection.unsent = bytes.substr(sent);
    Watch(connection, EPOLLIN | EPOLLOUT);
  }

  void SendRest(Connection& connection) {
    if (connection.unsent.empty()) return;
    const ssize_t n = ::send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) return Close(connection);
    connection.unsent.erase(0, n < 0 ? 0 : static_cast<size_t>(n));
    if (connection.unsent.empty()) Watch(connection, EPOLLIN);
  }

  void Watch(Connection& connection, uint32_t events) {
    epoll_event interest{};
    interest.events = events;
    interest.data.ptr = &connection;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &interest);
  }

  void Close(Connection& connection) {
    if (connection.fd < 0) return;
    ::close(connection.fd);
    connection.fd = -1;
    closing_.push_back(&connection);  // an event of this batch may still name it
  }

  const int events_ = absl::GetFlag(FLAGS_events);
  const std::chrono::milliseconds interval_{absl::GetFlag(FLAGS_interval_ms)};
  const std::string small_ = Answer(kSmallText);
  const std::string large_ = Answer(kLargeText);
  const std::string stream_head_ =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\n"
      "transfer-encoding: chunked\r\n\r\n";
  const std::string first_event_ =
      Chunk(Event(Choice(R"("role":"assistant","content":"","refusal":null)", "null"), "null"));
  const std::string event_ = Chunk(Event(Choice(R"("content":" where the wind")", "null"), "null"));
  const std::string last_event_ = Chunk(Event(Choice("", R"("stop")"), "null"));
  const std::string done_ = Chunk("data: [DONE]\n\n") + "0\r\n\r\n";
  const std::string end_ = last_event_ + done_;
  const std::string end_with_usage_ = last_event_ + Chunk(Event("", kUsage)) + done_;

  int listener_ = -1;
  const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<std::unique_ptr<Connection>> connections_;  // by id
  std::vector<Connection*> closing_;
  std::deque<Due> pace_;  // every stream has the same pace, so the order of asking is the order of time
  std::vector<char> buffer_ = std::vector<char>(kReadBytes);
};

}  // namespace
}  // namespace signalbox::bench

int main(int argc, char** argv) {
  signalbox::ParseProgramFlags(argc, argv, "bench_upstream [--events=N] [--interval_ms=N]", "upstream.cc");
  signalbox::bench::Upstream upstream;
  if (!upstream.Listen()) {
    std::cerr << "bench_upstream: cannot listen on 127.0.0.1" << std::endl;
    return 1;
  }
  upstream.Run();
  return 0;
}
