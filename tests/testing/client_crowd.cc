#include "tests/testing/client_crowd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace signalbox {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Reads the chunked body at the start of `data`; false while its end is missing.
bool Unchunk(std::string_view data, std::string& body) {
  while (true) {
    const size_t line = data.find("\r\n");
    if (line == std::string_view::npos) return false;
    const size_t size = std::strtoul(std::string(data.substr(0, line)).c_str(), nullptr, 16);
    data.remove_prefix(line + 2);
    if (size == 0) return data.find("\r\n") != std::string_view::npos;
    if (data.size() < size + 2) return false;
    body += data.substr(0, size);
    data.remove_prefix(size + 2);
  }
}

// The one answer that `data` is or begins with; nothing while it is not whole.
std::optional<HttpAnswer> WholeAnswer(std::string_view data) {
  const size_t head_end = data.find("\r\n\r\n");
  if (head_end == std::string_view::npos) return std::nullopt;
  HttpAnswer answer;
  answer.status = std::atoi(std::string(data.substr(std::min<size_t>(data.find(' '), head_end) + 1, 3)).c_str());
  std::string_view head = data.substr(0, head_end);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    answer.headers.emplace(std::move(name), value);
  }
  const std::string_view body = data.substr(head_end + 4);
  if (answer.Header("transfer-encoding") == "chunked") {
    if (!Unchunk(body, answer.body)) return std::nullopt;
  } else {
    const size_t size = std::strtoul(answer.Header("content-length").c_str(), nullptr, 10);
    if (body.size() < size) return std::nullopt;
    answer.body = body.substr(0, size);
  }
  answer.complete = true;
  return answer;
}

}  // namespace

ClientCrowd::ClientCrowd(std::vector<std::string> addresses, Decide decide)
    : clients_(addresses.size()), decide_(std::move(decide)), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  for (size_t i = 0; i < addresses.size(); ++i) clients_[i].address = std::move(addresses[i]);
}

ClientCrowd::~ClientCrowd() {
  for (Client& client : clients_) Close(client);
  ::close(epoll_);
}

void ClientCrowd::Send(size_t index, Next next) {
  Client& client = clients_[index];
  client.out = std::move(next.bytes);
  client.sent = 0;
  ++busy_;
  paused_.emplace(steady_clock::now() + milliseconds(next.pause_ms), index);
}

bool ClientCrowd::Run(int patience_ms) {
  const auto deadline = steady_clock::now() + milliseconds(patience_ms);
  std::array<epoll_event, 256> events;
  while (busy_ > 0) {
    auto now = steady_clock::now();
    if (now > deadline) return false;
    while (!paused_.empty() && paused_.begin()->first <= now) {
      const size_t index = paused_.begin()->second;
      paused_.erase(paused_.begin());
      Start(index);
    }
    auto until = deadline;
    if (!paused_.empty()) until = std::min(until, paused_.begin()->first);
    const auto wait = std::chrono::ceil<milliseconds>(until - steady_clock::now()).count();
    const int count = ::epoll_wait(epoll_, events.data(), events.size(), static_cast<int>(std::max<int64_t>(wait, 0)));
    for (int i = 0; i < count; ++i) OnReady(events[i].data.u64, events[i].events);
  }
  return true;
}

void ClientCrowd::Start(size_t index) {
  Client& client = clients_[index];
  client.waiting = true;
  client.in.clear();
  in_flight_max_ = std::max(in_flight_max_, ++in_flight_);
  if (client.fd < 0) return Connect(client, index);
  Flush(index);
}

void ClientCrowd::Connect(Client& client, size_t index) {
  client.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  const size_t colon = client.address.rfind(':');
  ::inet_pton(AF_INET, client.address.substr(0, colon).c_str(), &to.sin_addr);
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(client.address.c_str() + colon + 1)));
  const int on = 1;
  ::setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  epoll_event interest{};
  interest.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  interest.data.u64 = index;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.fd, &interest);
  if (::connect(client.fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0 && errno != EINPROGRESS) {
    Answered(index, HttpAnswer{});
  }
}

void ClientCrowd::Close(Client& client) {
  if (client.fd >= 0) ::close(client.fd);
  client.fd = -1;
}

void ClientCrowd::Flush(size_t index) {
  Client& client = clients_[index];
  while (client.waiting && client.sent < client.out.size()) {
    const ssize_t n = ::send(client.fd, client.out.data() + client.sent, client.out.size() - client.sent, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;  // ready again when there is room, or connected
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Answered(index, HttpAnswer{});
    client.sent += static_cast<size_t>(n);
  }
}

void ClientCrowd::OnReady(size_t index, uint32_t events) {
  Client& client = clients_[index];
  if (client.fd < 0) return;  // closed by an earlier event of the same wait
  if ((events & EPOLLOUT) != 0) Flush(index);
  bool ended = (events & (EPOLLERR | EPOLLHUP)) != 0;
  char buffer[16 << 10];
  while (client.fd >= 0) {
    const ssize_t n = ::recv(client.fd, buffer, sizeof(buffer), 0);
    if (n > 0) {
      client.in.append(buffer, static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n == 0 || errno != EAGAIN) ended = true;
    break;
  }
  if (client.fd < 0) return;
  if (client.waiting) {
    if (std::optional<HttpAnswer> answer = WholeAnswer(client.in)) {
      if (ended || answer->Header("connection") == "close") Close(client);
      return Answered(index, *std::move(answer));
    }
  }
  if (!ended) return;
  Close(client);
  if (client.waiting) Answered(index, HttpAnswer{});
}

void ClientCrowd::Answered(size_t index, HttpAnswer answer) {
  Client& client = clients_[index];
  if (answer.status == 0) Close(client);
  client.waiting = false;
  client.in.clear();
  --in_flight_;
  --busy_;
  if (std::optional<Next> next = decide_(index, answer)) Send(index, *std::move(next));
}

}  // namespace signalbox
