// A quota client with a loop and a thread of its own, for callers that have none. Any thread may call it; callbacks run
// on the loop's. Tests and benchmarks only.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "dataplane/quota/grpc_quota_client.h"

namespace signalbox::testing {

class LoopedQuotaClient final : public GrpcQuotaClient {
 public:
  explicit LoopedQuotaClient(QuotaClientOptions options)
      : client_(NewGrpcQuotaClient(io_, std::move(options))), thread_([this] { io_.run(); }) {}
  ~LoopedQuotaClient() override {
    io_.stop();
    thread_.join();
  }

  void Acquire(const v1::Acquire& acquire, Done done) override {
    boost::asio::post(
        io_, [this, acquire, done = std::move(done)]() mutable { client_->Acquire(acquire, std::move(done)); });
  }
  void Extend(const v1::Extend& extend, Done done) override {
    boost::asio::post(io_,
                      [this, extend, done = std::move(done)]() mutable { client_->Extend(extend, std::move(done)); });
  }
  void Settle(const v1::Settle& settle) override {
    boost::asio::post(io_, [this, settle] { client_->Settle(settle); });
  }
  void ForceCharge(v1::ForceCharge charge) override {
    boost::asio::post(io_, [this, charge = std::move(charge)]() mutable { client_->ForceCharge(std::move(charge)); });
  }
  bool Connected() const override { return client_->Connected(); }
  bool Flush(int timeout_ms) override { return client_->Flush(timeout_ms); }
  QuotaClientMetrics metrics() const override {
    std::promise<QuotaClientMetrics> metrics;
    boost::asio::post(io_, [&] { metrics.set_value(client_->metrics()); });
    return metrics.get_future().get();
  }

 private:
  mutable boost::asio::io_context io_{1};
  const boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{io_.get_executor()};
  const std::unique_ptr<GrpcQuotaClient> client_;
  std::thread thread_;
};

}  // namespace signalbox::testing
