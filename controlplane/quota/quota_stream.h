// The server's end of a session's stream: gRPC's ServerAsyncReaderWriter, with an operation more that writes and reads
// on at once. Told to read, gRPC (1.51) sends a window update, which is a packet of its own and wakes the peer unless
// something is written in the same operation. One thread at a time; each kind of operation at most once at a time, and
// WriteAndRead counts as both.
#pragma once

#include <grpcpp/grpcpp.h>

#include <map>
#include <string>

#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {

class QuotaStream final : public grpc::internal::ServerAsyncStreamingInterface {
 public:
  // Once, before the first write.
  void SendInitialMetadata(void* tag) override {
    metadata_ops_.set_output_tag(tag);
    metadata_ops_.SendInitialMetadata(&no_metadata_, 0);
    call_.PerformOps(&metadata_ops_);
    metadata_sent_ = true;
  }
  // `message` is filled when the tag is back; not ok: there will be none any more.
  void Read(v1::QuotaRequest* message, void* tag) {
    read_ops_.set_output_tag(tag);
    read_ops_.RecvMessage(message);
    call_.PerformOps(&read_ops_);
  }
  // `message` need not outlive the call.
  void Write(const v1::QuotaResponse& message, void* tag) { Start(write_ops_, message, tag); }
  // The tag is back when something was read, as Read's.
  void WriteAndRead(const v1::QuotaResponse& message, v1::QuotaRequest* next, void* tag) {
    write_and_read_ops_.RecvMessage(next);
    Start(write_and_read_ops_, message, tag);
  }
  // After the last write is back, but for one that reads on.
  void Finish(const grpc::Status& status, void* tag) {
    finish_ops_.set_output_tag(tag);
    if (!metadata_sent_) finish_ops_.SendInitialMetadata(&no_metadata_, 0);
    finish_ops_.ServerSendStatus(&no_metadata_, status);
    call_.PerformOps(&finish_ops_);
  }

 private:
  template <typename... Ops>
  using OpSet = grpc::internal::CallOpSet<Ops...>;
  using ReceiveOp = grpc::internal::CallOpRecvMessage<v1::QuotaRequest>;

  void BindCall(grpc::internal::Call* call) override { call_ = *call; }
  template <typename WriteOps>
  void Start(WriteOps& ops, const v1::QuotaResponse& message, void* tag) {
    ops.set_output_tag(tag);
    GPR_CODEGEN_ASSERT(ops.SendMessage(message).ok());  // protobuf serializes whatever was filled
    call_.PerformOps(&ops);
  }

  std::multimap<std::string, std::string> no_metadata_;
  bool metadata_sent_ = false;
  grpc::internal::Call call_;
  OpSet<grpc::internal::CallOpSendInitialMetadata> metadata_ops_;
  OpSet<ReceiveOp> read_ops_;
  OpSet<grpc::internal::CallOpSendMessage> write_ops_;
  OpSet<grpc::internal::CallOpSendMessage, ReceiveOp> write_and_read_ops_;
  OpSet<grpc::internal::CallOpSendInitialMetadata, grpc::internal::CallOpServerSendStatus> finish_ops_;
};

}  // namespace signalbox
