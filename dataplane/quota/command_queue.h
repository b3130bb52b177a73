// The commands of one quota session: what waits for an answer, when the next message is due, what a message says.
// Pure: no clock (times are monotonic microseconds that the caller passes), no I/O. One thread.
//
// A command keeps its sequence until it is answered, however often the session breaks off: it is sent again, and the
// service answers a repeat with its first answer.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/limits.h"
#include "dataplane/quota/quota_client.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

// Counters for which forced charges wait while the service is away; past it further counters' are dropped, and counted.
inline constexpr size_t kQuotaWaitingChargesMax = 100'000;

struct QuotaClientMetrics {
  int64_t messages = 0;    // with commands
  int64_t commands = 0;    // resent ones included
  int64_t reconnects = 0;  // sessions opened after the first
  int64_t timeouts = 0;
  int64_t dropped_charges = 0;  // forced, beyond kQuotaWaitingChargesMax
  int64_t waiting = 0;          // commands without an answer now
  int64_t refused = 0;          // settles and forced charges answered INVALID: a bug here or there, reported
};

class QuotaCommandQueue {
 public:
  using Done = QuotaClient::Done;
  // A call that is over; whoever runs the queue calls `done` with `result`.
  struct Completion {
    Done done;
    absl::StatusOr<v1::QuotaAnswer> result;
  };
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // Not connected. `boot_id` is fresh for every queue: a boot's sequences are never used again.
  QuotaCommandQueue(std::string proxy_id, std::string boot_id, int64_t call_timeout_us, int64_t now_us);

  void Acquire(const v1::Acquire& acquire, Done done, int64_t now_us);
  void Extend(const v1::Extend& extend, Done done, int64_t now_us);
  void Settle(const v1::Settle& settle, int64_t now_us);
  void ForceCharge(v1::ForceCharge charge, int64_t now_us);

  // Of the session. All that was not answered goes again.
  void Connected(int64_t now_us);
  void Disconnected(int64_t now_us);
  bool connected() const { return connected_; }

  // A serialized QuotaRequest, when one is due on the connected session: commands, or a heartbeat.
  std::optional<std::string> TakeMessage(int64_t now_us);
  // Calls of which `response` says the end become completions.
  void TakeAnswers(v1::QuotaResponse& response);
  // Calls whose time is over become completions. The service may have decided what it was sent: a cancel undoes it,
  // and until that is answered the sequence is not acknowledged, so that it cannot be decided later either.
  void GiveUpOverdue(int64_t now_us);
  // All calls end with `status`: the last thing that happens here.
  void EndCalls(const absl::Status& status);
  std::vector<Completion> TakeCompletions() { return std::exchange(completions_, {}); }
  // What an operator should hear of.
  std::vector<std::string> TakeReports() { return std::exchange(reports_, {}); }

  // When TakeMessage (if the session can take one) or GiveUpOverdue will have something to do, if nothing happens
  // before.
  int64_t NextLookUs(bool can_send) const;
  // Settles and forced charges without an answer.
  int64_t reliable() const { return reliable_; }
  QuotaClientMetrics metrics() const;

 private:
  struct Pending {
    int field = 0;                            // its kind: the field in QuotaCommand
    std::string encoded;                      // empty: a charge that may still grow
    std::unique_ptr<v1::ForceCharge> charge;  // not sent yet
    uint64_t cancels = 0;                     // of a cancel: the sequence it is about
    Done done;                                // acquires and extends
    bool sent = false;                        // in any session: the service may have it
    bool reliable() const {
      return field == v1::QuotaCommand::kSettleFieldNumber || field == v1::QuotaCommand::kForceChargeFieldNumber;
    }
  };

  bool TurnsAway(int64_t now_us) const;
  void TurnAway(Done done);
  void AddCall(int field, const google::protobuf::MessageLite& command, Done done, int64_t now_us);
  Pending& Add(int field);
  void SendReliableBy(int64_t now_us);
  int64_t DensePaceUs() const;
  int64_t DueUs() const;
  uint64_t AckedThrough() const;
  void TakeAnswer(v1::QuotaAnswer& answer);

  const std::string proxy_id_, boot_id_;
  const int64_t call_timeout_us_;
  uint64_t next_sequence_ = 1;
  absl::btree_map<uint64_t, Pending> pending_;                  // unanswered, by sequence
  absl::btree_set<uint64_t> cancelled_;                         // given up, cancel not answered yet
  absl::flat_hash_map<std::string, uint64_t> waiting_charges_;  // by counter: not sent yet
  absl::flat_hash_set<std::string> asked_;                      // requests whose acquire may have left
  absl::flat_hash_set<std::string> turned_away_;                // and those whose never did
  std::deque<std::pair<int64_t, uint64_t>> deadlines_;          // of calls: when, and the sequence
  std::vector<Completion> completions_;
  std::vector<std::string> reports_;
  int64_t reliable_ = 0;

  bool connected_ = false;
  bool greeted_ = false;  // the session knows whose it is
  int64_t sessions_ = 0;
  int64_t disconnected_since_us_;
  uint64_t unsent_from_ = 0;  // in this session
  size_t unanswered_ = 0;     // in this session
  int64_t last_message_us_ = 0;
  int calls_in_last_message_ = 0;
  int64_t heartbeat_us_ = 0;
  bool hurry_ = false;             // somebody waits for something that was not sent yet
  int64_t settle_by_us_ = kNever;  // when settles and charges go, whatever else does
  int64_t last_acquire_us_;
  int64_t gap_us_;  // between acquires, smoothed
  QuotaClientMetrics metrics_;
};

}  // namespace signalbox
