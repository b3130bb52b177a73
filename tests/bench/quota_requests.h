// What a proxy sends the quota service for a request of the walkthrough's route: an acquire of a count and a strict
// dollar limit, later its settle. Shared by every benchmark of that service.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "signalbox/v1/quota.pb.h"

namespace signalbox::bench {

inline constexpr int kLimitsPerAcquire = 2;

v1::Acquire AcquireOf(const std::string& request_id, int64_t identifier);
v1::Settle SettleOf(const std::string& request_id);

// One proxy's messages: in each so many requests, and the settles of those in the message before.
class MessageMaker {
 public:
  MessageMaker(std::string proxy_id, int requests_per_message, int64_t first_identifier, int64_t identifiers)
      : proxy_id_(std::move(proxy_id)),
        requests_(requests_per_message),
        identifiers_(identifiers),
        first_(first_identifier) {}
  v1::QuotaRequest Next();

 private:
  const std::string proxy_id_;
  const int requests_;
  const int64_t identifiers_, first_;
  int64_t number_ = 0;
  uint64_t sequence_ = 0;
  std::vector<std::string> held_;
};

}  // namespace signalbox::bench
