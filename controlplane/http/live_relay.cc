#include "controlplane/http/live_relay.h"

#include <httplib.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

// What a console shows of an answer besides its body; nothing that would act on the console's own origin.
bool IsHandedOn(const std::string& name) {
  return absl::StartsWithIgnoreCase(name, "cf-aig-") || absl::StartsWithIgnoreCase(name, "signalbox-") ||
         absl::EqualsIgnoreCase(name, "retry-after");
}

LiveHead HeadOf(const httplib::Response& response) {
  LiveHead head;
  head.status = response.status;
  head.content_type = response.get_header_value("Content-Type");
  for (const auto& [name, value] : response.headers) {
    if (IsHandedOn(name)) head.headers.emplace_back(name, value);
  }
  return head;
}

}  // namespace

LiveRelay::LiveRelay(LiveRequest request)
    : request_(std::move(request)),
      deadline_(std::chrono::steady_clock::now() + std::chrono::milliseconds(request_.timeout_ms)),
      client_(std::make_unique<httplib::Client>(request_.base_url)) {
  const auto timeout = std::chrono::milliseconds(request_.timeout_ms);
  client_->set_connection_timeout(std::chrono::seconds(5));
  client_->set_read_timeout(timeout);
  client_->set_write_timeout(std::chrono::seconds(10));
  client_->set_follow_location(false);
  client_->set_keep_alive(false);
  client_->set_tcp_nodelay(true);
  client_->set_url_encode(false);
  if (!request_.ca_file.empty()) client_->set_ca_cert_path(request_.ca_file);
  thread_ = std::thread([this] { Run(); });
}

LiveRelay::~LiveRelay() {
  // The call may be between two steps in which stopping has no effect: until it noticed.
  MutexLock lock(mutex_);
  cut_ = true;
  changed_.NotifyAll();
  while (!ended_) {
    client_->stop();
    changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
  }
  thread_.join();
}

void LiveRelay::Run() {
  httplib::Request call;
  call.method = "POST";
  call.path = request_.path;
  for (const auto& [name, value] : request_.headers) call.headers.emplace(name, value);
  call.headers.emplace("Accept-Encoding", "identity");
  call.headers.emplace("Content-Type", "application/json");
  call.body = request_.body;
  call.response_handler = [this](const httplib::Response& response) {
    MutexLock lock(mutex_);
    head_ = HeadOf(response);
    changed_.NotifyAll();
    return !cut_;
  };
  call.content_receiver = [this](const char* data, size_t size, uint64_t, uint64_t) { return Push(data, size); };
  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  const bool sent = client_->send(call, response, error);
  MutexLock lock(mutex_);
  if (!sent) error_ = absl::StrCat("the proxy at ", request_.base_url, ": ", httplib::to_string(error));
  ended_ = true;
  changed_.NotifyAll();
}

bool LiveRelay::Push(const char* data, size_t size) {
  MutexLock lock(mutex_);
  while (!cut_ && queue_.size() > kQueueBytesMax) changed_.Wait(mutex_);
  if (cut_) return false;
  queue_.append(data, size);
  changed_.NotifyAll();
  return true;
}

absl::StatusOr<LiveHead> LiveRelay::Head() {
  MutexLock lock(mutex_);
  while (!head_.has_value() && !ended_) {
    if (!changed_.WaitUntil(mutex_, deadline_)) break;
  }
  if (head_.has_value()) return *head_;
  return absl::UnavailableError(
      error_.empty() ? absl::StrCat("the proxy at ", request_.base_url, " did not answer in time") : error_);
}

LiveRelay::Piece LiveRelay::Next(std::chrono::milliseconds wait) {
  MutexLock lock(mutex_);
  const auto until = std::min(std::chrono::steady_clock::now() + wait, deadline_);
  while (queue_.empty() && !ended_) {
    if (!changed_.WaitUntil(mutex_, until)) break;
  }
  Piece piece;
  piece.bytes = std::move(queue_);
  queue_.clear();
  changed_.NotifyAll();
  if (piece.bytes.empty()) {
    const bool late = std::chrono::steady_clock::now() >= deadline_;
    piece.ended = ended_ || late;
    piece.whole = ended_ && error_.empty();
  }
  return piece;
}

}  // namespace signalbox
