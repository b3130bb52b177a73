// What the stages of one chat completion share. Lives in HandleChat's frame; worker's thread only.
#pragma once

#include "common/route/walker.h"
#include "dataplane/http/http_server.h"
#include "dataplane/provider/openai_wire.h"
#include "dataplane/request/limit_gate.h"
#include "dataplane/request/request_record.h"
#include "dataplane/request/worker.h"

namespace signalbox {

struct ChatRequest {
  Worker& worker;
  HttpExchange& exchange;
  RequestRecord& record;
  const ActiveSnapshot& snapshot;
  const v1::CompiledRoute& route;
  const ChatBody& body;
  LimitGate& gate;
  std::string_view presented_key;  // must never leave
};

}  // namespace signalbox
