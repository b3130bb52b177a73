// What is left of requests that ended in one turn of the worker's loop: their records go to the spool in one write,
// then their holds are settled. That order: a crash in between replays the records at the next start and settles again,
// which is harmless. Worker's thread only, but for the destructor, which comes when the loop has stopped.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "dataplane/quota/quota_client.h"
#include "dataplane/request/proxy_metrics.h"
#include "dataplane/spend/spend_frames.h"
#include "dataplane/spend/spend_reporter.h"
#include "signalbox/v1/quota.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

inline constexpr size_t kEndedRequestsMax = 64;  // that wait for the end of the turn

class EndedRequests {
 public:
  EndedRequests(boost::asio::io_context& io, SpendReporter& reporter, QuotaClient& quota, ProxyMetrics& metrics)
      : io_(io), reporter_(reporter), quota_(quota), metrics_(metrics) {}
  ~EndedRequests() { Write(); }
  EndedRequests(const EndedRequests&) = delete;
  EndedRequests& operator=(const EndedRequests&) = delete;

  // `record` is complete. `settle`: the quota service may hold something for it. `charge_later`: counters that let it
  // through while the service was away.
  void Add(const v1::SpendRecord& record, bool settle, std::vector<v1::CounterKey> charge_later);
  // Those added so far; else it happens at the end of the loop's turn.
  void Write();

 private:
  struct Ended {
    std::string request_id;
    int64_t cost_nanos = 0;
    int64_t tokens = 0;
    bool settle = false;
    std::vector<v1::CounterKey> charge_later;
    v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
    int64_t duration_us = 0;
  };
  void CountLost(const std::string& request_id, const absl::Status& why);
  void Settle(Ended& ended);

  boost::asio::io_context& io_;
  SpendReporter& reporter_;
  QuotaClient& quota_;
  ProxyMetrics& metrics_;
  SpendFrames frames_;
  std::vector<size_t> framed_;  // the place in ended_ of each frame
  std::vector<Ended> ended_;
};

}  // namespace signalbox
