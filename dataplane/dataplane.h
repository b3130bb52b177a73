// Composition root of a proxy: builds and owns everything, the only place where concrete classes meet. A worker per
// core, each with its own io_context, listener and upstream pool; configuration, quota line and spend reporter are
// shared. Start, wait for the end, Stop; all from one thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/rpc/rpc.h"

namespace signalbox {

struct DataplaneOptions {
  std::string proxy_id;
  std::string data_dir;
  std::string control_plane;  // host:port
  std::string quota;          // host:port
  std::string http_address;
  std::string advertise_http_address;  // told to the control plane as where it serves; empty: as bound
  std::string admin_address;
  std::string token_file;
  int workers = 0;  // 0: one per core
  int max_schema = 0;
  int drain_timeout_ms = kDrainTimeoutMs;
  int request_timeout_ms = kRequestTimeoutMs;  // of a whole request, until its answer began
  TlsFiles listener_tls;                       // of the HTTP and admin listeners
  TlsFiles peer_tls;                           // towards control plane and quota service
  std::string upstream_ca_file;                // empty: the system's certificate store
  int64_t cache_bytes = kCacheBytesDefault;    // of cached answers in memory; 0: none are kept there
  std::string cache_url;                       // redis://: answers shared with other proxies; empty: not
};

class Dataplane {
 public:
  // Serves as soon as it returns: from the last known good, if there is one, whether or not the control plane answers.
  // UNAVAILABLE names an address that cannot be bound; NOT_FOUND or FAILED_PRECONDITION a file that cannot be used.
  static absl::StatusOr<std::unique_ptr<Dataplane>> Start(const DataplaneOptions& options);
  virtual ~Dataplane() = default;
  virtual std::string http_address() const = 0;
  virtual std::string admin_address() const = 0;
  // Stops accepting, lets requests end (at most drain_timeout_ms), cuts the rest, settles and reports what is left.
  virtual void Stop() = 0;
};

}  // namespace signalbox
