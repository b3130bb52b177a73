#include "tests/bench/load/load_generator.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "tests/bench/load/http_message.h"

namespace signalbox::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Time = SteadyClock::time_point;

constexpr size_t kReadBytes = 256 << 10;
constexpr int kBatchSize = 512;
constexpr double kDrainSeconds = 10;  // for the answers still missing at the end

Time::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Time::duration>(std::chrono::duration<double>(seconds));
}
float MicrosSince(Time begin, Time end) { return std::chrono::duration<float, std::micro>(end - begin).count(); }

double ThreadCpuMicros() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto micros = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

// Counts events, whatever pieces they come in, and sees the last one.
class EventCounter {
 public:
  void Take(std::string_view data) {
    for (size_t at = 0; at < data.size();) {
      const void* found = std::memchr(data.data() + at, '\n', data.size() - at);
      if (found == nullptr) {
        line_.append(data.substr(at));
        return;
      }
      const size_t end = static_cast<size_t>(static_cast<const char*>(found) - data.data());
      line_.append(data.substr(at, end - at));
      Line();
      line_.clear();
      at = end + 1;
    }
  }
  int64_t events() const { return events_; }
  bool done() const { return done_; }

 private:
  void Line() {
    if (!line_.starts_with("data: ")) return;
    ++events_;
    if (line_.starts_with("data: [DONE]")) done_ = true;
  }
  std::string line_;
  int64_t events_ = 0;
  bool done_ = false;
};

struct Connection {
  int fd = -1;
  bool busy = false;
  Time due;            // when its request fell due
  std::string unsent;  // what the socket did not take yet
  bool waits_to_send = false;
  HttpMessage answer;
  EventCounter events;  // streams
  std::string error;    // the body of an answer that is not 200
};

// The connections to one address and their readiness.
class Connections {
 public:
  explicit Connections(const Request& request) : request_(request), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    prctl(PR_SET_TIMERSLACK, 1UL);  // a request falls due when it does, not 50 microseconds later
  }
  ~Connections() {
    for (const auto& connection : all_) {
      if (connection->fd >= 0) ::close(connection->fd);
    }
    ::close(epoll_);
  }
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  absl::Status Open(const std::string& address, int count) {
    const size_t colon = address.rfind(':');
    to_.sin_family = AF_INET;
    to_.sin_port = htons(static_cast<uint16_t>(std::atoi(address.c_str() + colon + 1)));
    ::inet_pton(AF_INET, address.substr(0, colon).c_str(), &to_.sin_addr);
    for (int i = 0; i < count; ++i) {
      all_.push_back(std::make_unique<Connection>());
      RETURN_IF_ERROR(Connect(*all_.back()));
    }
    return absl::OkStatus();
  }

  absl::Status Send(Connection& connection, Time due) {
    if (request_.identifier_at > 0) NextIdentifier();
    connection.busy = true;
    connection.due = due;
    connection.answer.Reset();
    return Flush(connection, request_.bytes);
  }

  absl::Status SendRest(Connection& connection) {
    const std::string rest = std::move(connection.unsent);
    connection.unsent.clear();
    return Flush(connection, rest);
  }

  // Waits until `until` at the most and calls `ready(connection, events)` for each.
  template <typename Ready>
  absl::Status Wait(Time until, Ready&& ready) {
    const int64_t left_ns = std::max<int64_t>(0, std::chrono::nanoseconds(until - SteadyClock::now()).count());
    timespec timeout{left_ns / 1'000'000'000, left_ns % 1'000'000'000};
    const int count = ::epoll_pwait2(epoll_, batch_.data(), kBatchSize, &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      RETURN_IF_ERROR(ready(*static_cast<Connection*>(batch_[static_cast<size_t>(i)].data.ptr),
                            batch_[static_cast<size_t>(i)].events));
    }
    return absl::OkStatus();
  }

  // Reads what is there. `body` gets the pieces of the answer's body; true when the answer is whole.
  template <typename Body>
  absl::StatusOr<bool> Receive(Connection& connection, Body&& body) {
    const ssize_t n = ::recv(connection.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n <= 0) return absl::UnavailableError("a connection was closed by the server");
    if (!connection.busy) return absl::UnavailableError("bytes came that nobody asked for");
    const std::string_view data(buffer_.data(), static_cast<size_t>(n));
    const size_t taken = connection.answer.Take(data, [&](std::string_view piece) {
      if (connection.answer.status() == 200) {
        body(piece);
      } else {
        connection.error.append(piece);
      }
    });
    if (connection.answer.bad()) return absl::UnavailableError("an answer could not be read");
    if (!connection.answer.done()) return false;
    if (taken < data.size()) return absl::UnavailableError("bytes came that nobody asked for");
    connection.busy = false;
    return true;
  }

  // What a whole answer said that is not 200; the connection is opened again if the server closes it. OK after a 200.
  absl::Status ErrorOf(Connection& connection) {
    if (connection.answer.status() == 200) return absl::OkStatus();
    absl::Status error = absl::UnavailableError(absl::StrCat("answered ", connection.answer.head(), connection.error));
    connection.error.clear();
    if (!connection.answer.closes()) return error;
    const absl::Status opened = Reopen(connection);
    return opened.ok() ? error : opened;
  }

  void Close(Connection& connection) {
    ::close(connection.fd);
    connection.fd = -1;
    connection.busy = false;
  }
  absl::Status Reopen(Connection& connection) {
    Close(connection);
    return Connect(connection);
  }

  std::vector<std::unique_ptr<Connection>>& all() { return all_; }

 private:
  absl::Status Connect(Connection& connection) {
    connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(connection.fd, reinterpret_cast<const sockaddr*>(&to_), sizeof(to_)) != 0) {
      return absl::UnavailableError(absl::StrCat("connecting: ", std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connection.unsent.clear();
    connection.waits_to_send = false;
    epoll_event interest{};
    interest.events = EPOLLIN;
    interest.data.ptr = &connection;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &interest);
    return absl::OkStatus();
  }

  absl::Status Flush(Connection& connection, std::string_view bytes) {
    ssize_t n = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      return absl::UnavailableError(absl::StrCat("sending: ", std::strerror(errno)));
    }
    n = std::max<ssize_t>(n, 0);
    connection.unsent = bytes.substr(static_cast<size_t>(n));
    if (connection.unsent.empty() != connection.waits_to_send) return absl::OkStatus();
    connection.waits_to_send = !connection.waits_to_send;
    epoll_event interest{};
    interest.events = EPOLLIN | (connection.waits_to_send ? static_cast<uint32_t>(EPOLLOUT) : 0U);
    interest.data.ptr = &connection;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &interest);
    return absl::OkStatus();
  }

  void NextIdentifier() {
    identifier_ = (identifier_ + 1) % request_.identifiers;
    int64_t left = identifier_;
    for (size_t i = Request::kIdentifierDigits; i-- > 0; left /= 10) {
      request_.bytes[request_.identifier_at + i] = static_cast<char>('0' + left % 10);
    }
  }

  Request request_;
  const int epoll_;
  sockaddr_in to_{};
  int64_t identifier_ = 0;
  std::vector<std::unique_ptr<Connection>> all_;
  std::array<epoll_event, kBatchSize> batch_;
  std::vector<char> buffer_ = std::vector<char>(kReadBytes);
};

class LoadRun {
 public:
  explicit LoadRun(const Load& load) : load_(load), connections_(load.request) {}

  absl::StatusOr<LoadResult> Run() {
    RETURN_IF_ERROR(connections_.Open(load_.address, load_.connections));
    begin_ = SteadyClock::now();
    for (const auto& connection : connections_.all()) free_.push_back(connection.get());
    RETURN_IF_ERROR(Until(begin_ + Seconds(load_.warm_up_seconds)));
    load_.on_begin();
    measuring_ = true;
    const double cpu_before = ThreadCpuMicros();
    const Time measured_from = SteadyClock::now();
    result_.latencies_us.reserve(1 << 16);
    RETURN_IF_ERROR(Until(measured_from + Seconds(load_.seconds)));
    measuring_ = false;
    result_.seconds = std::chrono::duration<double>(SteadyClock::now() - measured_from).count();
    result_.own_cpu_us = ThreadCpuMicros() - cpu_before;
    load_.on_end();
    RETURN_IF_ERROR(Drain());
    return std::move(result_);
  }

 private:
  absl::Status Until(Time end) {
    for (Time now = SteadyClock::now(); now < end; now = SteadyClock::now()) {
      RETURN_IF_ERROR(SendDue(now));
      RETURN_IF_ERROR(connections_.Wait(std::min(end, NextDue()), [this](Connection& connection, uint32_t events) {
        return OnReady(connection, events);
      }));
    }
    return absl::OkStatus();
  }

  bool open_loop() const { return load_.rate > 0; }
  Time DueAt(int64_t number) const { return begin_ + Seconds(static_cast<double>(number) / load_.rate); }
  Time NextDue() const { return open_loop() && !free_.empty() ? DueAt(sent_) : Time::max(); }

  absl::Status SendDue(Time now) {
    if (stopping_) return absl::OkStatus();
    while (!free_.empty() && (!open_loop() || DueAt(sent_) <= now)) {
      Connection& connection = *free_.back();
      free_.pop_back();
      RETURN_IF_ERROR(connections_.Send(connection, open_loop() ? DueAt(sent_) : now));
      ++sent_;
    }
    if (open_loop() && free_.empty()) {
      const double due = std::chrono::duration<double>(now - begin_).count() * load_.rate;
      result_.late_max = std::max(result_.late_max, static_cast<int64_t>(due) - sent_);
    }
    return absl::OkStatus();
  }

  absl::Status OnReady(Connection& connection, uint32_t events) {
    if (!connection.unsent.empty() && (events & EPOLLOUT) != 0) RETURN_IF_ERROR(connections_.SendRest(connection));
    if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return absl::OkStatus();
    const absl::StatusOr<bool> whole = connections_.Receive(connection, [](std::string_view) {});
    if (whole.ok() && !*whole) return absl::OkStatus();
    const Time now = SteadyClock::now();
    absl::Status error = whole.ok() ? connections_.ErrorOf(connection) : whole.status();
    if (!whole.ok()) RETURN_IF_ERROR(connections_.Reopen(connection));
    if (!error.ok()) {
      if (result_.failed++ == 0) result_.error = std::move(error);
    } else if (measuring_) {
      ++result_.answered;
      result_.latencies_us.push_back(MicrosSince(connection.due, now));
    }
    if (stopping_) {
      --open_;
    } else if (open_loop()) {
      free_.push_back(&connection);
      return SendDue(now);
    } else {
      ++sent_;
      return connections_.Send(connection, now);
    }
    return absl::OkStatus();
  }

  absl::Status Drain() {
    stopping_ = true;
    open_ = 0;
    for (const auto& connection : connections_.all()) open_ += connection->busy ? 1 : 0;
    const Time give_up = SteadyClock::now() + Seconds(kDrainSeconds);
    while (open_ > 0) {
      if (SteadyClock::now() > give_up)
        return absl::UnavailableError(absl::StrCat(open_, " requests were not answered"));
      RETURN_IF_ERROR(connections_.Wait(
          give_up, [this](Connection& connection, uint32_t events) { return OnReady(connection, events); }));
    }
    return absl::OkStatus();
  }

  const Load& load_;
  Connections connections_;
  Time begin_;
  std::vector<Connection*> free_;
  int64_t sent_ = 0;
  bool measuring_ = false;
  bool stopping_ = false;
  int open_ = 0;
  LoadResult result_;
};

}  // namespace

absl::StatusOr<LoadResult> RunLoad(const Load& load) { return LoadRun(load).Run(); }

absl::StatusOr<StreamResult> RunStreams(const StreamLoad& load) {
  Connections connections(load.request);
  RETURN_IF_ERROR(connections.Open(load.address, load.streams));
  StreamResult result;
  result.first_event_us.reserve(static_cast<size_t>(load.streams));
  const double cpu_before = ThreadCpuMicros();
  const Time begin = SteadyClock::now();
  const Time give_up = begin + Seconds(load.ramp_seconds + load.patience_seconds);
  const double gap = load.ramp_seconds / load.streams;
  size_t asked = 0;
  int ended = 0;
  while (ended < load.streams) {
    const Time now = SteadyClock::now();
    if (now > give_up) break;
    while (asked < connections.all().size() && begin + Seconds(gap * static_cast<double>(asked)) <= now) {
      RETURN_IF_ERROR(connections.Send(*connections.all()[asked], begin + Seconds(gap * static_cast<double>(asked))));
      ++asked;
    }
    const Time next = asked < connections.all().size() ? begin + Seconds(gap * static_cast<double>(asked)) : give_up;
    RETURN_IF_ERROR(connections.Wait(next, [&](Connection& connection, uint32_t events) -> absl::Status {
      if ((events & EPOLLOUT) != 0 && !connection.unsent.empty()) RETURN_IF_ERROR(connections.SendRest(connection));
      if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return absl::OkStatus();
      const int64_t before = connection.events.events();
      const absl::StatusOr<bool> whole =
          connections.Receive(connection, [&](std::string_view piece) { connection.events.Take(piece); });
      const int64_t seen = connection.events.events() - before;
      result.events += seen;
      if (before == 0 && seen > 0) {
        result.first_event_us.push_back(MicrosSince(connection.due, SteadyClock::now()));
        if (result.first_event_us.size() == static_cast<size_t>(load.streams)) load.on_all_open();
      }
      if (whole.ok() && !*whole) return absl::OkStatus();
      ++ended;
      absl::Status error = whole.ok() ? connections.ErrorOf(connection) : whole.status();
      if (!whole.ok()) connections.Close(connection);
      if (!error.ok() && result.error.ok()) result.error = std::move(error);
      if (whole.ok() && connection.events.done()) ++result.complete;
      return absl::OkStatus();
    }));
  }
  result.own_cpu_us = ThreadCpuMicros() - cpu_before;
  return result;
}

absl::StatusOr<std::string> AskOnce(const std::string& address, const Request& request) {
  Connections connections(request);
  RETURN_IF_ERROR(connections.Open(address, 1));
  Connection& connection = *connections.all().front();
  RETURN_IF_ERROR(connections.Send(connection, SteadyClock::now()));
  const Time give_up = SteadyClock::now() + Seconds(kDrainSeconds);
  std::string body;
  bool whole = false;
  while (!whole && SteadyClock::now() < give_up) {
    RETURN_IF_ERROR(connections.Wait(give_up, [&](Connection& ready, uint32_t events) -> absl::Status {
      if ((events & EPOLLOUT) != 0 && !ready.unsent.empty()) RETURN_IF_ERROR(connections.SendRest(ready));
      if ((events & ~static_cast<uint32_t>(EPOLLOUT)) == 0) return absl::OkStatus();
      ASSIGN_OR_RETURN(whole, connections.Receive(ready, [&](std::string_view piece) { body.append(piece); }));
      return whole ? connections.ErrorOf(ready) : absl::OkStatus();
    }));
  }
  if (!whole) return absl::UnavailableError(absl::StrCat(address, " did not answer"));
  return body;
}

}  // namespace signalbox::bench
