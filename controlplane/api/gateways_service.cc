#include "controlplane/api/gateways_service.h"

#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {

grpc::Status GatewaysService::CreateGateway(grpc::ServerContext* context, const v1::CreateGatewayRequest* request,
                                            v1::Gateway* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::Gateway> {
    RETURN_IF_ERROR(CheckName("name", request->name()));
    ASSIGN_OR_RETURN(v1::Gateway gateway, deps_.store->gateways().Create(request->name()));
    deps_.publisher->OnCommitted();
    return gateway;
  });
}

grpc::Status GatewaysService::ListGateways(grpc::ServerContext* context, const v1::ListGatewaysRequest* request,
                                           v1::ListGatewaysResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListGatewaysResponse> {
    const std::string listing = "gateways";
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::Gateway> page, deps_.store->gateways().List(after, size));
    v1::ListGatewaysResponse answer;
    answer.mutable_gateways()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, page.items.back().name()));
    return answer;
  });
}

grpc::Status GatewaysService::UpdateGateway(grpc::ServerContext* context, const v1::UpdateGatewayRequest* request,
                                            v1::Gateway* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::Gateway> {
    ASSIGN_OR_RETURN(v1::Gateway gateway, deps_.store->gateways().Update(request->name(), request->settings()));
    deps_.publisher->OnCommitted();
    return gateway;
  });
}

}  // namespace signalbox
