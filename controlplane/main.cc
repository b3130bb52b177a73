// signalbox-controlplane: where operators make routes, and proxies get snapshots and report spend.
#include <glog/logging.h>

#include <filesystem>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "common/cheap_locks.h"
#include "common/program_flags.h"
#include "common/stop_signals.h"
#include "controlplane/controlplane.h"

ABSL_FLAG(std::string, data_dir, "", "directory of the databases, tokens and master key; made when missing (required)");
ABSL_FLAG(std::string, grpc_address, "127.0.0.1:9090", "the API for operators and proxies, host:port");
ABSL_FLAG(std::string, http_address, "127.0.0.1:9091", "the same as JSON, health and metrics, host:port");
ABSL_FLAG(std::string, console_dir, "",
          "the built console, served on --http_address at /; empty: the folder console beside the executable, if it is "
          "there");
ABSL_FLAG(std::string, quota, "embedded",
          "the quota service: embedded (on the gRPC port), off, or host:port of one of its own, whose suspended holds "
          "are then brought into the ledger and whose counters operators read and adjust");
ABSL_FLAG(
    std::string, quota_token_file, "",
    "file with a token for --quota=host:port, mode 0600; an admin's there, or counters can be read and not adjusted");
ABSL_FLAG(std::string, durability, "process", "embedded quota: process (survives kill -9) or power (fsync)");
ABSL_FLAG(int32_t, ledger_retention_days, signalbox::kLedgerRetentionDaysDefault,
          "how long the ledger keeps what requests did and cost; 0 keeps everything, else at least 7");
ABSL_FLAG(
    std::string, price_url, "",
    "where newer prices are fetched from, https://, http:// or file://, of the shape of genai-prices' data; empty: "
    "those of the build, and the last that were fetched, stay");
ABSL_FLAG(int32_t, price_refresh_hours, signalbox::kPriceRefreshHoursDefault,
          "how often they are fetched; 0: only by signalboxctl price refresh");
ABSL_FLAG(std::string, master_key_file, "",
          "key that seals the providers' secrets, made when missing; empty: <data_dir>/master.key");
ABSL_FLAG(std::string, tls_cert, "", "PEM certificate chain of the listeners; needed off loopback");
ABSL_FLAG(std::string, tls_key, "", "PEM private key of the listeners");
ABSL_FLAG(std::string, tls_ca, "", "PEM roots: gRPC clients must show a certificate of theirs (mutual TLS)");
ABSL_FLAG(std::string, peer_tls_ca, "", "PEM roots to check the quota service against; turns TLS on");
ABSL_FLAG(std::string, peer_tls_cert, "", "PEM certificate to show it (mutual TLS)");
ABSL_FLAG(std::string, peer_tls_key, "", "PEM key of that certificate");

namespace {

// Empty when there is none: then the list of calls is at /.
std::string ConsoleBesideExecutable() {
  std::error_code error;
  const std::filesystem::path executable = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "";
  const std::filesystem::path console = executable.parent_path() / "console";
  return std::filesystem::exists(console / "index.html", error) ? console.string() : "";
}

}  // namespace

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  signalbox::UseCheapLocks();
  signalbox::ParseProgramFlags(argc, argv, "signalbox-controlplane --data_dir=DIR [flags]", "controlplane/main.cc");
  const std::string durability = absl::GetFlag(FLAGS_durability);
  if (durability != "process" && durability != "power") {
    std::cerr << "signalbox-controlplane: --durability=" << durability << " is not known: give process or power\n";
    return 2;
  }
  signalbox::ControlPlaneOptions options;
  options.data_dir = absl::GetFlag(FLAGS_data_dir);
  options.grpc_address = absl::GetFlag(FLAGS_grpc_address);
  options.http_address = absl::GetFlag(FLAGS_http_address);
  options.console_dir = absl::GetFlag(FLAGS_console_dir);
  if (options.console_dir.empty()) options.console_dir = ConsoleBesideExecutable();
  options.quota = absl::GetFlag(FLAGS_quota);
  options.quota_token_file = absl::GetFlag(FLAGS_quota_token_file);
  options.quota_power_safe = durability == "power";
  options.ledger_retention_days = absl::GetFlag(FLAGS_ledger_retention_days);
  options.price_url = absl::GetFlag(FLAGS_price_url);
  options.price_refresh_hours = absl::GetFlag(FLAGS_price_refresh_hours);
  options.master_key_file = absl::GetFlag(FLAGS_master_key_file);
  options.listener_tls = {absl::GetFlag(FLAGS_tls_cert), absl::GetFlag(FLAGS_tls_key), absl::GetFlag(FLAGS_tls_ca)};
  options.peer_tls = {absl::GetFlag(FLAGS_peer_tls_cert), absl::GetFlag(FLAGS_peer_tls_key),
                      absl::GetFlag(FLAGS_peer_tls_ca)};

  const signalbox::StopSignals stop_signals;

  absl::StatusOr<std::unique_ptr<signalbox::ControlPlane>> plane = signalbox::ControlPlane::Start(options);
  if (!plane.ok()) {
    std::cerr << "signalbox-controlplane: " << plane.status().message() << "\n";
    return 1;
  }
  std::cout << "listening grpc " << (*plane)->grpc_address() << "\n"
            << "listening http " << (*plane)->http_address() << std::endl;
  const int signal = stop_signals.Wait();
  LOG(INFO) << "stopping on signal " << signal;
  (*plane)->Stop();
  return 0;
}
