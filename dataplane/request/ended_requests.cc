#include "dataplane/request/ended_requests.h"

#include <glog/logging.h>

#include <boost/asio/post.hpp>
#include <utility>

namespace signalbox {

void EndedRequests::Add(const v1::SpendRecord& record, bool settle, std::vector<v1::CounterKey> charge_later) {
  if (const absl::Status status = frames_.Add(record); status.ok()) {
    framed_.push_back(ended_.size());
  } else {
    CountLost(record.request_id(), status);
  }
  ended_.push_back({record.request_id(), record.cost_nanos(), record.tokens(), settle, std::move(charge_later),
                    record.outcome(), record.duration_us()});
  if (ended_.size() >= kEndedRequestsMax) return Write();
  // Behind what is ready to run already, other requests' ends among it.
  if (ended_.size() == 1) boost::asio::post(io_, [this] { Write(); });
}

void EndedRequests::Write() {
  if (!frames_.empty()) {
    for (const Spool::Refused& refused : reporter_.Record(frames_)) {
      CountLost(ended_[framed_[refused.frame]].request_id, refused.why);
    }
  }
  for (Ended& ended : ended_) Settle(ended);
  frames_.Clear();
  framed_.clear();
  ended_.clear();
}

void EndedRequests::CountLost(const std::string& request_id, const absl::Status& why) {
  metrics_.CountLostRecord();
  LOG(ERROR) << "request " << request_id << ": spend record lost: " << why.message();
}

void EndedRequests::Settle(Ended& ended) {
  if (ended.settle) {
    v1::Settle settle;
    settle.set_request_id(ended.request_id);
    settle.set_cost_nanos(ended.cost_nanos);
    settle.set_tokens(ended.tokens);
    quota_.Settle(settle);
  }
  for (v1::CounterKey& counter : ended.charge_later) {
    v1::ForceCharge charge;
    charge.set_request_id(ended.request_id);
    charge.set_amount(counter.unit() == v1::REQUESTS ? 1
                      : counter.unit() == v1::TOKENS ? ended.tokens
                                                     : ended.cost_nanos);
    *charge.mutable_counter() = std::move(counter);
    if (charge.amount() > 0) quota_.ForceCharge(std::move(charge));
  }
  metrics_.CountRequest(ended.outcome, ended.duration_us);
}

}  // namespace signalbox
