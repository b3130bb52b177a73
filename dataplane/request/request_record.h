// The account of one request. Whatever way the request ends, also by its coroutine being destroyed, the destructor
// hands it to the worker's EndedRequests, which reports one spend record and settles what was held: exactly once, by
// the end of the loop's turn. Worker's thread only.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/request/worker.h"
#include "signalbox/v1/quota.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// Money and tokens together: what an attempt can use at most, or what was used.
struct Use {
  int64_t nanos = 0;
  int64_t tokens = 0;
};

// What an attempt counts at a tokens limit: its usage; its bound when the outcome is unknown, which is also the most
// that an estimate counts.
int64_t TokensOf(const v1::Attempt& attempt);

class RequestRecord {
 public:
  RequestRecord(Worker& worker, const std::string& gateway);
  ~RequestRecord();
  RequestRecord(const RequestRecord&) = delete;
  RequestRecord& operator=(const RequestRecord&) = delete;

  v1::SpendRecord& record() { return *record_; }
  const std::string& request_id() const { return record_->request_id(); }
  int64_t start_us() const { return start_us_; }  // monotonic
  int64_t ElapsedUs() const { return worker_.clock.MonotonicMicros() - start_us_; }

  // The quota service may hold something for this request: settle at the end.
  void MustSettle() { must_settle_ = true; }
  // Let through while the service was away (onError: allow): charged when it is back, once a counter.
  void ChargeLater(const v1::CounterKey& counter);

  // An attempt begins; the reference stays good until the next call. Its cost counts when the record is closed.
  v1::Attempt& AddAttempt();
  Use Used() const;  // by the attempts so far; saturating

  void MarkFirstByte();
  // How it ended; the last call wins. Without one the request counts as cancelled, or as shutdown when the process
  // ends.
  void End(v1::Outcome outcome, int status, const std::string& error_code);

 private:
  Worker& worker_;
  const int64_t start_us_;
  std::unique_ptr<v1::SpendRecord> record_;
  bool must_settle_ = false;
  std::vector<v1::CounterKey> charge_later_;
};

}  // namespace signalbox
