#include "tests/testing/http_call.h"

#include <arpa/inet.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "tests/testing/eventually.h"

namespace signalbox {
namespace {

constexpr int kTimeoutS = 60;

}  // namespace

std::string HttpAnswer::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

HttpAnswer Call(const std::string& address, const std::string& method, const std::string& target,
                const Headers& headers, const std::string& body) {
  httplib::Client client("http://" + address);
  client.set_read_timeout(kTimeoutS);
  client.set_write_timeout(kTimeoutS);
  httplib::Request request;
  request.method = method;
  request.path = target;
  for (const auto& [name, value] : headers) request.headers.emplace(name, value);
  if (method != "GET" || !body.empty()) {
    request.body = body;
    if (!request.has_header("content-type")) request.set_header("Content-Type", "application/json");
  }
  const httplib::Result result = client.send(request);
  HttpAnswer answer;
  if (!result) return answer;
  answer.status = result->status;
  answer.body = result->body;
  answer.complete = true;
  for (const auto& [name, value] : result->headers) answer.headers.emplace(absl::AsciiStrToLower(name), value);
  return answer;
}

RawConnection::RawConnection(const std::string& address) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) return;
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &peer.sin_addr);
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{kPatienceMs / 1'000, 0};
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(fd_, reinterpret_cast<sockaddr*>(&peer), sizeof(peer)) != 0) Close();
}

void RawConnection::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void RawConnection::Reset() {
  const linger at_once{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  Close();
}

void RawConnection::HalfClose() { shutdown(fd_, SHUT_WR); }

bool RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawConnection::ReadSome() {
  char buffer[16'384];
  const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  seen_.append(buffer, static_cast<size_t>(got));
  return true;
}

std::string RawConnection::ReadUntil(std::string_view text) {
  while (seen_.find(text) == std::string::npos && ReadSome()) {
  }
  return seen_;
}

std::string RawConnection::ReadToEnd(bool* closed) {
  errno = 0;
  while (ReadSome()) {
  }
  // A timed-out receive is EAGAIN; an end is 0 bytes, a reset ECONNRESET.
  if (closed != nullptr) *closed = errno != EAGAIN && errno != EWOULDBLOCK;
  return seen_;
}

}  // namespace signalbox
