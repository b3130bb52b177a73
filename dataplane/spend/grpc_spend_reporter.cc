#include "dataplane/spend/grpc_spend_reporter.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "dataplane/spend/spend_client.h"
#include "dataplane/spend/spool.h"

namespace signalbox {
namespace {

class GrpcSpendReporter : public SpendReporter {
 public:
  GrpcSpendReporter(std::unique_ptr<Spool> spool, SpendClientOptions options) : spool_(std::move(spool)) {
    options.spool = spool_.get();
    client_ = NewSpendClient(std::move(options));
  }

  std::vector<Spool::Refused> Record(const SpendFrames& records) override {
    std::vector<Spool::Refused> refused = spool_->Append(records);
    client_->Wake();
    return refused;
  }
  bool CanAccept() const override { return spool_->CanAccept(); }
  bool Flush(int timeout_ms) override { return client_->Flush(timeout_ms); }

 private:
  std::unique_ptr<Spool> spool_;  // outlives the client
  std::unique_ptr<SpendClient> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SpendReporter>> NewGrpcSpendReporter(GrpcSpendReporterOptions options) {
  SpoolOptions spool_options;
  spool_options.directory = absl::StrCat(options.data_dir, "/spool");
  spool_options.bytes_max = options.spool_bytes_max;
  int64_t replayed = 0;
  ASSIGN_OR_RETURN(std::unique_ptr<Spool> spool, Spool::Open(spool_options, [&](const v1::SpendRecord& record) {
                     ++replayed;
                     if (options.on_replayed) options.on_replayed(record);
                   }));
  const Spool::Losses losses = spool->losses();
  if (losses.bytes > 0) {
    LOG(WARNING) << "spool " << spool_options.directory << ": " << losses.bytes << " bytes at the end of "
                 << losses.segments
                 << " segments were unreadable and are skipped; the quota service's suspense covers them";
  }
  if (replayed > 0) LOG(INFO) << "reporting " << replayed << " spend records of an earlier run";

  SpendClientOptions client_options;
  client_options.channel = std::move(options.channel);
  client_options.token = std::move(options.token);
  client_options.proxy_id = std::move(options.proxy_id);
  client_options.on_refused = std::move(options.on_refused);
  return std::make_unique<GrpcSpendReporter>(std::move(spool), std::move(client_options));
}

}  // namespace signalbox
