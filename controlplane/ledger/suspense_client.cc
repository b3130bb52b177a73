#include "controlplane/ledger/suspense_client.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/rpc/rpc.h"
#include "common/seal/seal.h"
#include "common/status_macros.h"
#include "signalbox/v1/quota.grpc.pb.h"

namespace signalbox {
namespace {

constexpr auto kCallTimeout = std::chrono::seconds(5);
static_assert(kPageSizeMax <= kQuotaBatchCommandsMax, "what one page of suspense settles fits one message");

void Prepare(grpc::ClientContext& context, const std::string& token) {
  AddToken(context, token);
  context.set_deadline(std::chrono::system_clock::now() + kCallTimeout);
}

absl::Status Settle(v1::Quota::Stub& stub, const std::string& token, const std::vector<v1::Settle>& settlements) {
  v1::QuotaRequest request;
  request.set_proxy_id("control-plane");
  request.set_boot_id(NewUuid());
  for (const v1::Settle& settle : settlements) {
    v1::QuotaCommand& command = *request.add_commands();
    command.set_sequence(static_cast<uint64_t>(request.commands_size()));
    *command.mutable_settle() = settle;
  }
  v1::QuotaRequest acknowledge;  // nobody asks for these answers again
  acknowledge.set_acked_through(settlements.size());

  grpc::ClientContext context;
  Prepare(context, token);
  const auto stream = stub.Session(&context);
  if (stream->Write(request) && stream->Write(acknowledge)) stream->WritesDone();
  size_t settled = 0;
  v1::QuotaResponse response;
  while (stream->Read(&response)) {
    for (const v1::QuotaAnswer& answer : response.answers()) {
      if (answer.result() == v1::QuotaAnswer::GRANTED) ++settled;
    }
  }
  RETURN_IF_ERROR(FromGrpcStatus(stream->Finish()));
  if (settled == settlements.size()) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("the quota service settled ", settled, " of ", settlements.size(), " suspended holds"));
}

}  // namespace

ListSuspenseFunction ListSuspenseOver(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
  const std::shared_ptr<v1::Quota::Stub> stub = v1::Quota::NewStub(channel);
  return [stub, token](const v1::ListSuspenseRequest& request) -> absl::StatusOr<v1::ListSuspenseResponse> {
    grpc::ClientContext context;
    Prepare(context, token);
    v1::ListSuspenseResponse response;
    RETURN_IF_ERROR(FromGrpcStatus(stub->ListSuspense(&context, request, &response)));
    return response;
  };
}

SettleFunction SettleOver(const std::shared_ptr<grpc::Channel>& channel, const std::string& token) {
  const std::shared_ptr<v1::Quota::Stub> stub = v1::Quota::NewStub(channel);
  return [stub, token](const std::vector<v1::Settle>& settlements) { return Settle(*stub, token, settlements); };
}

}  // namespace signalbox
