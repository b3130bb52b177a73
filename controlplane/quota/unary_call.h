// A unary method served on a call loop: one call at a time is awaited, any number are answered. A call owns itself from
// Await to the end of its answer.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/rpc/rpc.h"
#include "controlplane/quota/call_loop.h"

namespace signalbox {

template <typename Request, typename Response>
class UnaryCall final : public CallLoop::Event {
 public:
  using Writer = grpc::ServerAsyncResponseWriter<Response>;
  using Done = std::function<void(absl::StatusOr<Response>)>;
  struct Method {
    // The generated service's Request<Method>.
    std::function<void(grpc::ServerContext*, Request*, Writer*, grpc::ServerCompletionQueue*, void*)> request;
    // Calls its Done once, on any thread; context and request live until then.
    std::function<void(const grpc::ServerContext&, const Request&, Done)> answer;
  };

  static void Serve(CallLoop& loop, Method method) { Await(loop, std::make_shared<const Method>(std::move(method))); }

 private:
  static void Await(CallLoop& loop, std::shared_ptr<const Method> method) {
    auto* const call = new UnaryCall(loop, std::move(method));
    call->method_->request(&call->context_, &call->request_, &call->writer_, loop.queue(), call->tag());
  }
  UnaryCall(CallLoop& loop, std::shared_ptr<const Method> method)
      : presence_(loop), loop_(loop), method_(std::move(method)) {}
  void* tag() { return static_cast<CallLoop::Event*>(this); }

  void Occurred(bool ok) override {
    if (arrived_ || !ok) {  // answered, or the server is shut down
      delete this;
      return;
    }
    arrived_ = true;
    Await(loop_, method_);
    method_->answer(context_, request_, [this](absl::StatusOr<Response> answer) {
      if (answer.ok()) {
        writer_.Finish(*answer, grpc::Status::OK, tag());
      } else {
        writer_.FinishWithError(ToGrpcStatus(answer.status()), tag());
      }
    });
  }

  const CallLoop::Presence presence_;  // ends last
  CallLoop& loop_;
  const std::shared_ptr<const Method> method_;
  grpc::ServerContext context_;
  Request request_;
  Writer writer_{&context_};
  bool arrived_ = false;
};

}  // namespace signalbox
