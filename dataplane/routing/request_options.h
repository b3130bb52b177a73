// What a request asks of the gateway itself, by headers: caching, retries, time, logging. Each has its name and meaning
// of Cloudflare's AI Gateway (`cf-aig-...`) and an alias `signalbox-...`; both at once is a 400. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "dataplane/http/header_fields.h"
#include "dataplane/routing/refusal.h"

namespace signalbox {

// Absent: the route's or the gateway's own setting counts.
struct RequestOptions {
  std::optional<int64_t> cache_ttl_s;         // cf-aig-cache-ttl; 0: not kept
  bool skip_cache = false;                    // cf-aig-skip-cache
  std::string cache_key;                      // cf-aig-cache-key; in place of the body; empty: none
  std::optional<int> max_attempts;            // cf-aig-max-attempts, 1 to 5: per model
  std::optional<int64_t> retry_delay_ms;      // cf-aig-retry-delay
  std::string backoff;                        // cf-aig-backoff: constant, linear, exponential; empty: none
  std::optional<int64_t> request_timeout_ms;  // cf-aig-request-timeout: to the first part of the response, per attempt
  std::string custom_cost;                    // cf-aig-custom-cost, checked JSON; empty: none
  std::optional<bool> collect_log;            // cf-aig-collect-log
  std::optional<bool> collect_log_payload;    // cf-aig-collect-log-payload
  std::string event_id;                       // cf-aig-event-id; echoed
  std::string byok_alias;                     // cf-aig-byok-alias: the provider's endpoint of that name; empty: any
};

// 400 invalid_header names the header, what is wrong with it and what would be right.
std::variant<RequestOptions, Refusal> ReadRequestOptions(const HeaderFields& headers);

// The event id alone, to be echoed even where nothing else is read; empty: none, or one that would be refused.
std::string ReadEventId(const HeaderFields& headers);

}  // namespace signalbox
