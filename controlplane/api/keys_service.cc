#include "controlplane/api/keys_service.h"

#include "absl/strings/str_cat.h"
#include "common/seal/seal.h"
#include "common/sha256.h"
#include "common/status_macros.h"
#include "controlplane/api/answer.h"
#include "controlplane/api/input.h"
#include "controlplane/api/pages.h"
#include "controlplane/api/token_authority.h"

namespace signalbox {

grpc::Status KeysService::CreateKey(grpc::ServerContext* context, const v1::CreateKeyRequest* request,
                                    v1::CreateKeyResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::CreateKeyResponse> {
    RETURN_IF_ERROR(CheckDisplayName("display_name", request->display_name()));
    RETURN_IF_ERROR(CheckPinnedMetadata(request->pinned_metadata_json()));
    RETURN_IF_ERROR(CheckDisplayName("cache_group", request->cache_group()));
    v1::GatewayKey key;
    key.set_gateway(request->gateway());
    key.set_display_name(request->display_name());
    key.set_pinned_metadata_json(request->pinned_metadata_json());
    key.set_cache_group(request->cache_group());
    *key.mutable_allowed_routes() = request->allowed_routes();
    if (request->has_expire_time()) {
      RETURN_IF_ERROR(CheckExpiry(request->expire_time(), deps_.clock->UnixMicros()));
      *key.mutable_expire_time() = request->expire_time();
    }
    v1::CreateKeyResponse answer;
    answer.set_secret(NewSecret("sbx_"));
    ASSIGN_OR_RETURN(*answer.mutable_key(), deps_.store->keys().Create(key, Sha256Hex(answer.secret())));
    deps_.publisher->OnCommitted();
    return answer;
  });
}

grpc::Status KeysService::ListKeys(grpc::ServerContext* context, const v1::ListKeysRequest* request,
                                   v1::ListKeysResponse* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::ListKeysResponse> {
    const std::string listing = absl::StrCat("keys/", request->gateway());
    ASSIGN_OR_RETURN(const int size, PageSize(request->page_size()));
    ASSIGN_OR_RETURN(const std::string after, DecodePageToken(listing, request->page_token()));
    ASSIGN_OR_RETURN(const Page<v1::GatewayKey> page, deps_.store->keys().List(request->gateway(), after, size));
    v1::ListKeysResponse answer;
    answer.mutable_keys()->Assign(page.items.begin(), page.items.end());
    if (page.more) answer.set_next_page_token(EncodePageToken(listing, page.items.back().id()));
    return answer;
  });
}

grpc::Status KeysService::RevokeKey(grpc::ServerContext* context, const v1::RevokeKeyRequest* request,
                                    v1::GatewayKey* response) {
  return Answer(*context, deps_, *request, response, [&](const Caller&) -> absl::StatusOr<v1::GatewayKey> {
    ASSIGN_OR_RETURN(v1::GatewayKey key, deps_.store->keys().Revoke(request->gateway(), request->id()));
    deps_.publisher->OnCommitted();
    return key;
  });
}

}  // namespace signalbox
