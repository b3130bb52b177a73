// What a request finds on its worker: one per core, everything on its one thread; what it shares with other workers is
// thread-safe. Owned by the dataplane; outlives every request.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <random>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "common/clock.h"
#include "common/limits.h"
#include "dataplane/config/active_snapshot.h"
#include "dataplane/health/provider_health.h"
#include "dataplane/http/upstream.h"
#include "dataplane/quota/quota_client.h"
#include "dataplane/request/ended_requests.h"
#include "dataplane/request/proxy_metrics.h"
#include "dataplane/request/spare_records.h"
#include "dataplane/spend/spend_reporter.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

class AnswerCache;

struct Worker {
  asio::io_context& io;
  const Clock& clock;
  QuotaClient& quota;
  SpendReporter& reporter;
  ProxyMetrics& metrics;
  ProviderHealth& health;  // of the whole proxy
  std::string proxy_id;
  std::string boot_id;
  std::unique_ptr<UpstreamPool> upstreams;
  KnownEndpoints endpoints;
  AnswerCache* cache = nullptr;                    // of the whole proxy; null: none
  std::shared_ptr<const ActiveSnapshot> snapshot;  // the worker's own pointer; null before the first
  int64_t request_timeout_us = int64_t{kRequestTimeoutMs} * 1'000;
  std::mt19937_64 random{std::random_device{}()};
  EndedRequests ended{io, reporter, quota, metrics};
  SpareRecords spare_records;
  v1::Acquire question;   // to the quota service: built, asked and forgotten before the loop does anything else
  bool stopping = false;  // the process is ending: cut requests end as SHUTDOWN
};

// A ULID of that time: 26 characters, ordered by time.
std::string NewRequestId(Worker& worker, int64_t unix_us);

}  // namespace signalbox
