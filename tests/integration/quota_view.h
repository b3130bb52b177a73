// What the quota service of a stack says of a counter, read over gRPC as a proxy would. Tests only.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/rpc/rpc.h"
#include "signalbox/v1/quota.grpc.pb.h"
#include "tests/integration/route_elements.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {

// A route of one limit before one model: key metadata.team, pool "team".
inline std::string LimitedRoute(const nlohmann::json& limit, const std::string& model = "gpt-4o-mini") {
  using nlohmann::json;
  json properties = {{"key", "metadata.team"}, {"window", kLongWindowSeconds}, {"pool", "team"}};
  properties.update(limit);
  const auto to = [](const std::string& id) { return json{{"elementId", id}}; };
  return json{{"name", "limited"},
              {"elements",
               {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", to("limit")}}}},
                {{"id", "limit"},
                 {"type", "rate"},
                 {"properties", properties},
                 {"outputs", {{"success", to("model")}, {"fallback", to("end")}}}},
                {{"id", "model"},
                 {"type", "model"},
                 {"properties", {{"provider", "openai"}, {"model", model}, {"timeout", 60'000}, {"retries", 0}}},
                 {"outputs", {{"success", to("end")}, {"fallback", to("end")}}}},
                {{"id", "end"}, {"type", "end"}, {"outputs", json::object()}}}}}
      .dump();
}

class QuotaView {
 public:
  explicit QuotaView(Stack& stack)
      : token_(*ReadTokenFile(stack.directory() + "/controlplane/proxy.token")),
        stub_(v1::Quota::NewStub(*NewChannel(stack.quota().addresses[0], TlsFiles{}))) {}

  // The counter for `team` in the pool; waits for a service that is just starting again.
  v1::Counter Team(const std::string& team, v1::Unit unit = v1::NANO_DOLLARS, const std::string& pool = "team") const {
    v1::GetCounterRequest request;
    v1::CounterKey& key = *request.mutable_counter();
    key.set_gateway("default");
    key.set_pool(pool);
    key.set_unit(unit);
    key.set_window_seconds(kLongWindowSeconds);
    key.set_technique(v1::FIXED);
    key.add_identifier()->set_string_value(team);
    v1::Counter counter;
    grpc::Status status;
    const bool answered = Eventually([&] {
      grpc::ClientContext context;
      Prepare(context);
      status = stub_->GetCounter(&context, request, &counter);
      return status.error_code() != grpc::StatusCode::UNAVAILABLE;
    });
    EXPECT_TRUE(answered && status.ok()) << status.error_message();
    return counter;
  }

  // Every counter of a pool, the fullest first.
  std::vector<v1::Counter> Counters(const std::string& pool) const {
    grpc::ClientContext context;
    Prepare(context);
    v1::ListCountersRequest request;
    request.set_gateway("default");
    request.set_pool(pool);
    request.set_page_size(1'000);
    v1::ListCountersResponse response;
    const grpc::Status status = stub_->ListCounters(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.counters_size(), response.counters_in_pool()) << "more than one page";
    return {response.counters().begin(), response.counters().end()};
  }

  std::vector<v1::SuspendedHold> Suspense() const {
    grpc::ClientContext context;
    Prepare(context);
    v1::ListSuspenseRequest request;
    request.set_page_size(1'000);
    v1::ListSuspenseResponse response;
    const grpc::Status status = stub_->ListSuspense(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return {response.holds().begin(), response.holds().end()};
  }

 private:
  void Prepare(grpc::ClientContext& context) const {
    AddToken(context, token_);
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(kPatienceMs));
  }
  const std::string token_;
  const std::unique_ptr<v1::Quota::Stub> stub_;
};

}  // namespace signalbox
