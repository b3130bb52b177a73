// signalbox-quota: the quota service as a process of its own. Composition root.
#include <glog/logging.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "common/cheap_locks.h"
#include "common/limits.h"
#include "common/program_flags.h"
#include "common/status_macros.h"
#include "common/stop_signals.h"
#include "controlplane/quota/health_service.h"
#include "controlplane/quota/quota_metrics.h"
#include "controlplane/quota/quota_service.h"
#include "controlplane/quota/reflection_service.h"
#include "controlplane/quota/token_file.h"
#include "signalbox/v1/quota.grpc.pb.h"

ABSL_FLAG(std::string, data_dir, "", "directory of the counters' database, made when missing; for --store=sqlite");
ABSL_FLAG(std::string, grpc_address, "127.0.0.1:9092", "host:port to serve gRPC on; port 0 takes any");
ABSL_FLAG(std::string, admin_address, "", "host:port to serve /healthz and /metrics on, on loopback; empty: nowhere");
ABSL_FLAG(std::string, token_file, "",
          "file with the tokens that are accepted, one a line, readable by its owner only");
ABSL_FLAG(std::string, store, "sqlite",
          "where counters are kept: sqlite, redis://[user:password@]host:port[/db] (docs/redis.md), or memory (nothing "
          "survives; for tests and benchmarks)");
ABSL_FLAG(std::string, durability, "process",
          "what a decision survives: process (the service is killed) or power (the machine goes down; fsync)");
ABSL_FLAG(int64_t, compact_after_kib, signalbox::kQuotaLogBytesBeforeCompaction >> 10,
          "sqlite: the log of decisions is replaced by the state once it is so long and twice the state");
ABSL_FLAG(std::string, tls_cert, "", "PEM certificate; needed off loopback");
ABSL_FLAG(std::string, tls_key, "", "PEM key of the certificate");
ABSL_FLAG(std::string, tls_ca, "", "PEM of the authority whose client certificates are asked for (mutual TLS)");

namespace signalbox {
namespace {

absl::StatusOr<QuotaHostOptions> OptionsOfFlags() {
  QuotaHostOptions options;
  options.data_dir = absl::GetFlag(FLAGS_data_dir);
  if (absl::GetFlag(FLAGS_token_file).empty()) return absl::InvalidArgumentError("--token_file is needed");
  options.store = absl::GetFlag(FLAGS_store);
  if (options.store == "sqlite" && options.data_dir.empty()) {
    return absl::InvalidArgumentError("--data_dir is needed");
  }
  const std::string durability = absl::GetFlag(FLAGS_durability);
  if (durability != "process" && durability != "power") {
    return absl::InvalidArgumentError(
        absl::StrCat("--durability=", durability, " is not known; known: process, power"));
  }
  options.compact_after_bytes = absl::GetFlag(FLAGS_compact_after_kib) << 10;
  if (options.compact_after_bytes <= 0) return absl::InvalidArgumentError("--compact_after_kib must be positive");
  options.tokens_may_be_revoked = false;  // the file is read once
  options.durability = durability == "power" ? Durability::kPower : Durability::kProcess;
  return options;
}

absl::Status Serve(const StopSignals& stop_signals) {
  ASSIGN_OR_RETURN(QuotaHostOptions options, OptionsOfFlags());
  ASSIGN_OR_RETURN(const auto authority, NewFileTokenAuthority(absl::GetFlag(FLAGS_token_file)));
  const std::string address = absl::GetFlag(FLAGS_grpc_address);
  const TlsFiles tls{absl::GetFlag(FLAGS_tls_cert), absl::GetFlag(FLAGS_tls_key), absl::GetFlag(FLAGS_tls_ca)};
  ASSIGN_OR_RETURN(const auto credentials, ServerCredentials(address, tls));
  ASSIGN_OR_RETURN(const auto host, QuotaHost::Open(options, *authority));

  std::unique_ptr<QuotaAdminServer> admin;
  if (const std::string admin_address = absl::GetFlag(FLAGS_admin_address); !admin_address.empty()) {
    ASSIGN_OR_RETURN(admin, QuotaAdminServer::Start(admin_address, [&host] { return host->metrics(); }));
    std::cout << "listening admin " << admin->address() << "\n";
  }

  // gRPC's own health and reflection services bring threads that poll, which then take the sessions' sockets in turns
  // with the host's thread and wake it for every message.
  HealthService health;
  ReflectionService reflection({v1::Quota::service_full_name(), grpc::health::v1::Health::service_full_name(),
                                grpc::reflection::v1alpha::ServerReflection::service_full_name()});
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // an occupied port is an error, not a second listener
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddListeningPort(address, credentials, &port);
  host->Register(builder);
  health.Register(builder);
  reflection.Register(builder);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", address, ": is the port taken by another process?"));
  }
  health.Start(host->loop());
  reflection.Start(host->loop());
  host->Start();
  std::cout << "listening grpc " << address.substr(0, address.rfind(':')) << ":" << port << std::endl;

  const int signal = stop_signals.Wait();
  LOG(INFO) << "signal " << signal << ": answering what was asked, then stopping";
  health.Shutdown();
  host->Shutdown();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(kShutdownFlushTimeoutMs));
  host->Drain();
  return absl::OkStatus();
}

}  // namespace
}  // namespace signalbox

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  signalbox::UseCheapLocks();
  signalbox::ParseProgramFlags(argc, argv, "signalbox-quota --data_dir=DIR --token_file=F [--grpc_address=host:port]",
                               "controlplane/quota/main.cc");
  const signalbox::StopSignals stop_signals;
  if (absl::Status status = signalbox::Serve(stop_signals); !status.ok()) {
    std::cerr << "signalbox-quota: " << std::string(status.message()) << std::endl;
    return 1;
  }
  return 0;
}
