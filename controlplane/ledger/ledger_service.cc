#include "controlplane/ledger/ledger_service.h"

#include <glog/logging.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/api/method_roles.h"

namespace signalbox {
namespace {

// One stream of one proxy: read, commit, acknowledge, in turn. gRPC serialises the callbacks; the write to the
// database is short and on purpose in the callback, as the proxy must wait for it anyway.
class ReportReactor final : public grpc::ServerBidiReactor<v1::SpendBatch, v1::SpendAck> {
 public:
  ReportReactor(const grpc::CallbackServerContext& context, SqliteLedger& ledger, const TokenAuthority& tokens)
      : context_(context), ledger_(ledger), tokens_(tokens) {
    if (const auto caller = Authorize(context_, tokens_, Role::kProxy); !caller.ok()) {
      Finish(ToGrpcStatus(caller.status()));
      return;
    }
    StartRead(&batch_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    const absl::Status status = Commit();
    if (!status.ok()) {
      LOG(WARNING) << "spend of proxy \"" << batch_.proxy_id() << "\" not taken: " << status;
      Finish(ToGrpcStatus(status));
      return;
    }
    ack_.set_batch(batch_.batch());
    StartWrite(&ack_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the proxy is gone"));
      return;
    }
    batch_.Clear();
    StartRead(&batch_);
  }

  void OnDone() override { delete this; }

 private:
  absl::Status Commit() {
    // Again for each batch: a token revoked meanwhile ends the stream.
    if (const auto caller = Authorize(context_, tokens_, Role::kProxy); !caller.ok()) return caller.status();
    if (batch_.batch() <= last_batch_) {
      return absl::InvalidArgumentError(absl::StrCat("batch: must be greater than ", last_batch_,
                                                     ", the one before it on this stream, not ", batch_.batch()));
    }
    if (static_cast<size_t>(batch_.records_size()) > kSpendBatchRecordsMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("records: at most ", kSpendBatchRecordsMax, " a batch, not ", batch_.records_size()));
    }
    if (absl::Status status = ledger_.Append(batch_.records()); !status.ok()) return status;
    last_batch_ = batch_.batch();
    return absl::OkStatus();
  }

  const grpc::CallbackServerContext& context_;
  SqliteLedger& ledger_;
  const TokenAuthority& tokens_;
  uint64_t last_batch_ = 0;
  v1::SpendBatch batch_;
  v1::SpendAck ack_;
};

template <typename T>
grpc::Status Answer(absl::StatusOr<T> answer, T* response) {
  if (!answer.ok()) return ToGrpcStatus(answer.status());
  *response = *std::move(answer);
  return grpc::Status::OK;
}

}  // namespace

grpc::ServerBidiReactor<v1::SpendBatch, v1::SpendAck>* SpendService::Report(grpc::CallbackServerContext* context) {
  return new ReportReactor(*context, ledger_, tokens_);
}

grpc::Status UsageService::QueryUsage(grpc::ServerContext* context, const v1::QueryUsageRequest* request,
                                      v1::QueryUsageResponse* response) {
  if (const auto caller = Authorize(*context, tokens_, RoleOf("signalbox.v1.Usage.QueryUsage").role); !caller.ok()) {
    return ToGrpcStatus(caller.status());
  }
  return Answer(ledger_.QueryUsage(*request), response);
}

grpc::Status UsageService::ListRequests(grpc::ServerContext* context, const v1::ListRequestsRequest* request,
                                        v1::ListRequestsResponse* response) {
  if (const auto caller = Authorize(*context, tokens_, RoleOf("signalbox.v1.Usage.ListRequests").role); !caller.ok()) {
    return ToGrpcStatus(caller.status());
  }
  return Answer(ledger_.ListRequests(*request), response);
}

grpc::Status UsageService::GetRequest(grpc::ServerContext* context, const v1::GetRequestRequest* request,
                                      v1::SpendRecord* response) {
  if (const auto caller = Authorize(*context, tokens_, RoleOf("signalbox.v1.Usage.GetRequest").role); !caller.ok()) {
    return ToGrpcStatus(caller.status());
  }
  return Answer(ledger_.GetRequest(*request), response);
}

}  // namespace signalbox
