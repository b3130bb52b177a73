#include "tests/bench/quota_requests.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace signalbox::bench {
namespace {

// Spreads consecutive requests over the identifiers, so that neighbours are no neighbours in memory either.
constexpr int64_t kStride = 7'919;

v1::CounterKey KeyOf(v1::Unit unit, int64_t identifier) {
  v1::CounterKey key;
  key.set_gateway("default");
  key.set_pool(unit == v1::REQUESTS ? "route/requests" : "route/budget");
  key.set_unit(unit);
  key.set_window_seconds(86'400);
  key.set_technique(v1::FIXED);
  key.add_identifier()->set_string_value(absl::StrCat("user-", identifier, "@example.com"));
  return key;
}

}  // namespace

v1::Acquire AcquireOf(const std::string& request_id, int64_t identifier) {
  v1::Acquire acquire;
  acquire.set_request_id(request_id);
  acquire.set_output_cap(1'000);
  acquire.set_client_cap(true);
  v1::LimitCheck& count = *acquire.add_checks();
  *count.mutable_counter() = KeyOf(v1::REQUESTS, identifier);
  count.set_limit(1'000'000'000);
  count.set_admission(v1::STRICT);
  v1::LimitCheck& money = *acquire.add_checks();
  *money.mutable_counter() = KeyOf(v1::NANO_DOLLARS, identifier);
  money.set_limit(1'000'000'000'000'000);
  money.set_admission(v1::STRICT);
  money.add_bounds(0);
  v1::AttemptBound& bound = *acquire.add_bounds();
  bound.set_input_nanos(30'000);
  bound.set_output_nanos_per_mtok(600'000'000);
  bound.set_max_output_tokens(16'384);
  bound.set_choices(1);
  return acquire;
}

v1::Settle SettleOf(const std::string& request_id) {
  v1::Settle settle;
  settle.set_request_id(request_id);
  settle.set_cost_nanos(45'000);
  settle.set_tokens(80);
  return settle;
}

v1::QuotaRequest MessageMaker::Next() {
  v1::QuotaRequest message;
  message.set_proxy_id(proxy_id_);
  message.set_boot_id("boot");
  message.set_acked_through(sequence_);
  for (const std::string& id : std::exchange(held_, {})) {
    v1::QuotaCommand& command = *message.add_commands();
    command.set_sequence(++sequence_);
    *command.mutable_settle() = SettleOf(id);
  }
  for (int i = 0; i < requests_; ++i) {
    v1::QuotaCommand& command = *message.add_commands();
    command.set_sequence(++sequence_);
    held_.push_back(absl::StrCat("01JD", proxy_id_, "-", number_));
    *command.mutable_acquire() = AcquireOf(held_.back(), (first_ + number_ * kStride) % identifiers_);
    ++number_;
  }
  return message;
}

}  // namespace signalbox::bench
