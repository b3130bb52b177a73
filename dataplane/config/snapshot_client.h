// One life of the snapshot stream, over gRPC's callback API. What happens on it goes to a queue that the config
// client's thread reads; nothing is decided here. Thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/mutex.h"
#include "signalbox/v1/snapshot.grpc.pb.h"

namespace signalbox {

struct StreamEvent {
  enum class Kind { kConnected, kMessage, kEnded };
  Kind kind = Kind::kConnected;
  v1::ControlMessage message;  // kMessage
  absl::Status status;         // kEnded: why; nothing comes after it
};

class SnapshotStream final : public grpc::ClientBidiReactor<v1::ProxyMessage, v1::ControlMessage> {
 public:
  using Sink = std::function<void(StreamEvent)>;  // called on gRPC's threads; must not block
  SnapshotStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& token, Sink sink);

  // Once. kConnected comes when the control plane took the stream.
  void Open();
  // Messages leave in order, one at a time. Nothing is sent after the stream ended.
  void Send(v1::ProxyMessage message);
  // Asks for the next message: one kMessage a call, so that offers wait while one is being applied. Open asks once.
  void ReadNext();
  // Ends the stream; kEnded comes soon after, unless it came already. The object may go once it came.
  void Cancel();

  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void ReleaseHold() SB_REQUIRES(mutex_);

  const std::unique_ptr<v1::Snapshots::Stub> stub_;
  const Sink sink_;
  grpc::ClientContext context_;
  Mutex mutex_;
  v1::ControlMessage incoming_;
  std::deque<v1::ProxyMessage> outgoing_ SB_GUARDED_BY(mutex_);  // the front is being written while writing_
  bool writing_ SB_GUARDED_BY(mutex_) = false;
  bool held_ SB_GUARDED_BY(mutex_) = false;  // reads and writes may be started from outside gRPC's callbacks
};

}  // namespace signalbox
