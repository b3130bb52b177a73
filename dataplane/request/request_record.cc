#include "dataplane/request/request_record.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "common/money.h"

namespace signalbox {

int64_t TokensOf(const v1::Attempt& attempt) {
  if (!attempt.has_usage()) return attempt.estimated() ? attempt.bound_tokens() : 0;
  const int64_t used = AddSaturating(attempt.usage().input(), attempt.usage().output());
  return attempt.estimated() ? std::min(used, attempt.bound_tokens()) : used;
}

std::string NewRequestId(Worker& worker, int64_t unix_us) {
  static constexpr char kCrockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  std::string id(26, '0');
  uint64_t time_ms = static_cast<uint64_t>(unix_us / 1000);
  for (int i = 9; i >= 0; --i, time_ms >>= 5) id[i] = kCrockford[time_ms & 31];
  uint64_t bits = 0;
  for (int i = 10; i < 26; ++i, bits >>= 5) {
    if ((i - 10) % 12 == 0) bits = worker.random();
    id[i] = kCrockford[bits & 31];
  }
  return id;
}

RequestRecord::RequestRecord(Worker& worker, const std::string& gateway)
    : worker_(worker), start_us_(worker.clock.MonotonicMicros()), record_(worker.spare_records.Take()) {
  record_->set_start_time_us(worker.clock.UnixMicros());
  record_->set_request_id(NewRequestId(worker, record_->start_time_us()));
  record_->set_gateway(gateway);
  record_->set_proxy_id(worker.proxy_id);
  record_->set_boot_id(worker.boot_id);
}

RequestRecord::~RequestRecord() {
  if (record_->outcome() == v1::OUTCOME_UNSPECIFIED && std::uncaught_exceptions() > 0) {
    End(v1::ERROR, 500, "internal_error");
  }
  if (record_->outcome() == v1::OUTCOME_UNSPECIFIED) {
    End(worker_.stopping ? v1::SHUTDOWN : v1::CANCELLED, 0, worker_.stopping ? "shutdown" : "client_gone");
  }
  record_->set_duration_us(ElapsedUs());
  v1::TokenUsage& usage = *record_->mutable_usage();
  for (const v1::Attempt& attempt : record_->attempts()) {
    AddUsage(usage, attempt.usage());
    if (attempt.estimated()) record_->set_estimated(true);
  }
  const Use used = Used();
  record_->set_cost_nanos(used.nanos);
  record_->set_tokens(used.tokens);
  worker_.ended.Add(*record_, must_settle_, std::move(charge_later_));
  worker_.spare_records.Put(std::move(record_));
}

v1::Attempt& RequestRecord::AddAttempt() {
  v1::Attempt& attempt = *record_->add_attempts();
  attempt.set_start_us(ElapsedUs());
  return attempt;
}

Use RequestRecord::Used() const {
  Use used;
  for (const v1::Attempt& attempt : record_->attempts()) {
    used.nanos = AddSaturating(used.nanos, attempt.cost_nanos());
    used.tokens = AddSaturating(used.tokens, TokensOf(attempt));
  }
  return used;
}

void RequestRecord::ChargeLater(const v1::CounterKey& counter) {
  const std::string wanted = counter.SerializeAsString();
  for (const v1::CounterKey& known : charge_later_) {
    if (known.SerializeAsString() == wanted) return;
  }
  charge_later_.push_back(counter);
}

void RequestRecord::MarkFirstByte() {
  if (record_->first_byte_us() == 0) record_->set_first_byte_us(ElapsedUs());
}

void RequestRecord::End(v1::Outcome outcome, int status, const std::string& error_code) {
  record_->set_outcome(outcome);
  record_->set_status(status);
  record_->set_error_code(error_code);
}

}  // namespace signalbox
