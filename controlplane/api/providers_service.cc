#include "controlplane/api/providers_service.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/provider_input.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {

grpc::Status ProvidersService::ApplyProvider(grpc::ServerContext* context, const v1::ApplyProviderRequest* request,
                                             v1::Provider* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::Provider> {
    v1::ApplyProviderRequest complete = *request;
    RETURN_IF_ERROR(CompleteProviderRequest(complete));
    SecretChanges secrets;
    if (complete.has_secret()) secrets.own = complete.secret();
    secrets.of_endpoints.insert(complete.endpoint_secrets().begin(), complete.endpoint_secrets().end());
    ASSIGN_OR_RETURN(v1::Provider applied, deps_.store->gateways().ApplyProvider(complete.provider(), secrets));
    deps_.publisher->OnCommitted();
    return applied;
  });
}

grpc::Status ProvidersService::ListProviders(grpc::ServerContext* context, const v1::ListProvidersRequest* request,
                                             v1::ListProvidersResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListProvidersResponse> {
    const std::string listing = absl::StrCat("providers/", request->gateway());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::Provider> page,
                     deps_.store->gateways().ListProviders(request->gateway(), after, size));
    v1::ListProvidersResponse answer;
    answer.mutable_providers()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, page.items.back().name()));
    return answer;
  });
}

grpc::Status ProvidersService::DeleteProvider(grpc::ServerContext* context, const v1::DeleteProviderRequest* request,
                                              v1::DeleteProviderResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::DeleteProviderResponse> {
    RETURN_IF_ERROR(deps_.store->gateways().DeleteProvider(request->gateway(), request->name()));
    deps_.publisher->OnCommitted();
    return v1::DeleteProviderResponse();
  });
}

grpc::Status ProvidersService::ListProviderStatus(grpc::ServerContext* context,
                                                  const v1::ListProviderStatusRequest* request,
                                                  v1::ListProviderStatusResponse* response) {
  return Answer(
      *context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListProviderStatusResponse> {
        RETURN_IF_ERROR(deps_.store->gateways().Get(request->gateway()).status());
        v1::ListProviderStatusResponse answer;
        const std::vector<v1::ProviderStatus> statuses = deps_.publisher->ProviderStatuses(request->gateway());
        answer.mutable_statuses()->Assign(statuses.begin(), statuses.end());
        return answer;
      });
}

}  // namespace signalbox
