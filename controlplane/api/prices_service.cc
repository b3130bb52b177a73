#include "controlplane/api/prices_service.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/token_authority.h"
#include "controlplane/prices/price_refresher.h"

namespace signalbox {

grpc::Status PricesService::GetPrice(grpc::ServerContext* context, const v1::GetPriceRequest* request,
                                     v1::ModelPrice* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) {
    return deps_.store->prices().Get(request->gateway(), request->provider(), request->model());
  });
}

grpc::Status PricesService::ListPrices(grpc::ServerContext* context, const v1::ListPricesRequest* request,
                                       v1::ListPricesResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListPricesResponse> {
    const std::string listing = absl::StrCat("prices/", request->gateway());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const std::vector<v1::ModelPrice> prices, deps_.store->prices().List(request->gateway()));
    // A separator below every character of a name keeps the order that of (provider, model).
    const auto cursor = [](const v1::ModelPrice& price) {
      return absl::StrCat(price.provider(), std::string(1, '\x01'), price.model());
    };
    v1::ListPricesResponse answer;
    for (const v1::ModelPrice& price : prices) {
      if (cursor(price) <= after) continue;
      if (answer.prices_size() == size) {
        answer.set_next_page_token(EncodePageToken(listing, cursor(*answer.prices().rbegin())));
        break;
      }
      *answer.add_prices() = price;
    }
    return answer;
  });
}

grpc::Status PricesService::SetPrice(grpc::ServerContext* context, const v1::SetPriceRequest* request,
                                     v1::ModelPrice* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller& caller) -> absl::StatusOr<v1::ModelPrice> {
    v1::ModelPrice price = request->price();
    // What a price change rarely touches stays as it is in force now.
    absl::StatusOr<v1::ModelPrice> now = deps_.store->prices().Get(request->gateway(), price.provider(), price.model());
    if (!now.ok() && !absl::IsNotFound(now.status())) return now.status();
    if (now.ok() && price.max_output_tokens() == 0) price.set_max_output_tokens(now->max_output_tokens());
    if (price.cap_field().empty()) price.set_cap_field(now.ok() ? now->cap_field() : "max_tokens");
    if (price.source().empty()) price.set_source(absl::StrCat("set by ", caller.name));
    RETURN_IF_ERROR(CheckPrice(price));
    ASSIGN_OR_RETURN(price, deps_.store->prices().Set(request->gateway(), price));
    deps_.publisher->OnCommitted();
    return price;
  });
}

grpc::Status PricesService::GetPriceCatalogue(grpc::ServerContext* context, const v1::GetPriceCatalogueRequest* request,
                                              v1::PriceCatalogueStatus* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) { return deps_.refresher->Status(); });
}

grpc::Status PricesService::RefreshPrices(grpc::ServerContext* context, const v1::RefreshPricesRequest* request,
                                          v1::PriceCatalogueStatus* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::PriceCatalogueStatus> {
    if (request->bundled() && request->force()) {
      return absl::InvalidArgumentError("bundled and force: give one of them");
    }
    RETURN_IF_ERROR(request->bundled() ? deps_.refresher->UseBundled() : deps_.refresher->Refresh(request->force()));
    return deps_.refresher->Status();
  });
}

}  // namespace signalbox
