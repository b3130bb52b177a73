// The proxy's spend reporter: spool on disk, stream to the control plane. Built by the composition root.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "dataplane/spend/spend_reporter.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace signalbox {

struct GrpcSpendReporterOptions {
  std::shared_ptr<grpc::Channel> channel;  // to the control plane
  std::string token;                       // a proxy token
  std::string proxy_id;
  std::string data_dir;  // the spool is its subdirectory `spool`
  int64_t spool_bytes_max = kSpoolBytesMax;
  // Called within NewGrpcSpendReporter, oldest first, for each record that an earlier run wrote and that was not acked:
  // its holds may not be settled. A few that were acked may be among them.
  std::function<void(const v1::SpendRecord&)> on_replayed;
  std::function<void(const std::string& request_id)> on_refused;  // SpendClientOptions::on_refused
};

// Starts reporting at once; its destructor stops without waiting for acks (Flush does that). FAILED_PRECONDITION when
// another process uses the spool, UNAVAILABLE when it cannot be read.
absl::StatusOr<std::unique_ptr<SpendReporter>> NewGrpcSpendReporter(GrpcSpendReporterOptions options);

}  // namespace signalbox
