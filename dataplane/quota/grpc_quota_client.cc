#include "dataplane/quota/grpc_quota_client.h"

#include <glog/logging.h>
#include <google/protobuf/io/coded_stream.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <limits>
#include <memory>
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
#include "common/thread_name.h"
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

// Traffic is dense when acquires come closer together than this and more than one travelled in the last message; the
// next then waits until about so many gathered, within these bounds. Else nothing waits but for the answer that is out.
constexpr int64_t kDenseGapUs = 250;
constexpr int64_t kDenseAcquires = 10;
constexpr int64_t kDensePaceUsMin = 500;
constexpr int64_t kDensePaceUsMax = 2'000;
// A settle waits so long for an acquire to travel with, as long as there was one within kBusyUs.
constexpr int64_t kSettleWaitUs = 1'000;
constexpr int64_t kBusyUs = 5'000;

// A command as it stands in a QuotaRequest: encoded once, however often it is sent. `field` is its kind's in
// QuotaCommand.
std::string EncodeCommand(uint64_t sequence, int field, const google::protobuf::MessageLite& command) {
  using Coded = google::protobuf::io::CodedOutputStream;
  constexpr uint32_t kVarint = 0, kBytes = 2;  // wire types
  const size_t bytes = command.ByteSizeLong();
  const size_t whole = 1 + Coded::VarintSize64(sequence) + 1 + Coded::VarintSize64(bytes) + bytes;
  std::string encoded(1 + Coded::VarintSize64(whole) + whole, '\0');
  auto* at = reinterpret_cast<uint8_t*>(encoded.data());
  at = Coded::WriteTagToArray(v1::QuotaRequest::kCommandsFieldNumber << 3 | kBytes, at);
  at = Coded::WriteVarint64ToArray(whole, at);
  at = Coded::WriteTagToArray(v1::QuotaCommand::kSequenceFieldNumber << 3 | kVarint, at);
  at = Coded::WriteVarint64ToArray(sequence, at);
  at = Coded::WriteTagToArray(static_cast<uint32_t>(field) << 3 | kBytes, at);
  at = Coded::WriteVarint64ToArray(bytes, at);
  command.SerializeWithCachedSizesToArray(at);
  return encoded;
}

std::string DescribeCommand(const std::string& encoded) {
  v1::QuotaRequest request;
  if (!request.ParseFromString(encoded) || request.commands_size() != 1) return "";
  return request.commands(0).ShortDebugString();
}

// One thread does what waits: it polls the completion queue, reads answers, keeps time. Whoever adds a command that is
// due writes it at once, also other threads; messages are written without the lock.
class Client final : public GrpcQuotaClient {
 public:
  explicit Client(QuotaClientOptions options)
      : options_(std::move(options)), stub_(options_.channel), disconnected_since_us_(Now()) {
    worker_ = std::thread([this] { Work(); });
  }

  ~Client() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      if (stream_ != nullptr) stream_->context.TryCancel();
      Kick();
    }
    worker_.join();
    std::vector<Completion> ready;
    {
      MutexLock lock(mutex_);
      ready.swap(ready_);
      for (auto& [sequence, pending] : pending_) {
        if (pending.done) ready.push_back({std::move(pending.done), absl::CancelledError("the proxy is stopping")});
      }
      pending_.clear();
    }
    Complete(ready);
  }

  void Acquire(const v1::Acquire& acquire, Done done) override {
    Outgoing due;
    {
      MutexLock lock(mutex_);
      const int64_t now = Now();
      gap_us_ += (std::min(now - last_acquire_us_, kBusyUs) - gap_us_) / 8;
      last_acquire_us_ = now;
      if (TurnsAway(now)) {
        if (!asked_.contains(acquire.request_id())) turned_away_.insert(acquire.request_id());
        return TurnAway(std::move(done));
      }
      asked_.insert(acquire.request_id());
      due = AddCall(v1::QuotaCommand::kAcquireFieldNumber, acquire, std::move(done), now);
    }
    Write(due);
  }

  void Extend(const v1::Extend& extend, Done done) override {
    Outgoing due;
    {
      MutexLock lock(mutex_);
      const int64_t now = Now();
      if (TurnsAway(now)) return TurnAway(std::move(done));
      due = AddCall(v1::QuotaCommand::kExtendFieldNumber, extend, std::move(done), now);
    }
    Write(due);
  }

  void Settle(const v1::Settle& settle) override {
    Outgoing due;
    {
      MutexLock lock(mutex_);
      const bool turned_away = turned_away_.erase(settle.request_id()) > 0;
      if (asked_.erase(settle.request_id()) == 0 && turned_away) return;  // the service never heard of it
      const int64_t now = Now();
      Pending& pending = Add(v1::QuotaCommand::kSettleFieldNumber);
      pending.encoded = EncodeCommand(next_sequence_ - 1, pending.field, settle);
      due = TakeReliable(now);
    }
    Write(due);
  }

  // With the service away for hours, what waits grows with the counters, not with the requests.
  void ForceCharge(v1::ForceCharge charge) override {
    std::string counter = charge.counter().SerializeAsString();
    Outgoing due;
    {
      MutexLock lock(mutex_);
      if (const auto waiting = waiting_charges_.find(counter); waiting != waiting_charges_.end()) {
        v1::ForceCharge& first = *pending_.at(waiting->second).charge;
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
      Add(v1::QuotaCommand::kForceChargeFieldNumber).charge = std::make_unique<v1::ForceCharge>(std::move(charge));
      due = TakeReliable(Now());
    }
    Write(due);
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
    int field = 0;                            // its kind: the field in QuotaCommand
    std::string encoded;                      // empty: a charge that may still grow
    std::unique_ptr<v1::ForceCharge> charge;  // not sent yet
    uint64_t cancels = 0;                     // of a cancel: the sequence it is about
    Done done;                                // acquires and extends
    bool sent = false;                        // on any stream: the service may have it
    bool reliable() const {
      return field == v1::QuotaCommand::kSettleFieldNumber || field == v1::QuotaCommand::kForceChargeFieldNumber;
    }
  };
  struct Completion {
    Done done;
    absl::StatusOr<v1::QuotaAnswer> result;
  };

  // One connection; the client's thread deletes it when its last operation is done. `writing` and `ended` are guarded
  // by the client's mutex.
  struct Stream {
    struct Event {
      enum class Kind { kStarted, kGreeted, kRead, kWritten, kFinished } kind;
      Stream& stream;
    };
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncReaderWriter<grpc::ByteBuffer, v1::QuotaResponse>> call;
    v1::QuotaResponse response;
    grpc::Status status;
    bool writing = false;
    bool ended = false;  // nothing more to read: finishes when nothing is being written
    bool greeted = false;
    Event started{Event::Kind::kStarted, *this}, metadata{Event::Kind::kGreeted, *this},
        read{Event::Kind::kRead, *this}, written{Event::Kind::kWritten, *this}, finished{Event::Kind::kFinished, *this};
  };

  // A message that is due, and where to; null: none is.
  struct Outgoing {
    Stream* stream = nullptr;
    grpc::ByteBuffer message;
  };
  // Without the lock: `stream` stays until the write is done.
  static void Write(Outgoing& due) {
    if (due.stream != nullptr) due.stream->call->Write(due.message, &due.stream->written);
  }
  static void Complete(std::vector<Completion>& ready) {
    for (Completion& completion : ready) completion.done(std::move(completion.result));
  }

  int64_t Now() const { return options_.clock->MonotonicMicros(); }

  // ---- What is added.

  bool TurnsAway(int64_t now) const SB_REQUIRES(mutex_) {
    return !connected_ && now - disconnected_since_us_ > options_.call_timeout_us;
  }
  void TurnAway(Done done) SB_REQUIRES(mutex_) {
    ready_.push_back({std::move(done), absl::UnavailableError("no connection to the quota service")});
    Kick();
  }

  Outgoing AddCall(int field, const google::protobuf::MessageLite& command, Done done, int64_t now)
      SB_REQUIRES(mutex_) {
    deadlines_.emplace_back(now + options_.call_timeout_us, next_sequence_);
    Pending& pending = Add(field);
    pending.encoded = EncodeCommand(next_sequence_ - 1, field, command);
    pending.done = std::move(done);
    hurry_ = true;
    return TakeDueOrWake(now);
  }

  Outgoing TakeReliable(int64_t now) SB_REQUIRES(mutex_) {
    const bool busy = now - last_acquire_us_ < kBusyUs;
    settle_by_us_ = std::min(settle_by_us_, busy ? now + kSettleWaitUs : now);
    return TakeDueOrWake(now);
  }

  Pending& Add(int field) SB_REQUIRES(mutex_) {
    Pending& pending = pending_.emplace_hint(pending_.end(), next_sequence_++, Pending())->second;
    pending.field = field;
    if (pending.reliable()) ++reliable_;
    return pending;
  }

  // ---- Sending.

  int64_t DensePaceUs() const SB_REQUIRES(mutex_) {
    if (gap_us_ >= kDenseGapUs || calls_in_last_message_ < 2) return 0;
    return std::clamp(kDenseAcquires * gap_us_, kDensePaceUsMin, kDensePaceUsMax);
  }

  // When the next message goes, heartbeats aside. The first acquire after a quiet moment goes at once, later ones with
  // the answer to the message that is out, or when the pace allows, if that is sooner.
  int64_t DueUs() const SB_REQUIRES(mutex_) {
    if (unanswered_ >= kQuotaUnansweredMax || pending_.lower_bound(unsent_from_) == pending_.end()) return kNever;
    if (!hurry_) return settle_by_us_;
    const int64_t pace_us = unanswered_ > 0 ? std::max(DensePaceUs(), kQuotaBatchPaceUs) : DensePaceUs();
    return std::min(last_message_us_ + pace_us, settle_by_us_);
  }

  Outgoing TakeDue(int64_t now) SB_REQUIRES(mutex_) {
    if (!connected_ || stream_->writing) return {};
    const bool heartbeat = now - heartbeat_us_ >= kHeartbeatUs;
    if (!heartbeat && now < DueUs()) return {};
    return TakeMessage(now, heartbeat);
  }

  // What is not due yet the client's thread looks for: when something is under way anyway, else when told.
  Outgoing TakeDueOrWake(int64_t now) SB_REQUIRES(mutex_) {
    Outgoing due = TakeDue(now);
    const bool answer_comes = connected_ && unanswered_ > 0 && now - last_message_us_ < kBusyUs;
    if (due.stream == nullptr && !answer_comes && NextLookUs(now) + kSettleWaitUs < wake_us_) Kick();
    return due;
  }

  Outgoing TakeMessage(int64_t now, bool heartbeat) SB_REQUIRES(mutex_) {
    v1::QuotaRequest request;
    if (!stream_->greeted) {
      request.set_proxy_id(options_.proxy_id);
      request.set_boot_id(options_.boot_id);
      stream_->greeted = true;
    }
    request.set_acked_through(AckedThrough());
    request.set_heartbeat(heartbeat);
    std::string bytes = request.SerializeAsString();
    int commands = 0;
    int calls = 0;
    auto next = pending_.lower_bound(unsent_from_);
    for (; next != pending_.end(); ++next) {
      if (commands >= kQuotaBatchCommandsMax || unanswered_ >= kQuotaUnansweredMax ||
          bytes.size() >= kMessageBytesMax) {
        break;
      }
      Pending& pending = next->second;
      if (pending.charge != nullptr) {
        waiting_charges_.erase(pending.charge->counter().SerializeAsString());
        pending.encoded = EncodeCommand(next->first, pending.field, *pending.charge);
        pending.charge.reset();
      }
      bytes += pending.encoded;
      pending.sent = true;
      if (pending.done) ++calls;
      unsent_from_ = next->first + 1;
      ++unanswered_;
      ++commands;
    }
    hurry_ = next != pending_.end();
    settle_by_us_ = kNever;
    if (commands > 0) {
      ++metrics_.messages;
      metrics_.commands += commands;
    }
    last_message_us_ = now;
    calls_in_last_message_ = calls;
    if (heartbeat) heartbeat_us_ = now;
    stream_->writing = true;
    const grpc::Slice slice(bytes);
    return {stream_, grpc::ByteBuffer(&slice, 1)};
  }

  // Every answer up to here came, or its command never left, or its cancel was answered.
  uint64_t AckedThrough() const SB_REQUIRES(mutex_) {
    uint64_t first = pending_.empty() ? next_sequence_ : pending_.begin()->first;
    if (!cancelled_.empty()) first = std::min(first, *cancelled_.begin());
    return first - 1;
  }

  // ---- The client's thread.

  // It looks again at once.
  void Kick() SB_REQUIRES(mutex_) {
    if (std::exchange(kicked_, true)) return;
    alarm_.Set(&queue_, gpr_now(GPR_CLOCK_MONOTONIC), &alarm_);
  }

  void Work() {
    NameThread("quota client");
    while (true) {
      Outgoing due;
      std::vector<Completion> ready;
      int64_t wait_us = 0;
      {
        MutexLock lock(mutex_);
        if (stopping_ && streams_ == 0 && !kicked_) break;
        const int64_t now = Now();
        if (streams_ == 0 && !stopping_ && now >= reconnect_us_) Connect();
        GiveUpOverdue(now);
        due = TakeDue(now);
        ready.swap(ready_);
        wake_us_ = NextLookUs(now);
        wait_us = std::clamp<int64_t>(wake_us_ - now, 0, kHeartbeatUs);
      }
      Write(due);
      Complete(ready);
      void* tag = nullptr;
      bool ok = false;
      const gpr_timespec until =
          gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(wait_us, GPR_TIMESPAN));
      if (queue_.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT) Take(tag, ok);
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  int64_t NextLookUs(int64_t now) const SB_REQUIRES(mutex_) {
    int64_t next = streams_ == 0 ? reconnect_us_ : kNever;
    if (connected_ && !stream_->writing) next = std::min({next, heartbeat_us_ + kHeartbeatUs, DueUs()});
    if (!deadlines_.empty()) next = std::min(next, deadlines_.front().first);
    if (now - last_acquire_us_ < kBusyUs) next = std::min(next, now + kSettleWaitUs);
    return next;
  }

  void Take(void* tag, bool ok) {
    if (tag == &alarm_) {
      MutexLock lock(mutex_);
      kicked_ = false;
      return;
    }
    const auto& event = *static_cast<Stream::Event*>(tag);
    Stream& stream = event.stream;
    switch (event.kind) {
      case Stream::Event::Kind::kStarted:
        return ok ? stream.call->ReadInitialMetadata(&stream.metadata) : OnEnded(stream);
      case Stream::Event::Kind::kGreeted:
        return ok ? OnConnected(stream) : OnEnded(stream);
      case Stream::Event::Kind::kRead:
        return ok ? OnRead(stream) : OnEnded(stream);
      case Stream::Event::Kind::kWritten:
        return OnWritten(stream);
      case Stream::Event::Kind::kFinished:
        OnFinished(stream.status);
        delete &stream;
    }
  }

  void Connect() SB_REQUIRES(mutex_) {
    stream_ = new Stream;
    ++streams_;
    AddToken(stream_->context, options_.token);
    stream_->call = stub_.PrepareCall(&stream_->context, "/signalbox.v1.Quota/Session", &queue_);
    stream_->call->StartCall(&stream_->started);
  }

  void OnConnected(Stream& stream) {
    stream.call->Read(&stream.response, &stream.read);
    MutexLock lock(mutex_);
    if (stopping_) return;
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
  }

  void OnRead(Stream& stream) {
    std::vector<Completion> ready;
    Outgoing due;
    {
      MutexLock lock(mutex_);
      for (v1::QuotaAnswer& answer : *stream.response.mutable_answers()) TakeAnswer(answer, ready);
      if (reliable_ == 0) idle_.NotifyAll();
      due = TakeDue(Now());
    }
    Write(due);
    Complete(ready);
    stream.response.Clear();
    stream.call->Read(&stream.response, &stream.read);
  }

  void TakeAnswer(v1::QuotaAnswer& answer, std::vector<Completion>& ready) SB_REQUIRES(mutex_) {
    if (unanswered_ > 0) --unanswered_;
    const auto it = pending_.find(answer.sequence());
    if (it == pending_.end()) return;  // given up meanwhile; its cancel is on the way
    Pending& pending = it->second;
    if (pending.cancels > 0) cancelled_.erase(pending.cancels);
    if (pending.reliable()) {
      --reliable_;
      if (answer.result() == v1::QuotaAnswer::INVALID) {
        ++metrics_.refused;
        LOG(ERROR) << "quota: the service refused to charge: " << answer.message() << ": "
                   << DescribeCommand(pending.encoded);
      }
    }
    if (pending.done) ready.push_back({std::move(pending.done), AnswerToCaller(std::move(answer))});
    pending_.erase(it);
  }

  void OnWritten(Stream& stream) {
    MutexLock lock(mutex_);
    stream.writing = false;  // a failed write ends the stream; its read reports it
    if (stream.ended) stream.call->Finish(&stream.status, &stream.finished);
  }

  void OnEnded(Stream& stream) {
    MutexLock lock(mutex_);
    stream_ = nullptr;
    if (connected_) disconnected_since_us_ = Now();
    connected_ = false;
    stream.ended = true;
    if (!stream.writing) stream.call->Finish(&stream.status, &stream.finished);
  }

  void OnFinished(const grpc::Status& status) {
    MutexLock lock(mutex_);
    if (!stopping_ && (connections_ != logged_connections_ || status.error_code() != logged_error_)) {
      logged_connections_ = connections_;
      logged_error_ = status.error_code();
      LOG(WARNING) << "quota: no connection to the service: " << status.error_message();
    }
    reconnect_us_ = Now() + int64_t{backoff_ms_} * 1'000;
    backoff_ms_ = std::min(backoff_ms_ * 2, kQuotaReconnectMsMax);
    --streams_;
  }

  // The service may have decided what it was sent: a cancel undoes it, and until that is answered the sequence is not
  // acknowledged, so that it cannot be decided later either.
  void GiveUpOverdue(int64_t now) SB_REQUIRES(mutex_) {
    for (; !deadlines_.empty() && deadlines_.front().first <= now; deadlines_.pop_front()) {
      const uint64_t sequence = deadlines_.front().second;
      const auto it = pending_.find(sequence);
      if (it == pending_.end()) continue;
      ++metrics_.timeouts;
      ready_.push_back(
          {std::move(it->second.done), absl::UnavailableError("the quota service did not answer in time")});
      const bool sent = it->second.sent;
      pending_.erase(it);
      if (!sent) continue;
      v1::Cancel cancel;
      cancel.set_sequence(sequence);
      cancelled_.insert(sequence);
      Pending& pending = Add(v1::QuotaCommand::kCancelFieldNumber);
      pending.encoded = EncodeCommand(next_sequence_ - 1, pending.field, cancel);
      pending.cancels = sequence;
      hurry_ = true;
    }
    while (!deadlines_.empty() && !pending_.contains(deadlines_.front().second)) deadlines_.pop_front();
  }

  const QuotaClientOptions options_;
  grpc::TemplatedGenericStub<grpc::ByteBuffer, v1::QuotaResponse> stub_;
  grpc::CompletionQueue queue_;
  grpc::Alarm alarm_;

  mutable Mutex mutex_;
  CondVar idle_;  // Flush
  bool stopping_ SB_GUARDED_BY(mutex_) = false;
  bool kicked_ SB_GUARDED_BY(mutex_) = false;  // the alarm is set
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
  int calls_in_last_message_ SB_GUARDED_BY(mutex_) = 0;
  int64_t heartbeat_us_ SB_GUARDED_BY(mutex_) = 0;
  bool hurry_ SB_GUARDED_BY(mutex_) = false;             // somebody waits for something that was not sent yet
  int64_t settle_by_us_ SB_GUARDED_BY(mutex_) = kNever;  // when settles and charges go, whatever else does
  int64_t last_acquire_us_ SB_GUARDED_BY(mutex_) = -kBusyUs;
  int64_t gap_us_ SB_GUARDED_BY(mutex_) = kBusyUs;  // between acquires, smoothed
  int64_t wake_us_ SB_GUARDED_BY(mutex_) = kNever;  // when the thread looks again by itself
  QuotaClientMetrics metrics_ SB_GUARDED_BY(mutex_);
  std::thread worker_;
};

}  // namespace

std::unique_ptr<GrpcQuotaClient> NewGrpcQuotaClient(QuotaClientOptions options) {
  return std::make_unique<Client>(std::move(options));
}

}  // namespace signalbox
