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
  std::unique_ptr<QuotaExchange> exchange;
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
    exchange = std::move(incoming_);
  }
  // Still marked as reading: a session's messages reach the engine in their order.
  backend_.Submit(std::move(exchange),
                  [self = shared_from_this()](const absl::Status& status, std::unique_ptr<QuotaExchange> answered) {
                    self->Answered(status, std::move(answered));
                  });
  MutexLock lock(mutex_);
  reading_ = false;
  Pump();
}

// The first message names proxy and boot; the engine finds them in every one.
std::string QuotaSession::TakeIds() {
  v1::QuotaRequest& message = incoming_->request();
  if (message.commands_size() > kQuotaBatchCommandsMax) {
    return absl::StrCat(message.commands_size(), " commands in one message; at most ", kQuotaBatchCommandsMax);
  }
  if (proxy_id_.empty()) {
    proxy_id_ = message.proxy_id();
    boot_id_ = message.boot_id();
  }
  if (proxy_id_.empty() || boot_id_.empty()) return "the first message of a session names proxy_id and boot_id";
  if (proxy_id_.size() > kQuotaIdBytesMax || boot_id_.size() > kQuotaIdBytesMax) {
    return absl::StrCat("proxy_id and boot_id are at most ", kQuotaIdBytesMax, " bytes long");
  }
  message.set_proxy_id(proxy_id_);
  message.set_boot_id(boot_id_);
  return "";
}

void QuotaSession::Answered(const absl::Status& status, std::unique_ptr<QuotaExchange> exchange) {
  MutexLock lock(mutex_);
  --in_engine_;
  if (!status.ok()) {
    if (!closing_) status_ = ToGrpcStatus(status);
    closing_ = true;
  } else if (exchange->response().answers_size() > 0) {
    unsent_.push_back(std::move(exchange));
  }
  Pump();
}

void QuotaSession::Pump() {
  if (finished_) return;
  if (!broken_ && !writing_ && !unsent_.empty()) {
    writing_ = true;
    outgoing_.clear();
    outgoing_.swap(unsent_);
    auto& answers = *outgoing_.front()->response().mutable_answers();
    for (size_t i = 1; i < outgoing_.size(); ++i) {
      for (v1::QuotaAnswer& answer : *outgoing_[i]->response().mutable_answers()) {
        answers.UnsafeArenaAddAllocated(&answer);
      }
    }
    StartWrite(&outgoing_.front()->response());
  }
  if (!closing_ && !reading_ && in_engine_ < kQuotaSessionMessagesMax) {
    reading_ = true;
    if (incoming_ == nullptr) incoming_ = std::make_unique<QuotaExchange>();
    StartRead(&incoming_->request());
  }
  if (!writing_ && (broken_ || (closing_ && in_engine_ == 0))) {
    finished_ = true;
    Finish(status_);
  }
}

void QuotaSession::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  outgoing_.clear();
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
