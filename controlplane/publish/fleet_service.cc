#include "controlplane/publish/fleet_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/api/method_roles.h"

namespace signalbox {

grpc::Status FleetService::ListProxies(grpc::ServerContext* context, const v1::ListProxiesRequest* request,
                                       v1::ListProxiesResponse* response) {
  const absl::StatusOr<Caller> caller = Authorize(*context, tokens_, RoleOf("signalbox.v1.Fleet.ListProxies").role);
  if (!caller.ok()) return ToGrpcStatus(caller.status());
  if (request->page_size() < 0) {
    return ToGrpcStatus(absl::InvalidArgumentError(absl::StrCat("page_size must be 0 to ", kPageSizeMax)));
  }
  const int page_size = request->page_size() == 0 ? kPageSizeDefault : std::min(request->page_size(), kPageSizeMax);
  await_published_();
  *response->mutable_published() = snapshots_.Published();
  for (v1::ProxyStatus& proxy : snapshots_.Fleet()) {
    if (proxy.proxy_id() <= request->page_token()) continue;
    if (response->proxies_size() == page_size) {
      response->set_next_page_token(response->proxies(page_size - 1).proxy_id());
      break;
    }
    *response->add_proxies() = std::move(proxy);
  }
  return grpc::Status::OK;
}

}  // namespace signalbox
