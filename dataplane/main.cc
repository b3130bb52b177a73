// signalbox-proxy: one data-plane process.
#include <glog/logging.h>

#include <iostream>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "common/cheap_locks.h"
#include "common/limits.h"
#include "common/program_flags.h"
#include "common/stop_signals.h"
#include "dataplane/dataplane.h"

ABSL_FLAG(std::string, proxy_id, "", "name of this proxy, unique in the fleet (required)");
ABSL_FLAG(std::string, data_dir, "", "directory of its own: last known good, key file, spool (required)");
ABSL_FLAG(std::string, control_plane, "127.0.0.1:9090", "control plane's gRPC host:port");
ABSL_FLAG(std::string, quota, "127.0.0.1:9090", "quota service's gRPC host:port (the control plane's when embedded)");
ABSL_FLAG(std::string, http_address, "127.0.0.1:8080", "where clients call, host:port");
ABSL_FLAG(std::string, advertise_http_address, "",
          "host:port where the control plane reaches --http_address, for live runs from the console; empty: as bound");
ABSL_FLAG(std::string, admin_address, "127.0.0.1:8081", "health, readiness and metrics, host:port");
ABSL_FLAG(std::string, token_file, "", "file with a proxy token, mode 0600 (required)");
ABSL_FLAG(int, workers, 0, "worker threads; 0: one per core");
ABSL_FLAG(std::string, tls_cert, "", "PEM certificate chain of the listeners; needed off loopback");
ABSL_FLAG(std::string, tls_key, "", "PEM private key of the listeners");
ABSL_FLAG(std::string, peer_tls_ca, "", "PEM roots to check control plane and quota service against; turns TLS on");
ABSL_FLAG(std::string, peer_tls_cert, "", "PEM certificate to show them (mutual TLS)");
ABSL_FLAG(std::string, peer_tls_key, "", "PEM key of that certificate");
ABSL_FLAG(std::string, upstream_ca_file, "", "PEM roots to check providers against; empty: the system's");
ABSL_FLAG(int, drain_timeout_ms, signalbox::kDrainTimeoutMs, "how long a stop waits for requests before it cuts them");
ABSL_FLAG(int64_t, cache_bytes, signalbox::kCacheBytesDefault,
          "memory for cached answers, of routes and requests that ask for caching; 0: keep none");
ABSL_FLAG(
    std::string, cache, "",
    "redis://[user:password@]host:port[/db][?prefix=...]: share cached answers with the proxies that name the same");
ABSL_FLAG(int, request_timeout_ms, signalbox::kRequestTimeoutMs,
          "how long a request may take until its answer began, retries and fallbacks included");
ABSL_FLAG(int, max_schema, signalbox::kSchema, "newest snapshot schema to accept; lower it to rehearse a refusal");

int main(int argc, char** argv) {
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  signalbox::UseCheapLocks();
  signalbox::ParseProgramFlags(argc, argv, "signalbox-proxy --proxy_id=ID --data_dir=DIR --token_file=F [flags]",
                               "dataplane/main.cc");
  signalbox::DataplaneOptions options;
  options.proxy_id = absl::GetFlag(FLAGS_proxy_id);
  options.data_dir = absl::GetFlag(FLAGS_data_dir);
  options.control_plane = absl::GetFlag(FLAGS_control_plane);
  options.quota = absl::GetFlag(FLAGS_quota);
  options.http_address = absl::GetFlag(FLAGS_http_address);
  options.advertise_http_address = absl::GetFlag(FLAGS_advertise_http_address);
  options.admin_address = absl::GetFlag(FLAGS_admin_address);
  options.token_file = absl::GetFlag(FLAGS_token_file);
  options.workers = absl::GetFlag(FLAGS_workers);
  options.max_schema = absl::GetFlag(FLAGS_max_schema);
  options.drain_timeout_ms = absl::GetFlag(FLAGS_drain_timeout_ms);
  options.request_timeout_ms = absl::GetFlag(FLAGS_request_timeout_ms);
  options.listener_tls = {absl::GetFlag(FLAGS_tls_cert), absl::GetFlag(FLAGS_tls_key), ""};
  options.peer_tls = {absl::GetFlag(FLAGS_peer_tls_cert), absl::GetFlag(FLAGS_peer_tls_key),
                      absl::GetFlag(FLAGS_peer_tls_ca)};
  options.upstream_ca_file = absl::GetFlag(FLAGS_upstream_ca_file);
  options.cache_bytes = absl::GetFlag(FLAGS_cache_bytes);
  options.cache_url = absl::GetFlag(FLAGS_cache);

  const signalbox::StopSignals stop_signals;

  absl::StatusOr<std::unique_ptr<signalbox::Dataplane>> dataplane = signalbox::Dataplane::Start(options);
  if (!dataplane.ok()) {
    std::cerr << "signalbox-proxy: " << dataplane.status().message() << "\n";
    return 1;
  }
  std::cout << "listening http " << (*dataplane)->http_address() << "\n"
            << "listening admin " << (*dataplane)->admin_address() << std::endl;
  const int signal = stop_signals.Wait();
  LOG(INFO) << "stopping on signal " << signal;
  (*dataplane)->Stop();
  return 0;
}
