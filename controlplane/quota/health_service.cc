#include "controlplane/quota/health_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/quota/unary_call.h"

namespace signalbox {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One call of Watch; owns itself. Its state is guarded by the service's mutex.
class HealthService::Watch {
 public:
  static void Await(CallLoop& loop, HealthService& health) {
    auto* const watch = new Watch(loop, health);
    watch->context_.AsyncNotifyWhenDone(watch->go_.tag());
    health.service_.RequestWatch(&watch->context_, &watch->request_, &watch->writer_, loop.queue(), loop.queue(),
                                 watch->arrive_.tag());
  }

  // Writes the status that was not written yet; once the server does not serve, or nobody listens, ends the call.
  void Pump(bool serving) {
    if (writing_ || finished_) return;
    HealthCheckResponse response;
    response.set_status(StatusWhen(serving));
    if (!gone_ && response.status() != written_) {
      writing_ = true;
      ++underway_;
      written_ = response.status();
      writer_.Write(response, write_.tag());
    } else if (gone_ || !serving) {
      finished_ = true;
      ++underway_;
      writer_.Finish(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is shutting down"), finish_.tag());
    }
  }

 private:
  template <void (Watch::*Handle)(bool)>
  using Operation = CallLoop::Operation<Watch, Handle>;

  Watch(CallLoop& loop, HealthService& health) : presence_(loop), loop_(loop), health_(health) {}

  HealthCheckResponse::ServingStatus StatusWhen(bool serving) const {
    if (!request_.service().empty()) return HealthCheckResponse::SERVICE_UNKNOWN;
    return serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }

  void OnArrived(bool ok) {
    if (!ok) {  // the server is shut down
      delete this;
      return;
    }
    Await(loop_, health_);
    MutexLock lock(health_.mutex_);
    health_.watches_.insert(this);
    ++underway_;  // until the call is gone
    Pump(health_.serving_);
  }
  void OnWritten(bool ok) {
    writing_ = false;
    Back(!ok);
  }
  void OnFinished(bool) { Back(false); }
  void OnGone(bool) { Back(true); }

  void Back(bool gone) {
    {
      MutexLock lock(health_.mutex_);
      gone_ = gone_ || gone;
      --underway_;
      Pump(health_.serving_);
      if (underway_ > 0) return;
      health_.watches_.erase(this);
    }
    delete this;
  }

  const CallLoop::Presence presence_;  // ends last
  CallLoop& loop_;
  HealthService& health_;
  grpc::ServerContext context_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_{&context_};
  Operation<&Watch::OnArrived> arrive_{*this};
  Operation<&Watch::OnWritten> write_{*this};
  Operation<&Watch::OnFinished> finish_{*this};
  Operation<&Watch::OnGone> go_{*this};
  HealthCheckResponse::ServingStatus written_ = HealthCheckResponse::UNKNOWN;  // which is never written
  int underway_ = 0;
  bool writing_ = false;
  bool finished_ = false;
  bool gone_ = false;
};

void HealthService::Start(CallLoop& loop) {
  using CheckCall = UnaryCall<HealthCheckRequest, HealthCheckResponse>;
  CheckCall::Method check;
  check.request = [this](grpc::ServerContext* context, HealthCheckRequest* request, CheckCall::Writer* writer,
                         grpc::ServerCompletionQueue* queue,
                         void* tag) { service_.RequestCheck(context, request, writer, queue, queue, tag); };
  check.answer = [this](const grpc::ServerContext&, const HealthCheckRequest& request, const CheckCall::Done& done) {
    done(Check(request.service()));
  };
  CheckCall::Serve(loop, std::move(check));
  Watch::Await(loop, *this);
}

void HealthService::Shutdown() {
  MutexLock lock(mutex_);
  serving_ = false;
  for (Watch* const watch : watches_) watch->Pump(false);
}

absl::StatusOr<HealthCheckResponse> HealthService::Check(const std::string& name) const {
  if (!name.empty()) {
    return absl::NotFoundError(absl::StrCat("no service \"", name, "\" is known here: ask for \"\", the server"));
  }
  HealthCheckResponse response;
  MutexLock lock(mutex_);
  response.set_status(serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
  return response;
}

}  // namespace signalbox
