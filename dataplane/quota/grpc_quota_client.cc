#include "dataplane/quota/grpc_quota_client.h"

#include <glog/logging.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <utility>
#include <vector>

namespace signalbox {
namespace {

using boost::system::error_code;

constexpr char kMethod[] = "/signalbox.v1.Quota/Session";

class Client final : public GrpcQuotaClient, private GrpcStream::Handler {
 public:
  Client(asio::io_context& io, QuotaClientOptions options)
      : io_(io),
        options_(std::move(options)),
        timer_(io),
        queue_(options_.proxy_id, options_.boot_id, options_.call_timeout_us, Now()) {
    Connect();
  }

  ~Client() override {
    stream_.reset();
    queue_.EndCalls(absl::CancelledError("the proxy is stopping"));
    Complete();
    for (std::promise<void>& flushed : flushes_) flushed.set_value();
  }

  void Acquire(const v1::Acquire& acquire, Done done) override {
    queue_.Acquire(acquire, std::move(done), Now());
    LookSoon();
  }
  void Extend(const v1::Extend& extend, Done done) override {
    queue_.Extend(extend, std::move(done), Now());
    LookSoon();
  }
  void Settle(const v1::Settle& settle) override {
    queue_.Settle(settle, Now());
    LookSoon();
  }
  void ForceCharge(v1::ForceCharge charge) override {
    queue_.ForceCharge(std::move(charge), Now());
    LookSoon();
  }

  bool Connected() const override { return connected_; }
  QuotaClientMetrics metrics() const override { return queue_.metrics(); }

  bool Flush(int timeout_ms) override {
    std::promise<void> flushed;
    std::future<void> future = flushed.get_future();
    asio::post(io_, [this, flushed = std::move(flushed)]() mutable {
      flushes_.push_back(std::move(flushed));
      TellFlushed();
    });
    return future.wait_for(std::chrono::milliseconds(timeout_ms)) == std::future_status::ready;
  }

 private:
  int64_t Now() const { return options_.clock->MonotonicMicros(); }

  // At the end of this turn of the loop: what the turn asks travels together.
  void LookSoon() {
    if (std::exchange(look_posted_, true)) return;
    asio::post(io_, [this] {
      look_posted_ = false;
      Look();
    });
  }

  bool CanSend() const { return queue_.connected() && !stream_->sending(); }

  // Does all that is due, and sees to it that somebody looks again.
  void Look() {
    const int64_t now = Now();
    queue_.GiveUpOverdue(now);
    if (CanSend()) {
      if (const std::optional<std::string> message = queue_.TakeMessage(now)) stream_->Send(*message);
    }
    for (const std::string& report : queue_.TakeReports()) LOG(ERROR) << "quota: " << report;
    Complete();
    TellFlushed();
    LookAt(queue_.NextLookUs(CanSend()));
  }

  // The timer is set anew only when it would fire too late.
  void LookAt(int64_t at_us) {
    if (at_us >= timer_at_us_) return;
    timer_at_us_ = at_us;
    timer_.expires_after(std::chrono::microseconds(std::max<int64_t>(at_us - Now(), 0)));
    timer_.async_wait([this](const error_code& error) {
      if (error) return;
      timer_at_us_ = QuotaCommandQueue::kNever;
      Look();
    });
  }

  void Complete() {
    for (QuotaCommandQueue::Completion& completion : queue_.TakeCompletions()) {
      completion.done(std::move(completion.result));
    }
  }

  void TellFlushed() {
    if (flushes_.empty() || queue_.reliable() > 0) return;
    for (std::promise<void>& flushed : flushes_) flushed.set_value();
    flushes_.clear();
  }

  // ---- The session.

  void Connect() {
    stream_.reset(new GrpcStream(  // the handler is nobody else's business
        io_, {.target = options_.target, .tls = options_.tls, .method = kMethod, .token = options_.token}, *this));
  }

  void OnOpen() override {
    queue_.Connected(Now());
    connected_ = true;
    backoff_ms_ = kQuotaReconnectMsMin;
    const QuotaClientMetrics metrics = queue_.metrics();
    if (metrics.reconnects > 0) LOG(INFO) << "quota: connected again, " << metrics.waiting << " commands unanswered";
    logged_.clear();
    Look();
  }

  void OnMessage(std::string_view message) override {
    response_.Clear();
    if (!response_.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      LOG(ERROR) << "quota: the service sent what is no QuotaResponse; connecting again";
      return Reconnect();
    }
    queue_.TakeAnswers(response_);
    Look();
  }

  void OnSent() override { Look(); }

  void OnEnd(const absl::Status& status) override {
    if (const std::string text = status.ToString(); text != logged_) {
      LOG(WARNING) << "quota: no connection to the service: " << text;
      logged_ = text;
    }
    Reconnect();
  }

  void Reconnect() {
    stream_.reset();
    queue_.Disconnected(Now());
    connected_ = false;
    const std::chrono::milliseconds pause(backoff_ms_);
    backoff_ms_ = std::min(backoff_ms_ * 2, kQuotaReconnectMsMax);
    reconnect_.expires_after(pause);
    reconnect_.async_wait([this](const error_code& error) {
      if (!error) Connect();
    });
    Look();
  }

  asio::io_context& io_;
  const QuotaClientOptions options_;
  asio::steady_timer timer_;
  asio::steady_timer reconnect_{io_};
  QuotaCommandQueue queue_;
  std::unique_ptr<GrpcStream> stream_;
  v1::QuotaResponse response_;
  std::atomic<bool> connected_{false};
  bool look_posted_ = false;
  int64_t timer_at_us_ = QuotaCommandQueue::kNever;  // when it fires
  int backoff_ms_ = kQuotaReconnectMsMin;
  std::string logged_;  // the last failure: told once, until a connection stood
  std::vector<std::promise<void>> flushes_;
};

}  // namespace

std::unique_ptr<GrpcQuotaClient> NewGrpcQuotaClient(asio::io_context& io, QuotaClientOptions options) {
  return std::make_unique<Client>(io, std::move(options));
}

}  // namespace signalbox
