#include "controlplane/quota/quota_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/rpc/rpc.h"

namespace signalbox {

void QuotaSession::Start() {
  MutexLock lock(mutex_);
  self_ = shared_from_this();
  StartSendInitialMetadata();  // tells the proxy that its token was accepted
  Pump();
}

void QuotaSession::Refuse(const grpc::Status& status) {
  MutexLock lock(mutex_);
  self_ = shared_from_this();
  finished_ = true;
  Finish(status);
}

void QuotaSession::Close(const grpc::Status& status) {
  MutexLock lock(mutex_);
  if (!closing_) status_ = status;
  closing_ = true;
  Pump();
}

void QuotaSession::OnReadDone(bool ok) {
  v1::QuotaRequest message;
  {
    MutexLock lock(mutex_);
    if (!ok || closing_) {
      reading_ = false;
      closing_ = true;
      return Pump();
    }
    if (const absl::Status allowed = allowed_(); !allowed.ok()) {
      reading_ = false;
      status_ = ToGrpcStatus(allowed);
      closing_ = true;
      return Pump();
    }
    if (std::string fault = TakeIds(); !fault.empty()) {
      reading_ = false;
      status_ = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, fault);
      closing_ = true;
      return Pump();
    }
    ++in_engine_;
    message.Swap(&incoming_);
    incoming_.Clear();
  }
  // Still marked as reading: a session's messages reach the engine in their order.
  backend_.Submit(std::move(message), [self = shared_from_this()](absl::StatusOr<v1::QuotaResponse> response) {
    self->Answered(std::move(response));
  });
  MutexLock lock(mutex_);
  reading_ = false;
  Pump();
}

// The first message names proxy and boot; the engine finds them in every one.
std::string QuotaSession::TakeIds() {
  if (incoming_.commands_size() > kQuotaBatchCommandsMax) {
    return absl::StrCat(incoming_.commands_size(), " commands in one message; at most ", kQuotaBatchCommandsMax);
  }
  if (proxy_id_.empty()) {
    proxy_id_ = incoming_.proxy_id();
    boot_id_ = incoming_.boot_id();
  }
  if (proxy_id_.empty() || boot_id_.empty()) return "the first message of a session names proxy_id and boot_id";
  if (proxy_id_.size() > kQuotaIdBytesMax || boot_id_.size() > kQuotaIdBytesMax) {
    return absl::StrCat("proxy_id and boot_id are at most ", kQuotaIdBytesMax, " bytes long");
  }
  incoming_.set_proxy_id(proxy_id_);
  incoming_.set_boot_id(boot_id_);
  return "";
}

void QuotaSession::Answered(absl::StatusOr<v1::QuotaResponse> response) {
  MutexLock lock(mutex_);
  --in_engine_;
  if (!response.ok()) {
    if (!closing_) status_ = ToGrpcStatus(response.status());
    closing_ = true;
  } else if (unsent_.answers_size() == 0) {
    unsent_ = *std::move(response);
  } else {
    for (v1::QuotaAnswer& answer : *response->mutable_answers()) *unsent_.add_answers() = std::move(answer);
  }
  Pump();
}

void QuotaSession::Pump() {
  if (finished_) return;
  if (!broken_ && !writing_ && unsent_.answers_size() > 0) {
    writing_ = true;
    outgoing_.Clear();
    outgoing_.Swap(&unsent_);
    StartWrite(&outgoing_);
  }
  if (!closing_ && !reading_ && in_engine_ < kQuotaSessionMessagesMax) {
    reading_ = true;
    StartRead(&incoming_);
  }
  if (!writing_ && (broken_ || (closing_ && in_engine_ == 0))) {
    finished_ = true;
    Finish(status_);
  }
}

void QuotaSession::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  if (!ok) broken_ = true;
  Pump();
}

void QuotaSession::OnCancel() {
  MutexLock lock(mutex_);
  broken_ = true;
  closing_ = true;
  Pump();
}

void QuotaSession::OnDone() {
  on_done_(this);
  self_.reset();
}

}  // namespace signalbox
