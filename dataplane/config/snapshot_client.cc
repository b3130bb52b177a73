#include "dataplane/config/snapshot_client.h"

#include <utility>

#include "common/rpc/rpc.h"

namespace signalbox {

SnapshotStream::SnapshotStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& token, Sink sink)
    : stub_(v1::Snapshots::NewStub(channel)), sink_(std::move(sink)) {
  AddToken(context_, token);
}

void SnapshotStream::Open() {
  MutexLock lock(mutex_);
  stub_->async()->Stream(&context_, this);
  held_ = true;
  AddHold();
  StartRead(&incoming_);
  StartCall();
}

void SnapshotStream::Send(v1::ProxyMessage message) {
  MutexLock lock(mutex_);
  if (!held_) return;
  outgoing_.push_back(std::move(message));
  if (writing_) return;
  writing_ = true;
  StartWrite(&outgoing_.front());
}

void SnapshotStream::ReadNext() {
  MutexLock lock(mutex_);
  if (held_) StartRead(&incoming_);
}

void SnapshotStream::Cancel() {
  context_.TryCancel();
  MutexLock lock(mutex_);
  ReleaseHold();
}

void SnapshotStream::ReleaseHold() {
  if (!std::exchange(held_, false)) return;
  RemoveHold();
}

void SnapshotStream::OnReadInitialMetadataDone(bool ok) {
  // Also called, without metadata from the peer, when a call fails: then the read fails too, which ends it.
  if (ok) sink_({.kind = StreamEvent::Kind::kConnected});
}

void SnapshotStream::OnReadDone(bool ok) {
  if (ok) {
    sink_({.kind = StreamEvent::Kind::kMessage, .message = std::move(incoming_)});
    return;
  }
  MutexLock lock(mutex_);
  ReleaseHold();
}

void SnapshotStream::OnWriteDone(bool ok) {
  MutexLock lock(mutex_);
  outgoing_.pop_front();
  writing_ = ok && held_ && !outgoing_.empty();
  if (writing_) StartWrite(&outgoing_.front());
}

void SnapshotStream::OnDone(const grpc::Status& status) {
  {
    // Whoever released the hold has left the object before the sink may let it go.
    MutexLock lock(mutex_);
  }
  const Sink sink = sink_;  // the object may go while it runs
  sink({.kind = StreamEvent::Kind::kEnded, .status = FromGrpcStatus(status)});
}

}  // namespace signalbox
