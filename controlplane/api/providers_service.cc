#include "controlplane/api/providers_service.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {

grpc::Status ProvidersService::ApplyProvider(grpc::ServerContext* context, const v1::ApplyProviderRequest* request,
                                             v1::Provider* response) {
  return Answer(*context, *deps_.authority, response, [&](const Caller&) -> absl::StatusOr<v1::Provider> {
    v1::Provider provider = request->provider();
    // A path is appended to it.
    while (!provider.base_url().empty() && provider.base_url().back() == '/') provider.mutable_base_url()->pop_back();
    RETURN_IF_ERROR(CheckProvider(provider));
    std::optional<std::string> secret;
    if (request->has_secret()) secret = request->secret();
    RETURN_IF_ERROR(CheckSecret(request->secret()));
    ASSIGN_OR_RETURN(v1::Provider applied, deps_.store->gateways().ApplyProvider(provider, secret));
    deps_.publisher->OnCommitted();
    return applied;
  });
}

grpc::Status ProvidersService::ListProviders(grpc::ServerContext* context, const v1::ListProvidersRequest* request,
                                             v1::ListProvidersResponse* response) {
  return Answer(*context, *deps_.authority, response, [&](const Caller&) -> absl::StatusOr<v1::ListProvidersResponse> {
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
  return Answer(*context, *deps_.authority, response, [&](const Caller&) -> absl::StatusOr<v1::DeleteProviderResponse> {
    RETURN_IF_ERROR(deps_.store->gateways().DeleteProvider(request->gateway(), request->name()));
    deps_.publisher->OnCommitted();
    return v1::DeleteProviderResponse();
  });
}

}  // namespace signalbox
