#include "dataplane/quota/grpc_quota_client.h"

#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "common/money.h"
#include "common/mutex.h"
#include "common/rpc/rpc.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr size_t kMessageBytesMax = 1 << 20;

absl::StatusOr<v1::QuotaAnswer> AnswerToCaller(v1::QuotaAnswer answer) {
  switch (answer.result()) {
    case v1::QuotaAnswer::GRANTED:
    case v1::QuotaAnswer::DENIED:
      return answer;
    case v1::QuotaAnswer::INVALID:
      return absl::InvalidArgumentError(absl::StrCat("the quota service refused the command: ", answer.message()));
    default:
      return absl::UnavailableError("the quota service has forgotten the command");
  }
}

class Client final : public GrpcQuotaClient {
 public:
  explicit Client(QuotaClientOptions options)
      : options_(std::move(options)), stub_(v1::Quota::NewStub(options_.channel)), disconnected_since_us_(Now()) {
    worker_ = std::thread([this] { Work(); });
  }

  ~Client() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      if (stream_ != nullptr) stream_->context.TryCancel();
      wake_.NotifyAll();
    }
    worker_.join();
    std::vector<Completion> ready;
    {
      MutexLock lock(mutex_);
      while (streams_ > 0) idle_.Wait(mutex_);
      ready.swap(ready_);
      for (auto& [sequence, pending] : pending_) {
        if (pending.done) ready.push_back({std::move(pending.done), absl::CancelledError("the proxy is stopping")});
      }
      pending_.clear();
    }
    for (Completion& completion : ready) completion.done(std::move(completion.result));
  }

  void Acquire(v1::Acquire acquire, Done done) override {
    v1::QuotaCommand command;
    *command.mutable_acquire() = std::move(acquire);
    Call(std::move(command), std::move(done));
  }

  void Extend(v1::Extend extend, Done done) override {
    v1::QuotaCommand command;
    *command.mutable_extend() = std::move(extend);
    Call(std::move(command), std::move(done));
  }

  void Settle(v1::Settle settle) override {
    v1::QuotaCommand command;
    *command.mutable_settle() = std::move(settle);
    MutexLock lock(mutex_);
    const std::string& request_id = command.settle().request_id();
    const bool turned_away = turned_away_.erase(request_id) > 0;
    if (asked_.erase(request_id) == 0 && turned_away) return;  // the service never heard of it
    Add(std::move(command), nullptr);
  }

  // With the service away for hours, what waits grows with the counters, not with the requests.
  void ForceCharge(v1::ForceCharge charge) override {
    std::string counter = charge.counter().SerializeAsString();
    MutexLock lock(mutex_);
    if (const auto waiting = waiting_charges_.find(counter); waiting != waiting_charges_.end()) {
      v1::ForceCharge& first = *pending_.at(waiting->second).command.mutable_force_charge();
      first.set_amount(AddSaturating(first.amount(), charge.amount()));
      return;
    }
    if (waiting_charges_.size() >= kQuotaWaitingChargesMax) {
      if (metrics_.dropped_charges++ == 0) {
        LOG(ERROR) << "quota: forced charges of " << waiting_charges_.size()
                   << " counters wait for the service; those of further counters are dropped";
      }
      return;
    }
    waiting_charges_.emplace(std::move(counter), next_sequence_);
    v1::QuotaCommand command;
    *command.mutable_force_charge() = std::move(charge);
    Add(std::move(command), nullptr);
  }

  bool Connected() const override {
    MutexLock lock(mutex_);
    return connected_;
  }

  bool Flush(int timeout_ms) override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    MutexLock lock(mutex_);
    while (reliable_ > 0) {
      if (!idle_.WaitUntil(mutex_, deadline)) return reliable_ == 0;
    }
    return true;
  }

  QuotaClientMetrics metrics() const override {
    MutexLock lock(mutex_);
    QuotaClientMetrics metrics = metrics_;
    metrics.waiting = static_cast<int64_t>(pending_.size());
    return metrics;
  }

 private:
  struct Pending {
    v1::QuotaCommand command;
    Done done;          // acquires and extends
    bool sent = false;  // on any stream: the service may have it
  };
  struct Completion {
    Done done;
    absl::StatusOr<v1::QuotaAnswer> result;
  };

  // One connection. Deleted by gRPC's last callback; `writing` is guarded by the client's mutex.
  struct Stream final : grpc::ClientBidiReactor<v1::QuotaRequest, v1::QuotaResponse> {
    explicit Stream(Client& client) : client(client) {}
    void OnReadInitialMetadataDone(bool ok) override { client.OnConnected(*this, ok); }
    void OnReadDone(bool ok) override { client.OnRead(*this, ok); }
    void OnWriteDone(bool ok) override { client.OnWritten(*this, ok); }
    void OnDone(const grpc::Status& status) override {
      Client& owner = client;
      delete this;
      owner.OnStreamDone(status);
    }
    Client& client;
    grpc::ClientContext context;
    v1::QuotaRequest request;
    v1::QuotaResponse response;
    bool writing = false;
    bool greeted = false;
  };

  int64_t Now() const { return options_.clock->MonotonicMicros(); }

  void Call(v1::QuotaCommand command, Done done) {
    MutexLock lock(mutex_);
    const int64_t now = Now();
    if (!connected_ && now - disconnected_since_us_ > options_.call_timeout_us) {
      if (command.has_acquire() && !asked_.contains(command.acquire().request_id())) {
        turned_away_.insert(command.acquire().request_id());
      }
      ready_.push_back({std::move(done), absl::UnavailableError("no connection to the quota service")});
      WakeBy(now);
      return;
    }
    if (command.has_acquire()) asked_.insert(command.acquire().request_id());
    deadlines_.emplace_back(now + options_.call_timeout_us, next_sequence_);
    WakeBy(deadlines_.back().first);
    Add(std::move(command), std::move(done));
  }

  void Add(v1::QuotaCommand command, Done done) SB_REQUIRES(mutex_) {
    const uint64_t sequence = next_sequence_++;
    command.set_sequence(sequence);
    if (IsReliable(command)) ++reliable_;
    pending_.emplace_hint(pending_.end(), sequence, Pending{std::move(command), std::move(done)});
    SendIfDue();
  }

  static bool IsReliable(const v1::QuotaCommand& command) { return command.has_settle() || command.has_force_charge(); }

  // The first command after a quiet moment goes at once, later ones when the pace allows.
  void SendIfDue() SB_REQUIRES(mutex_) {
    if (!connected_ || stream_->writing) return;
    const int64_t now = Now();
    const bool heartbeat = now - heartbeat_us_ >= kHeartbeatUs;
    const auto first = pending_.lower_bound(unsent_from_);
    if (!heartbeat && (first == pending_.end() || unanswered_ >= kQuotaUnansweredMax)) {
      return WakeBy(heartbeat_us_ + kHeartbeatUs);
    }
    if (!heartbeat && now - last_message_us_ < kQuotaBatchPaceUs) return WakeBy(last_message_us_ + kQuotaBatchPaceUs);
    Send(now, heartbeat);
  }

  void Send(int64_t now, bool heartbeat) SB_REQUIRES(mutex_) {
    v1::QuotaRequest& request = stream_->request;
    request.Clear();
    if (!stream_->greeted) {
      request.set_proxy_id(options_.proxy_id);
      request.set_boot_id(options_.boot_id);
      stream_->greeted = true;
    }
    request.set_acked_through(AckedThrough());
    request.set_heartbeat(heartbeat);
    size_t bytes = 0;
    for (auto it = pending_.lower_bound(unsent_from_); it != pending_.end(); ++it) {
      if (request.commands_size() >= kQuotaBatchCommandsMax || unanswered_ >= kQuotaUnansweredMax ||
          bytes >= kMessageBytesMax) {
        break;
      }
      if (it->second.command.has_force_charge() && !it->second.sent) {
        waiting_charges_.erase(it->second.command.force_charge().counter().SerializeAsString());
      }
      *request.add_commands() = it->second.command;
      bytes += it->second.command.ByteSizeLong();
      it->second.sent = true;
      unsent_from_ = it->first + 1;
      ++unanswered_;
    }
    if (request.commands_size() > 0) {
      ++metrics_.messages;
      metrics_.commands += request.commands_size();
    }
    last_message_us_ = now;
    if (heartbeat) heartbeat_us_ = now;
    stream_->writing = true;
    stream_->StartWrite(&request);
  }

  // Every answer up to here came, or its command never left, or its cancel was answered.
  uint64_t AckedThrough() const SB_REQUIRES(mutex_) {
    uint64_t first = pending_.empty() ? next_sequence_ : pending_.begin()->first;
    if (!cancelled_.empty()) first = std::min(first, *cancelled_.begin());
    return first - 1;
  }

  void OnConnected(Stream& stream, bool ok) {
    MutexLock lock(mutex_);
    if (!ok || stream_ != &stream || stopping_) return;
    connected_ = true;
    backoff_ms_ = kQuotaReconnectMsMin;
    if (++connections_ > 1) {
      ++metrics_.reconnects;
      LOG(INFO) << "quota: connected again, " << pending_.size() << " commands unanswered";
    }
    // All that was not answered goes again, with its sequence and in its order.
    unsent_from_ = 0;
    unanswered_ = 0;
    heartbeat_us_ = last_message_us_ = Now() - kHeartbeatUs;
    SendIfDue();
  }

  void OnWritten(Stream& stream, bool ok) {
    MutexLock lock(mutex_);
    stream.writing = false;
    if (ok && stream_ == &stream) SendIfDue();  // a failed write ends the stream; its read reports it
  }

  void OnRead(Stream& stream, bool ok) {
    std::vector<Completion> ready;
    if (!ok) {
      {
        MutexLock lock(mutex_);
        if (stream_ == &stream) Disconnect();
      }
      return stream.RemoveHold();
    }
    {
      MutexLock lock(mutex_);
      for (v1::QuotaAnswer& answer : *stream.response.mutable_answers()) Take(std::move(answer), ready);
      if (reliable_ == 0) idle_.NotifyAll();
      if (stream_ == &stream) SendIfDue();
    }
    for (Completion& completion : ready) completion.done(std::move(completion.result));
    stream.response.Clear();
    stream.StartRead(&stream.response);
  }

  void Take(v1::QuotaAnswer answer, std::vector<Completion>& ready) SB_REQUIRES(mutex_) {
    if (unanswered_ > 0) --unanswered_;
    const auto it = pending_.find(answer.sequence());
    if (it == pending_.end()) return;  // given up meanwhile; its cancel is on the way
    Pending pending = std::move(it->second);
    pending_.erase(it);
    if (pending.command.has_cancel()) cancelled_.erase(pending.command.cancel().sequence());
    if (IsReliable(pending.command)) {
      --reliable_;
      if (answer.result() == v1::QuotaAnswer::INVALID) {
        ++metrics_.refused;
        LOG(ERROR) << "quota: the service refused to charge: " << answer.message() << ": "
                   << pending.command.ShortDebugString();
      }
    }
    if (pending.done) ready.push_back({std::move(pending.done), AnswerToCaller(std::move(answer))});
  }

  void Disconnect() SB_REQUIRES(mutex_) {
    stream_ = nullptr;
    if (connected_) disconnected_since_us_ = Now();
    connected_ = false;
  }

  void OnStreamDone(const grpc::Status& status) {
    MutexLock lock(mutex_);
    if (!stopping_ && (connections_ != logged_connections_ || status.error_code() != logged_error_)) {
      logged_connections_ = connections_;
      logged_error_ = status.error_code();
      LOG(WARNING) << "quota: no connection to the service: " << status.error_message();
    }
    reconnect_us_ = Now() + int64_t{backoff_ms_} * 1'000;
    backoff_ms_ = std::min(backoff_ms_ * 2, kQuotaReconnectMsMax);
    WakeBy(reconnect_us_);
    --streams_;
    idle_.NotifyAll();  // last: the destructor may be waiting for it
  }

  void WakeBy(int64_t time_us) SB_REQUIRES(mutex_) {
    if (time_us >= wake_us_) return;
    wake_us_ = time_us;
    wake_.NotifyOne();
  }

  void Work() {
    MutexLock lock(mutex_);
    while (!stopping_) {
      const int64_t now = Now();
      wake_us_ = kNever;
      if (streams_ == 0) {
        if (now >= reconnect_us_) {
          Connect();
        } else {
          WakeBy(reconnect_us_);
        }
      }
      GiveUpOverdue(now);
      SendIfDue();
      if (!ready_.empty()) {
        Complete();
        continue;
      }
      while (!stopping_ && Now() < wake_us_) {
        if (wake_us_ == kNever) {
          wake_.Wait(mutex_);
        } else {
          wake_.WaitUntil(mutex_, std::chrono::steady_clock::now() + std::chrono::microseconds(wake_us_ - Now()));
        }
      }
    }
  }

  void Complete() SB_REQUIRES(mutex_) {
    std::vector<Completion> ready;
    ready.swap(ready_);
    mutex_.Unlock();
    for (Completion& completion : ready) completion.done(std::move(completion.result));
    mutex_.Lock();
  }

  void Connect() SB_REQUIRES(mutex_) {
    stream_ = new Stream(*this);
    ++streams_;
    AddToken(stream_->context, options_.token);
    stub_->async()->Session(&stream_->context, stream_);
    stream_->AddHold();  // writes start on any thread; released when the read ends
    stream_->StartRead(&stream_->response);
    stream_->StartCall();
  }

  // The service may have decided what it was sent: a cancel undoes it, and until that is answered the sequence is not
  // acknowledged, so that it cannot be decided later either.
  void GiveUpOverdue(int64_t now) SB_REQUIRES(mutex_) {
    for (; !deadlines_.empty() && deadlines_.front().first <= now; deadlines_.pop_front()) {
      const auto it = pending_.find(deadlines_.front().second);
      if (it == pending_.end()) continue;
      Pending pending = std::move(it->second);
      pending_.erase(it);
      ++metrics_.timeouts;
      ready_.push_back({std::move(pending.done), absl::UnavailableError("the quota service did not answer in time")});
      if (!pending.sent) continue;
      v1::QuotaCommand cancel;
      cancel.mutable_cancel()->set_sequence(pending.command.sequence());
      cancelled_.insert(pending.command.sequence());
      Add(std::move(cancel), nullptr);
    }
    while (!deadlines_.empty() && !pending_.contains(deadlines_.front().second)) deadlines_.pop_front();
    if (!deadlines_.empty()) WakeBy(deadlines_.front().first);
  }

  const QuotaClientOptions options_;
  const std::unique_ptr<v1::Quota::Stub> stub_;

  mutable Mutex mutex_;
  CondVar wake_;  // the worker
  CondVar idle_;  // Flush and the destructor
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  uint64_t next_sequence_ SB_GUARDED_BY(mutex_) = 1;
  absl::btree_map<uint64_t, Pending> pending_ SB_GUARDED_BY(mutex_);  // unanswered, by sequence
  absl::btree_set<uint64_t> cancelled_ SB_GUARDED_BY(mutex_);         // given up, cancel not answered yet
  absl::flat_hash_map<std::string, uint64_t> waiting_charges_ SB_GUARDED_BY(mutex_);  // by counter: not sent yet
  absl::flat_hash_set<std::string> asked_ SB_GUARDED_BY(mutex_);        // requests whose acquire may have left
  absl::flat_hash_set<std::string> turned_away_ SB_GUARDED_BY(mutex_);  // and those whose never did
  std::deque<std::pair<int64_t, uint64_t>> deadlines_ SB_GUARDED_BY(mutex_);
  std::vector<Completion> ready_ SB_GUARDED_BY(mutex_);
  int64_t reliable_ SB_GUARDED_BY(mutex_) = 0;      // settles and forced charges pending
  uint64_t unsent_from_ SB_GUARDED_BY(mutex_) = 0;  // on this stream
  size_t unanswered_ SB_GUARDED_BY(mutex_) = 0;     // on this stream
  Stream* stream_ SB_GUARDED_BY(mutex_) = nullptr;
  int streams_ SB_GUARDED_BY(mutex_) = 0;  // not yet done; at most one
  bool connected_ SB_GUARDED_BY(mutex_) = false;
  int64_t connections_ SB_GUARDED_BY(mutex_) = 0;
  int64_t logged_connections_ SB_GUARDED_BY(mutex_) = -1;
  grpc::StatusCode logged_error_ SB_GUARDED_BY(mutex_) = grpc::StatusCode::OK;
  int64_t disconnected_since_us_ SB_GUARDED_BY(mutex_);
  int64_t reconnect_us_ SB_GUARDED_BY(mutex_) = std::numeric_limits<int64_t>::min();
  int backoff_ms_ SB_GUARDED_BY(mutex_) = kQuotaReconnectMsMin;
  int64_t last_message_us_ SB_GUARDED_BY(mutex_) = 0;
  int64_t heartbeat_us_ SB_GUARDED_BY(mutex_) = 0;
  int64_t wake_us_ SB_GUARDED_BY(mutex_) = kNever;
  QuotaClientMetrics metrics_ SB_GUARDED_BY(mutex_);
  std::thread worker_;
};

}  // namespace

std::unique_ptr<GrpcQuotaClient> NewGrpcQuotaClient(QuotaClientOptions options) {
  return std::make_unique<Client>(std::move(options));
}

}  // namespace signalbox
