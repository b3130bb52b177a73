// A worker's line to the quota service: one session, paced and batched. Commands that got no answer are sent again with
// their sequence after a reconnect; the service answers a repeat with its first answer. The worker's loop only, unless
// said otherwise.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "signalbox/v1/quota.pb.h"

namespace signalbox {

class QuotaClient {
 public:
  // Called exactly once, on the loop, never inside a call into the client.
  using Done = std::function<void(absl::StatusOr<v1::QuotaAnswer>)>;
  virtual ~QuotaClient() = default;
  // UNAVAILABLE when no answer came within kQuotaCallTimeoutUs (the client then sends the Cancel itself), or at once
  // when there has been no connection for that long. GRANTED and DENIED are both answers.
  virtual void Acquire(const v1::Acquire& acquire, Done done) = 0;
  virtual void Extend(const v1::Extend& extend, Done done) = 0;
  // Kept and resent until answered, however long the service is away. A request that acquires settles in the end, at
  // the same client: one whose acquires were all turned away unsent holds nothing, so its settle is not kept.
  virtual void Settle(const v1::Settle& settle) = 0;
  // Likewise. Charges of one counter that have not left yet travel as one.
  virtual void ForceCharge(v1::ForceCharge charge) = 0;
};

}  // namespace signalbox
