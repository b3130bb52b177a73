// What the stages of one request share. Lives in AnswerCall's frame: a stream outlives it; worker's thread only.
#pragma once

#include "common/route/walker.h"
#include "dataplane/health/retry_policy.h"
#include "dataplane/http/http_server.h"
#include "dataplane/request/limit_gate.h"
#include "dataplane/request/request_record.h"
#include "dataplane/request/worker.h"
#include "dataplane/routing/request_options.h"
#include "dataplane/translate/answer_path.h"
#include "dataplane/translate/body_writer.h"

namespace signalbox {

class CacheStage;

struct ActiveRequest {
  Worker& worker;
  HttpExchange& exchange;
  RequestRecord& record;
  const ActiveSnapshot& snapshot;
  const v1::CompiledRoute& route;
  const RequestBody& body;  // as the client wrote it
  BodyWriter& writer;       // what providers get of it
  const RequestOptions& options;
  LimitGate& gate;
  std::string_view presented_key;  // must never leave
  const v1::SnapshotKey& key;
  CacheStage* cache = nullptr;  // of the walk, as long as it lasts
  // What the whole walk may still take, counted from the request's start.
  RequestAllowance allowance{record.start_us() + worker.request_timeout_us};
  std::string_view native_query = {};  // to go along to a provider whose own API is called
};

}  // namespace signalbox
