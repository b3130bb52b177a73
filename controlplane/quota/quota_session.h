// One proxy's stream on the server's side. Calm, it takes a message at a time: reads on together with writing what was
// answered. When messages wait, or the backend decides elsewhere, it reads ahead of the backend within bounds. One read
// and one write outstanding. Owns itself: awaited, then under way until every operation is back and no answer is to
// come. Its operations end on the loop's thread, its answers come from whatever thread the backend decides on.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/mutex.h"
#include "controlplane/quota/call_loop.h"
#include "controlplane/quota/quota_backend.h"
#include "controlplane/quota/quota_stream.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {

class QuotaSession {
 public:
  class Service : public v1::Quota::AsyncService {
   public:
    void RequestSession(grpc::ServerContext* context, QuotaStream* stream, grpc::ServerCompletionQueue* queue,
                        void* tag) {
      RequestAsyncBidiStreaming(kSessionMethod, context, stream, queue, queue, tag);
    }

   private:
    static constexpr int kSessionMethod = 0;  // its place in the .proto
  };
  // Who serves sessions; outlives them. Any thread.
  class Host {
   public:
    // A proxy called: not OK refuses it. From then until OnEnd the session may be closed.
    virtual grpc::Status OnStart(QuotaSession& session, const grpc::ServerContext& context) = 0;
    virtual void OnEnd(QuotaSession& session) = 0;
    // Of a session that was let in, for every message: a token revoked meanwhile ends it.
    virtual absl::Status Allowed(const grpc::ServerContext& context) = 0;

   protected:
    ~Host() = default;
  };

  // Awaits the next session, which will await the one after it.
  static void Await(CallLoop& loop, Service& service, QuotaBackend& backend, Host& host);
  QuotaSession(const QuotaSession&) = delete;
  QuotaSession& operator=(const QuotaSession&) = delete;

  // Reads no more, writes what is decided, then finishes with `status`.
  void Close(const grpc::Status& status);

 private:
  template <void (QuotaSession::*Handle)(bool)>
  using Operation = CallLoop::Operation<QuotaSession, Handle>;
  // A change of the session's state with the mutex held, then what follows from it; the last one ends the session.
  class SB_TSA(scoped_lockable) Step {
   public:
    explicit Step(QuotaSession& session) SB_TSA(acquire_capability(session.mutex_)) : session_(session) {
      session_.mutex_.Lock();
    }
    ~Step() SB_TSA(release_capability());
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;

   private:
    QuotaSession& session_;
  };

  QuotaSession(CallLoop& loop, Service& service, QuotaBackend& backend, Host& host);
  ~QuotaSession() = default;

  void OnArrived(bool ok);
  void OnMetadataSent(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void OnGone(bool ok);  // the call is over, by whatever end
  void Answered(const absl::Status& status, std::unique_ptr<QuotaExchange> exchange);
  std::unique_ptr<QuotaExchange> Receive(bool ok);
  grpc::Status TakeIds() SB_REQUIRES(mutex_);
  void Pump() SB_REQUIRES(mutex_);  // writes, reads on or finishes, whatever is next
  void Write() SB_REQUIRES(mutex_);
  bool ReadsOn() const SB_REQUIRES(mutex_);
  v1::QuotaRequest* NextMessage() SB_REQUIRES(mutex_);
  void End();

  const CallLoop::Presence presence_;  // ends last
  CallLoop& loop_;
  Service& service_;
  QuotaBackend& backend_;
  Host& host_;
  grpc::ServerContext context_;
  QuotaStream stream_;
  Operation<&QuotaSession::OnArrived> arrive_{*this};
  Operation<&QuotaSession::OnMetadataSent> send_metadata_{*this};
  Operation<&QuotaSession::OnRead> read_{*this};
  Operation<&QuotaSession::OnWritten> write_{*this};
  Operation<&QuotaSession::OnFinished> finish_{*this};
  Operation<&QuotaSession::OnGone> go_{*this};
  std::unique_ptr<QuotaExchange> incoming_;

  Mutex mutex_;
  std::string proxy_id_ SB_GUARDED_BY(mutex_);
  std::string boot_id_ SB_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<QuotaExchange>> unsent_ SB_GUARDED_BY(mutex_);
  grpc::Status status_ SB_GUARDED_BY(mutex_);
  int underway_ SB_GUARDED_BY(mutex_) = 0;  // operations that are not back
  int in_backend_ SB_GUARDED_BY(mutex_) = 0;
  bool reading_ SB_GUARDED_BY(mutex_) = false;
  bool behind_ SB_GUARDED_BY(mutex_) = false;  // the last message had waited: there may be more
  bool writing_ SB_GUARDED_BY(mutex_) = false;
  bool closing_ SB_GUARDED_BY(mutex_) = false;
  bool broken_ SB_GUARDED_BY(mutex_) = false;
  bool finished_ SB_GUARDED_BY(mutex_) = false;
};

}  // namespace signalbox
