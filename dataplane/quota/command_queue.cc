#include "dataplane/quota/command_queue.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/money.h"

namespace signalbox {
namespace {

constexpr size_t kMessageBytesMax = 1 << 20;

// Traffic is dense when acquires come closer together than this and more than one travelled in the last message; the
// next then waits until about so many gathered, within these bounds. Else nothing waits but for the answer that is out.
constexpr int64_t kDenseGapUs = 250;
constexpr int64_t kDenseAcquires = 10;
constexpr int64_t kDensePaceUsMin = 500;
constexpr int64_t kDensePaceUsMax = 2'000;
// A settle waits so long for an acquire to travel with, as long as there was one within kBusyUs.
constexpr int64_t kSettleWaitUs = 3'000;
constexpr int64_t kBusyUs = 5'000;

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

}  // namespace

QuotaCommandQueue::QuotaCommandQueue(std::string proxy_id, std::string boot_id, int64_t call_timeout_us, int64_t now_us)
    : proxy_id_(std::move(proxy_id)),
      boot_id_(std::move(boot_id)),
      call_timeout_us_(call_timeout_us),
      disconnected_since_us_(now_us),
      last_acquire_us_(now_us - kBusyUs),
      gap_us_(kBusyUs) {}

// ---- What is added.

void QuotaCommandQueue::Acquire(const v1::Acquire& acquire, Done done, int64_t now_us) {
  gap_us_ += (std::min(now_us - last_acquire_us_, kBusyUs) - gap_us_) / 8;
  last_acquire_us_ = now_us;
  if (TurnsAway(now_us)) {
    if (!asked_.contains(acquire.request_id())) turned_away_.insert(acquire.request_id());
    return TurnAway(std::move(done));
  }
  asked_.insert(acquire.request_id());
  AddCall(v1::QuotaCommand::kAcquireFieldNumber, acquire, std::move(done), now_us);
}

void QuotaCommandQueue::Extend(const v1::Extend& extend, Done done, int64_t now_us) {
  if (TurnsAway(now_us)) return TurnAway(std::move(done));
  AddCall(v1::QuotaCommand::kExtendFieldNumber, extend, std::move(done), now_us);
}

void QuotaCommandQueue::Settle(const v1::Settle& settle, int64_t now_us) {
  const bool turned_away = turned_away_.erase(settle.request_id()) > 0;
  if (asked_.erase(settle.request_id()) == 0 && turned_away) return;  // the service never heard of it
  Pending& pending = Add(v1::QuotaCommand::kSettleFieldNumber);
  pending.encoded = EncodeCommand(next_sequence_ - 1, pending.field, settle);
  SendReliableBy(now_us);
}

// With the service away for hours, what waits grows with the counters, not with the requests.
void QuotaCommandQueue::ForceCharge(v1::ForceCharge charge, int64_t now_us) {
  std::string counter = charge.counter().SerializeAsString();
  if (const auto waiting = waiting_charges_.find(counter); waiting != waiting_charges_.end()) {
    v1::ForceCharge& first = *pending_.at(waiting->second).charge;
    first.set_amount(AddSaturating(first.amount(), charge.amount()));
    return;
  }
  if (waiting_charges_.size() >= kQuotaWaitingChargesMax) {
    if (metrics_.dropped_charges++ == 0) {
      reports_.push_back(absl::StrCat("forced charges of ", waiting_charges_.size(),
                                      " counters wait for the service; those of further counters are dropped"));
    }
    return;
  }
  waiting_charges_.emplace(std::move(counter), next_sequence_);
  Add(v1::QuotaCommand::kForceChargeFieldNumber).charge = std::make_unique<v1::ForceCharge>(std::move(charge));
  SendReliableBy(now_us);
}

bool QuotaCommandQueue::TurnsAway(int64_t now_us) const {
  return !connected_ && now_us - disconnected_since_us_ > call_timeout_us_;
}

void QuotaCommandQueue::TurnAway(Done done) {
  completions_.push_back({std::move(done), absl::UnavailableError("no connection to the quota service")});
}

void QuotaCommandQueue::AddCall(int field, const google::protobuf::MessageLite& command, Done done, int64_t now_us) {
  deadlines_.emplace_back(now_us + call_timeout_us_, next_sequence_);
  Pending& pending = Add(field);
  pending.encoded = EncodeCommand(next_sequence_ - 1, field, command);
  pending.done = std::move(done);
  hurry_ = true;
}

QuotaCommandQueue::Pending& QuotaCommandQueue::Add(int field) {
  Pending& pending = pending_.emplace_hint(pending_.end(), next_sequence_++, Pending())->second;
  pending.field = field;
  if (pending.reliable()) ++reliable_;
  return pending;
}

void QuotaCommandQueue::SendReliableBy(int64_t now_us) {
  const bool busy = now_us - last_acquire_us_ < kBusyUs;
  settle_by_us_ = std::min(settle_by_us_, busy ? now_us + kSettleWaitUs : now_us);
}

// ---- Sending.

void QuotaCommandQueue::Connected(int64_t now_us) {
  connected_ = true;
  if (++sessions_ > 1) ++metrics_.reconnects;
  unsent_from_ = 0;
  unanswered_ = 0;
  heartbeat_us_ = last_message_us_ = now_us - kHeartbeatUs;
}

void QuotaCommandQueue::Disconnected(int64_t now_us) {
  if (connected_) disconnected_since_us_ = now_us;
  connected_ = false;
  greeted_ = false;
}

int64_t QuotaCommandQueue::DensePaceUs() const {
  if (gap_us_ >= kDenseGapUs || calls_in_last_message_ < 2) return 0;
  return std::clamp(kDenseAcquires * gap_us_, kDensePaceUsMin, kDensePaceUsMax);
}

// When the next message goes, heartbeats aside. The first acquire after a quiet moment goes at once, later ones with
// the answer to the message that is out, or when the pace allows, if that is sooner.
int64_t QuotaCommandQueue::DueUs() const {
  if (unanswered_ >= kQuotaUnansweredMax || pending_.lower_bound(unsent_from_) == pending_.end()) return kNever;
  if (!hurry_) return settle_by_us_;
  const int64_t pace_us = unanswered_ > 0 ? std::max(DensePaceUs(), kQuotaBatchPaceUs) : DensePaceUs();
  return std::min(last_message_us_ + pace_us, settle_by_us_);
}

int64_t QuotaCommandQueue::NextLookUs(bool can_send) const {
  int64_t next = connected_ && can_send ? std::min(heartbeat_us_ + kHeartbeatUs, DueUs()) : kNever;
  if (!deadlines_.empty()) next = std::min(next, deadlines_.front().first);
  return next;
}

std::optional<std::string> QuotaCommandQueue::TakeMessage(int64_t now_us) {
  if (!connected_) return std::nullopt;
  const bool heartbeat = now_us - heartbeat_us_ >= kHeartbeatUs;
  if (!heartbeat && now_us < DueUs()) return std::nullopt;
  v1::QuotaRequest request;
  if (!std::exchange(greeted_, true)) {
    request.set_proxy_id(proxy_id_);
    request.set_boot_id(boot_id_);
  }
  request.set_acked_through(AckedThrough());
  request.set_heartbeat(heartbeat);
  std::string bytes = request.SerializeAsString();
  int commands = 0;
  int calls = 0;
  auto next = pending_.lower_bound(unsent_from_);
  for (; next != pending_.end(); ++next) {
    if (commands >= kQuotaBatchCommandsMax || unanswered_ >= kQuotaUnansweredMax || bytes.size() >= kMessageBytesMax) {
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
  last_message_us_ = now_us;
  calls_in_last_message_ = calls;
  if (heartbeat) heartbeat_us_ = now_us;
  return bytes;
}

// Every answer up to here came, or its command never left, or its cancel was answered.
uint64_t QuotaCommandQueue::AckedThrough() const {
  uint64_t first = pending_.empty() ? next_sequence_ : pending_.begin()->first;
  if (!cancelled_.empty()) first = std::min(first, *cancelled_.begin());
  return first - 1;
}

// ---- What ends.

void QuotaCommandQueue::TakeAnswers(v1::QuotaResponse& response) {
  for (v1::QuotaAnswer& answer : *response.mutable_answers()) TakeAnswer(answer);
}

void QuotaCommandQueue::TakeAnswer(v1::QuotaAnswer& answer) {
  if (unanswered_ > 0) --unanswered_;
  const auto it = pending_.find(answer.sequence());
  if (it == pending_.end()) return;  // given up meanwhile; its cancel is on the way
  Pending& pending = it->second;
  if (pending.cancels > 0) cancelled_.erase(pending.cancels);
  if (pending.reliable()) {
    --reliable_;
    if (answer.result() == v1::QuotaAnswer::INVALID) {
      ++metrics_.refused;
      reports_.push_back(
          absl::StrCat("the service refused to charge: ", answer.message(), ": ", DescribeCommand(pending.encoded)));
    }
  }
  if (pending.done) completions_.push_back({std::move(pending.done), AnswerToCaller(std::move(answer))});
  pending_.erase(it);
}

void QuotaCommandQueue::GiveUpOverdue(int64_t now_us) {
  for (; !deadlines_.empty() && deadlines_.front().first <= now_us; deadlines_.pop_front()) {
    const uint64_t sequence = deadlines_.front().second;
    const auto it = pending_.find(sequence);
    if (it == pending_.end()) continue;
    ++metrics_.timeouts;
    completions_.push_back(
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

void QuotaCommandQueue::EndCalls(const absl::Status& status) {
  for (auto& [sequence, pending] : pending_) {
    if (pending.done) completions_.push_back({std::move(pending.done), status});
  }
  pending_.clear();
}

QuotaClientMetrics QuotaCommandQueue::metrics() const {
  QuotaClientMetrics metrics = metrics_;
  metrics.waiting = static_cast<int64_t>(pending_.size());
  return metrics;
}

}  // namespace signalbox
