// What the suspense reader asks of a quota service, over gRPC: to list suspense and to settle. Blocking, with a
// deadline; any thread.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "controlplane/ledger/suspense_reader.h"

namespace signalbox {

ListSuspenseFunction ListSuspenseOver(const std::shared_ptr<grpc::Channel>& channel, const std::string& token);
// A session of its own each time: settling is idempotent by request id.
SettleFunction SettleOver(const std::shared_ptr<grpc::Channel>& channel, const std::string& token);

}  // namespace signalbox
