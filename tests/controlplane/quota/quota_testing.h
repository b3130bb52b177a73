// Short ways to write quota commands down. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/quota/quota_core.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox::testing {

inline constexpr int64_t kDayUs = 86'400'000'000;
inline constexpr int64_t kNoonUs = 20'000 * kDayUs + kDayUs / 2;
inline constexpr int64_t kDollar = 1'000'000'000;

inline v1::CounterKey Key(v1::Unit unit, const std::string& identifier, int64_t window_seconds = 86'400,
                          const std::string& pool = "route/limit") {
  v1::CounterKey key;
  key.set_gateway("default");
  key.set_pool(pool);
  key.set_unit(unit);
  key.set_window_seconds(window_seconds);
  key.set_technique(v1::FIXED);
  key.add_identifier()->set_string_value(identifier);
  return key;
}
inline v1::CounterKey Count(const std::string& identifier = "ann") { return Key(v1::REQUESTS, identifier); }
inline v1::CounterKey Money(const std::string& identifier = "ann") { return Key(v1::NANO_DOLLARS, identifier); }

inline v1::AttemptBound Bound(int64_t input_nanos, int64_t output_nanos_per_mtok, int64_t max_output_tokens,
                              int64_t choices = 1) {
  v1::AttemptBound bound;
  bound.set_input_nanos(input_nanos);
  bound.set_output_nanos_per_mtok(output_nanos_per_mtok);
  bound.set_max_output_tokens(max_output_tokens);
  bound.set_choices(choices);
  return bound;
}

// An acquire built step by step: Acq("r1").Check(...).Check(...).Cap(1000).
struct Acq {
  v1::Acquire acquire;
  explicit Acq(const std::string& request_id) {
    acquire.set_request_id(request_id);
    acquire.set_output_cap(1'000);
  }
  Acq& Check(v1::CounterKey key, int64_t limit, v1::Admission admission = v1::STRICT,
             const std::vector<uint32_t>& bounds = {0}) {
    v1::LimitCheck& check = *acquire.add_checks();
    const bool holds = key.unit() != v1::REQUESTS;
    *check.mutable_counter() = std::move(key);
    check.set_limit(limit);
    check.set_admission(admission);
    if (holds) {
      for (const uint32_t bound : bounds) check.add_bounds(bound);
      if (acquire.bounds_size() == 0) *acquire.add_bounds() = Bound(0, 1'000'000, 0);  // a nano-dollar a token
    }
    return *this;
  }
  Acq& With(v1::AttemptBound bound) {
    *acquire.add_bounds() = std::move(bound);
    return *this;
  }
  Acq& Cap(int64_t cap, bool of_client = false) {
    acquire.set_output_cap(cap);
    acquire.set_client_cap(of_client);
    return *this;
  }
};

// Sends commands of one boot to a core, numbering them.
class Proxy {
 public:
  Proxy(QuotaCore& core, std::string proxy_id, std::string boot_id = "boot")
      : core_(core), proxy_id_(std::move(proxy_id)), boot_id_(std::move(boot_id)) {}

  v1::QuotaAnswer Send(v1::QuotaCommand command, int64_t now_us) {
    if (command.sequence() == 0) command.set_sequence(++sequence_);
    v1::QuotaRequest message = Hello();
    *message.add_commands() = std::move(command);
    v1::QuotaResponse answers;
    core_.Apply(message, now_us, answers);
    EXPECT_EQ(answers.answers_size(), 1);
    const absl::Status sums = core_.Check();
    EXPECT_TRUE(sums.ok()) << sums;
    return answers.answers(0);
  }
  v1::QuotaAnswer Acquire(const Acq& acq, int64_t now_us = kNoonUs) {
    v1::QuotaCommand command;
    *command.mutable_acquire() = acq.acquire;
    return Send(std::move(command), now_us);
  }
  v1::QuotaAnswer Extend(const std::string& request_id, int64_t nanos, int64_t now_us = kNoonUs) {
    v1::QuotaCommand command;
    command.mutable_extend()->set_request_id(request_id);
    command.mutable_extend()->set_required_nanos(nanos);
    return Send(std::move(command), now_us);
  }
  v1::QuotaAnswer Settle(const std::string& request_id, int64_t nanos, int64_t now_us = kNoonUs) {
    v1::QuotaCommand command;
    command.mutable_settle()->set_request_id(request_id);
    command.mutable_settle()->set_cost_nanos(nanos);
    return Send(std::move(command), now_us);
  }
  v1::QuotaAnswer Cancel(uint64_t sequence, int64_t now_us = kNoonUs) {
    v1::QuotaCommand command;
    command.mutable_cancel()->set_sequence(sequence);
    return Send(std::move(command), now_us);
  }
  v1::QuotaAnswer ForceCharge(const v1::CounterKey& key, int64_t amount, int64_t now_us = kNoonUs) {
    v1::QuotaCommand command;
    command.mutable_force_charge()->set_request_id("forced");
    *command.mutable_force_charge()->mutable_counter() = key;
    command.mutable_force_charge()->set_amount(amount);
    return Send(std::move(command), now_us);
  }
  void Heartbeat(int64_t now_us, uint64_t acked_through = 0) {
    v1::QuotaRequest message = Hello();
    message.set_heartbeat(true);
    message.set_acked_through(acked_through);
    v1::QuotaResponse answers;
    core_.Apply(message, now_us, answers);
  }
  uint64_t last_sequence() const { return sequence_; }

 private:
  v1::QuotaRequest Hello() const {
    v1::QuotaRequest message;
    message.set_proxy_id(proxy_id_);
    message.set_boot_id(boot_id_);
    return message;
  }
  QuotaCore& core_;
  const std::string proxy_id_, boot_id_;
  uint64_t sequence_ = 0;
};

inline v1::Counter View(const QuotaCore& core, const v1::CounterKey& key, int64_t now_us = kNoonUs) {
  v1::Counter view;
  const absl::Status status = core.Read(key, now_us, view);
  EXPECT_TRUE(status.ok()) << status;
  return view;
}

}  // namespace signalbox::testing
