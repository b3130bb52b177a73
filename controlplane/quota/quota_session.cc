#include "controlplane/quota/quota_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/rpc/rpc.h"

namespace signalbox {

void QuotaSession::Await(CallLoop& loop, Service& service, QuotaBackend& backend, Host& host) {
  auto* const session = new QuotaSession(loop, service, backend, host);
  session->context_.AsyncNotifyWhenDone(session->go_.tag());
  service.RequestSession(&session->context_, &session->stream_, loop.queue(), session->arrive_.tag());
}

QuotaSession::QuotaSession(CallLoop& loop, Service& service, QuotaBackend& backend, Host& host)
    : presence_(loop), loop_(loop), service_(service), backend_(backend), host_(host) {}

void QuotaSession::OnArrived(bool ok) {
  if (!ok) {  // the server is shut down
    delete this;
    return;
  }
  Await(loop_, service_, backend_, host_);
  const grpc::Status status = host_.OnStart(*this, context_);
  const Step step(*this);
  ++underway_;  // until the call is gone
  if (status.ok()) {
    ++underway_;
    stream_.SendInitialMetadata(send_metadata_.tag());  // tells the proxy that its token was accepted
  } else {
    status_ = status;
    closing_ = true;
  }
}

void QuotaSession::Close(const grpc::Status& status) {
  MutexLock lock(mutex_);
  if (!closing_) status_ = status;
  closing_ = true;
  if (underway_ > 0) Pump();  // else it has just arrived, or is over
}

void QuotaSession::OnMetadataSent(bool ok) {
  const Step step(*this);
  --underway_;
}

void QuotaSession::OnRead(bool ok) {
  std::unique_ptr<QuotaExchange> exchange = Receive(ok);
  if (exchange != nullptr) {
    // Still marked as reading: a session's messages reach the backend in their order.
    backend_.Submit(std::move(exchange), [this](const absl::Status& status, std::unique_ptr<QuotaExchange> answered) {
      Answered(status, std::move(answered));
    });
  }
  const Step step(*this);
  --underway_;
  reading_ = false;
}

// What was read, to be decided; null closes the session.
std::unique_ptr<QuotaExchange> QuotaSession::Receive(bool ok) {
  MutexLock lock(mutex_);
  behind_ = loop_.behind();
  if (ok && !closing_) {
    grpc::Status status = ToGrpcStatus(host_.Allowed(context_));
    if (status.ok()) status = TakeIds();
    if (status.ok()) {
      ++in_backend_;
      return std::move(incoming_);
    }
    status_ = std::move(status);
  }
  closing_ = true;
  return nullptr;
}

// The first message names proxy and boot; the engine finds them in every one.
grpc::Status QuotaSession::TakeIds() {
  const auto invalid = [](const std::string& text) { return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, text); };
  v1::QuotaRequest& message = incoming_->request();
  if (message.commands_size() > kQuotaBatchCommandsMax) {
    return invalid(absl::StrCat(message.commands_size(), " commands in one message; at most ", kQuotaBatchCommandsMax));
  }
  if (proxy_id_.empty()) {
    proxy_id_ = message.proxy_id();
    boot_id_ = message.boot_id();
  }
  if (proxy_id_.empty() || boot_id_.empty()) {
    return invalid("the first message of a session names proxy_id and boot_id");
  }
  if (proxy_id_.size() > kQuotaIdBytesMax || boot_id_.size() > kQuotaIdBytesMax) {
    return invalid(absl::StrCat("proxy_id and boot_id are at most ", kQuotaIdBytesMax, " bytes long"));
  }
  message.set_proxy_id(proxy_id_);
  message.set_boot_id(boot_id_);
  return grpc::Status::OK;
}

void QuotaSession::Answered(const absl::Status& status, std::unique_ptr<QuotaExchange> exchange) {
  const Step step(*this);
  --in_backend_;
  if (!status.ok()) {
    if (!closing_) status_ = ToGrpcStatus(status);
    closing_ = true;
  } else if (exchange->response().answers_size() > 0) {
    unsent_.push_back(std::move(exchange));
  }
}

void QuotaSession::Pump() {
  if (finished_) return;
  if (!broken_ && !writing_ && !unsent_.empty()) Write();
  if (ReadsOn()) {
    ++underway_;
    stream_.Read(NextMessage(), read_.tag());
  }
  if (!writing_ && (broken_ || (closing_ && in_backend_ == 0))) {
    finished_ = true;
    ++underway_;
    stream_.Finish(status_, finish_.tag());
  }
}

bool QuotaSession::ReadsOn() const {
  if (closing_ || reading_) return false;
  return in_backend_ == 0 || (in_backend_ < kQuotaSessionMessagesMax && (behind_ || backend_.decides_elsewhere()));
}

v1::QuotaRequest* QuotaSession::NextMessage() {
  reading_ = true;
  if (incoming_ == nullptr) incoming_ = std::make_unique<QuotaExchange>();
  return &incoming_->request();
}

// In one message, the first one's, which borrows the answers of the others; gRPC keeps bytes, not the message.
void QuotaSession::Write() {
  auto& answers = *unsent_.front()->response().mutable_answers();
  for (size_t i = 1; i < unsent_.size(); ++i) {
    for (v1::QuotaAnswer& answer : *unsent_[i]->response().mutable_answers()) answers.UnsafeArenaAddAllocated(&answer);
  }
  ++underway_;
  // Nothing else can be answered before something was read, so that the write need not be back earlier.
  if (in_backend_ == 0 && ReadsOn()) {
    stream_.WriteAndRead(unsent_.front()->response(), NextMessage(), read_.tag());
  } else {
    writing_ = true;
    stream_.Write(unsent_.front()->response(), write_.tag());
  }
  unsent_.clear();
}

void QuotaSession::OnWritten(bool ok) {
  const Step step(*this);
  --underway_;
  writing_ = false;
  if (!ok) broken_ = closing_ = true;
}

void QuotaSession::OnFinished(bool ok) {
  const Step step(*this);
  --underway_;
}

void QuotaSession::OnGone(bool ok) {
  const Step step(*this);
  --underway_;
  broken_ = true;
  closing_ = true;
}

void QuotaSession::End() {
  host_.OnEnd(*this);
  delete this;
}

QuotaSession::Step::~Step() {
  session_.Pump();
  const bool over = session_.underway_ == 0 && session_.in_backend_ == 0;
  session_.mutex_.Unlock();
  if (over) session_.End();
}

}  // namespace signalbox
