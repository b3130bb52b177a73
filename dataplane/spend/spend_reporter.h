// Takes spend records off the request path: append to the spool on disk, stream to the control plane, delete when
// acked. Thread-safe; a record handed over is reported at least once, across kill -9 of the proxy too.
#pragma once

#include <vector>

#include "dataplane/spend/spend_frames.h"
#include "dataplane/spend/spool.h"

namespace signalbox {

class SpendReporter {
 public:
  virtual ~SpendReporter() = default;
  // Appends (a write to the page cache, no fsync); while the disk takes no write, keeps the records in memory, within
  // bounds, until it does. Says which were not taken: RESOURCE_EXHAUSTED when the spool is full, UNAVAILABLE when so is
  // that memory. They are lost to the ledger; the caller logs and counts them.
  virtual std::vector<Spool::Refused> Record(const SpendFrames& records) = 0;
  // False when a request must be refused with 503: the spool is full.
  virtual bool CanAccept() const = 0;
  // Sends what is left; false when `timeout_ms` passed with records unacked (they stay in the spool).
  virtual bool Flush(int timeout_ms) = 0;
};

}  // namespace signalbox
