#include "controlplane/api/live_runs.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {

absl::StatusOr<v1::ProxyStatus> LiveRuns::Choose(const std::string& proxy_id) {
  std::vector<v1::ProxyStatus> able;
  for (v1::ProxyStatus& proxy : publisher_.Fleet()) {
    if (!proxy.connected() || proxy.http_address().empty()) continue;
    if (proxy_id.empty() || proxy.proxy_id() == proxy_id) able.push_back(std::move(proxy));
  }
  if (able.empty()) {
    return absl::UnavailableError(proxy_id.empty()
                                      ? std::string("no proxy is connected that a live run could go through")
                                      : absl::StrCat("proxy \"", proxy_id, "\" is not connected"));
  }
  const auto behind =
      std::stable_partition(able.begin(), able.end(), [](const auto& proxy) { return proxy.in_sync(); });
  const size_t in_sync = static_cast<size_t>(behind - able.begin());
  return able[turn_++ % (in_sync == 0 ? able.size() : in_sync)];
}

absl::StatusOr<LiveTarget> LiveRuns::Prepare(const std::string& gateway, const std::string& proxy_id) {
  RETURN_IF_ERROR(store_.gateways().Get(gateway).status());
  ASSIGN_OR_RETURN(const v1::ProxyStatus proxy, Choose(proxy_id));
  ASSIGN_OR_RETURN(const KeyStore::LiveKey key, store_.keys().GetLiveKey(gateway));
  if (key.made) publisher_.OnCommitted();
  ASSIGN_OR_RETURN(const PublishedSnapshot snapshot, store_.ReadSnapshot());
  if (snapshot.id.sequence() == 0) {
    return absl::FailedPreconditionError("nothing was deployed yet, so proxies serve nothing: deploy a route first");
  }
  RETURN_IF_ERROR(
      publisher_.WaitForProxy(proxy.proxy_id(), std::max<int64_t>(1, key.snapshot_sequence), kLiveKeyWaitMs));
  return LiveTarget{proxy.proxy_id(), proxy.http_address(), proxy.http_tls(), key.text,
                    key.made ? key.key.id() : std::string()};
}

}  // namespace signalbox
