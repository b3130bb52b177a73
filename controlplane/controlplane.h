// Composition root of signalbox-controlplane: builds and owns the store, the ledger, the publisher, the quota service
// when it is embedded, and both listeners. A configuration's life passes here as
//   operator's call -> store (commit) -> publisher -> proxies (docs/life_of_a_config.md),
// spend as proxies -> ledger -> operator's query. Start, Stop and the destructor belong to one thread.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/rpc/rpc.h"
#include "controlplane/ledger/ledger_retention.h"
#include "controlplane/prices/price_refresher.h"

namespace signalbox {

struct ControlPlaneOptions {
  std::string data_dir;  // made when missing
  std::string grpc_address = "127.0.0.1:9090";
  std::string http_address = "127.0.0.1:9091";
  std::string console_dir;         // the built console, served on http_address; empty: none
  std::string quota = "embedded";  // embedded, off, or host:port of a quota service of its own
  std::string quota_token_file;    // for host:port; an admin token there, so that operators can adjust counters
  bool quota_power_safe = false;   // embedded: fsync each decision
  int ledger_retention_days = kLedgerRetentionDaysDefault;  // 0: everything is kept
  std::string price_url;                                    // empty: prices are those of the build
  int price_refresh_hours = kPriceRefreshHoursDefault;      // 0: only when an operator asks
  std::string master_key_file;                              // empty: <data_dir>/master.key
  TlsFiles listener_tls;                                    // both listeners; `ca` asks gRPC clients for certificates
  TlsFiles peer_tls;                                        // towards a quota service of its own
  const Clock* clock = &Clock::System();
};

class ControlPlane {
 public:
  // Serves when it returns. Errors say which flag, file or address is at fault.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Start(const ControlPlaneOptions& options);
  virtual ~ControlPlane() = default;
  virtual std::string grpc_address() const = 0;  // as bound
  virtual std::string http_address() const = 0;
  // Drains: open streams are told to come back, running calls end, everything acknowledged is on disk.
  virtual void Stop() = 0;
};

}  // namespace signalbox
