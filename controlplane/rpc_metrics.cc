#include "controlplane/rpc_metrics.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/grpcpp.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace signalbox {
namespace {

using Counters = prometheus::Family<prometheus::Counter>;

class RpcCounter final : public grpc::experimental::Interceptor {
 public:
  RpcCounter(Counters& rpcs, std::string method) : rpcs_(rpcs), method_(std::move(method)) {}
  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::PRE_SEND_STATUS)) {
      const auto code = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());
      rpcs_.Add({{"method", method_}, {"code", absl::AsciiStrToLower(absl::StatusCodeToString(code))}}).Increment();
    }
    methods->Proceed();
  }

 private:
  Counters& rpcs_;
  const std::string method_;
};

class RpcCounterFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit RpcCounterFactory(Counters& rpcs) : rpcs_(rpcs) {}
  // Only our own methods are counted by name: a caller must not be able to invent labels.
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override {
    std::string method = absl::StrReplaceAll(absl::StripPrefix(info->method(), "/"), {{"/", "."}});
    const auto* const pool = google::protobuf::DescriptorPool::generated_pool();
    return new RpcCounter(rpcs_, pool->FindMethodByName(method) == nullptr ? "other" : std::move(method));
  }

 private:
  Counters& rpcs_;
};

}  // namespace

ControlPlaneMetrics::ControlPlaneMetrics()
    : registry_(std::make_shared<prometheus::Registry>(prometheus::Registry::InsertBehavior::Merge)),
      rpcs_(prometheus::BuildCounter()
                .Name("signalbox_rpcs_total")
                .Help("gRPC calls that ended, by method and code")
                .Register(*registry_)),
      http_(prometheus::BuildCounter()
                .Name("signalbox_http_responses_total")
                .Help("answers of the HTTP port by status")
                .Register(*registry_)) {}

std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> ControlPlaneMetrics::RpcCounters() {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> factories;
  factories.push_back(std::make_unique<RpcCounterFactory>(rpcs_));
  return factories;
}

void ControlPlaneMetrics::OnHttpResponse(int status) { http_.Add({{"status", absl::StrCat(status)}}).Increment(); }

void ControlPlaneMetrics::SetGauge(const std::string& name, const std::string& help, double value) {
  prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add({}).Set(value);
}

std::string ControlPlaneMetrics::Serialize() const {
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace signalbox
