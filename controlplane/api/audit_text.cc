#include "controlplane/api/audit_text.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/route/validator.h"
#include "signalbox/v1/counters.pb.h"
#include "signalbox/v1/gateway.pb.h"
#include "signalbox/v1/route.pb.h"

namespace signalbox {
namespace {

// Text of callers, which nobody checked yet when a call was refused.
constexpr size_t kTextBytesMax = 256;
std::string Shown(const std::string& text) {
  return text.size() <= kTextBytesMax ? text : absl::StrCat(text.substr(0, kTextBytesMax), "...");
}

std::string Comment(const std::string& comment) { return comment.empty() ? "" : absl::StrCat(": ", Shown(comment)); }

struct Text {
  std::string resource;
  std::string summary;
};

std::string DeploymentText(const v1::Deployment& deployment) {
  std::string text =
      absl::StrCat("version ", deployment.version(), deployment.rollback() ? " rolled back to" : " deployed");
  if (deployment.previous_version() != 0) absl::StrAppend(&text, " (was ", deployment.previous_version(), ")");
  return text + Comment(deployment.comment());
}

std::string LimitText(const std::string& route, const std::string& element, const std::string& pool,
                      const google::protobuf::RepeatedPtrField<std::string>& identifier) {
  const std::string limit = !pool.empty()     ? absl::StrCat("pool ", pool)
                            : element.empty() ? route
                                              : absl::StrCat(route, "/", element);
  return Shown(absl::StrCat("counter of ", absl::StrJoin(identifier, ", "), " at ", limit));
}

Text Describe(const v1::CreateGatewayRequest& request, const v1::Gateway*) {
  return {absl::StrCat("gateway ", Shown(request.name())), "created"};
}
Text Describe(const v1::UpdateGatewayRequest& request, const v1::Gateway*) {
  std::vector<std::string> settings;
  const v1::GatewaySettings& to = request.settings();
  settings.push_back(to.default_route().empty() ? "no default route"
                                                : absl::StrCat("default route ", Shown(to.default_route())));
  if (to.refuse_plain_models()) settings.push_back("plain models refused");
  if (to.collect_log_payload()) settings.push_back("bodies kept");
  if (to.skip_log()) settings.push_back("no log");
  return {absl::StrCat("gateway ", Shown(request.name())), absl::StrCat("settings: ", absl::StrJoin(settings, ", "))};
}

Text Describe(const v1::CreateRouteRequest& request, const v1::CreateRouteResponse* response) {
  if (response == nullptr) {
    const std::string name = ParseRoute(request.json()).spec.name();
    return {absl::StrCat("route ", Shown(name)), request.deploy() ? "create and deploy" : "create"};
  }
  std::string done = response->version().compiles() ? "created" : "created as a draft";
  if (response->has_deployment()) done += " and deployed";
  return {absl::StrCat("route ", response->route().name()), done + Comment(request.comment())};
}
Text Describe(const v1::SaveVersionRequest& request, const v1::SaveVersionResponse* response) {
  const std::string resource = absl::StrCat("route ", Shown(request.route()));
  if (response == nullptr) return {resource, absl::StrCat("save a version", Comment(request.comment()))};
  const std::string version = absl::StrCat("version ", response->version().number());
  if (response->unchanged()) return {absl::StrCat("route ", response->route().name()), version + " is unchanged"};
  return {absl::StrCat("route ", response->route().name()),
          absl::StrCat(version, response->version().compiles() ? " saved" : " saved as a draft",
                       Comment(request.comment()))};
}
Text Describe(const v1::RenameRouteRequest& request, const v1::Route*) {
  return {absl::StrCat("route ", Shown(request.route())), absl::StrCat("renamed to ", Shown(request.new_name()))};
}
Text Describe(const v1::DeleteRouteRequest& request, const v1::DeleteRouteResponse*) {
  return {absl::StrCat("route ", Shown(request.route())), request.force() ? "deleted, with force" : "deleted"};
}
Text Describe(const v1::DeployRequest& request, const v1::DeployResponse* response) {
  const std::string resource = absl::StrCat("route ", Shown(request.route()));
  if (response != nullptr) return {resource, DeploymentText(response->deployment())};
  return {resource, request.version() == 0 ? std::string("deploy the latest version")
                                           : absl::StrCat("deploy version ", request.version())};
}
Text Describe(const v1::RollbackRequest& request, const v1::DeployResponse* response) {
  const std::string resource = absl::StrCat("route ", Shown(request.route()));
  if (response != nullptr) return {resource, DeploymentText(response->deployment())};
  return {resource, request.to() == 0 ? std::string("roll back") : absl::StrCat("roll back to version ", request.to())};
}

Text Describe(const v1::ApplyProviderRequest& request, const v1::Provider* response) {
  const v1::Provider& provider = response != nullptr ? *response : request.provider();
  std::string summary = absl::StrCat("applied, kind ", Shown(provider.kind()));
  if (!provider.base_url().empty()) absl::StrAppend(&summary, ", at ", Shown(provider.base_url()));
  if (request.has_secret()) summary += request.secret().empty() ? ", secret removed" : ", with a secret";
  if (request.endpoint_secrets_size() > 0) summary += ", with secrets of endpoints";
  return {absl::StrCat("provider ", Shown(request.provider().name())), summary};
}
Text Describe(const v1::DeleteProviderRequest& request, const v1::DeleteProviderResponse*) {
  return {absl::StrCat("provider ", Shown(request.name())), "deleted"};
}

Text Describe(const v1::CreateKeyRequest& request, const v1::CreateKeyResponse* response) {
  std::string summary = absl::StrCat("created \"", Shown(request.display_name()), "\"");
  if (request.allowed_routes_size() > 0) {
    absl::StrAppend(&summary, " for ", Shown(absl::StrJoin(request.allowed_routes(), ", ")));
  }
  return {response == nullptr ? std::string("key") : absl::StrCat("key ", response->key().id()), summary};
}
Text Describe(const v1::RevokeKeyRequest& request, const v1::GatewayKey* response) {
  return {absl::StrCat("key ", Shown(request.id())),
          response == nullptr ? std::string("revoke") : absl::StrCat("revoked \"", response->display_name(), "\"")};
}

Text Describe(const v1::SetPriceRequest& request, const v1::ModelPrice* response) {
  const v1::ModelPrice& price = response != nullptr ? *response : request.price();
  return {absl::StrCat("price of ", Shown(request.price().provider()), "/", Shown(request.price().model())),
          absl::StrCat("set to ", price.input_nanos_per_mtok(), " and ", price.output_nanos_per_mtok(),
                       " nano-dollars per million input and output tokens")};
}
Text Describe(const v1::RefreshPricesRequest& request, const v1::PriceCatalogueStatus* response) {
  std::string summary = request.bundled() ? "back to the build's"
                        : request.force() ? "refreshed, with force"
                                          : "refreshed";
  if (response != nullptr) absl::StrAppend(&summary, ": ", response->models(), " models of ", response->source());
  return {"price catalogue", summary};
}

Text Describe(const v1::ResetCounterRequest& request, const v1::CounterAdjustment*) {
  return {LimitText(request.route(), request.element(), request.pool(), request.identifier()),
          absl::StrCat("reset", Comment(request.why()))};
}
Text Describe(const v1::AdjustLimitCounterRequest& request, const v1::CounterAdjustment*) {
  return {LimitText(request.route(), request.element(), request.pool(), request.identifier()),
          absl::StrCat("adjusted by ", Shown(request.amount()), Comment(request.why()))};
}

Text Describe(const v1::BackupRequest& request, const v1::BackupResponse*) {
  return {"databases", absl::StrCat("backup to ", Shown(request.directory()))};
}
Text Describe(const v1::CreateTokenRequest& request, const v1::CreateTokenResponse* response) {
  return {response == nullptr ? std::string("token") : absl::StrCat("token ", response->token().id()),
          absl::StrCat("created \"", Shown(request.display_name()), "\", role ", Shown(request.role()))};
}
Text Describe(const v1::RevokeTokenRequest& request, const v1::Token* response) {
  return {absl::StrCat("token ", Shown(request.id())),
          response == nullptr ? std::string("revoke") : absl::StrCat("revoked \"", response->display_name(), "\"")};
}

template <typename Request, typename Response>
bool Try(const google::protobuf::Message& request, const google::protobuf::Message* response, Text& text) {
  const auto* const typed = dynamic_cast<const Request*>(&request);
  if (typed == nullptr) return false;
  text = Describe(*typed, dynamic_cast<const Response*>(response));
  return true;
}

std::string GatewayOf(const google::protobuf::Message& request) {
  if (const auto* const provider = dynamic_cast<const v1::ApplyProviderRequest*>(&request)) {
    return provider->provider().gateway();
  }
  const google::protobuf::FieldDescriptor* const field = request.GetDescriptor()->FindFieldByName("gateway");
  return field == nullptr ? "" : request.GetReflection()->GetString(request, field);
}

}  // namespace

void DescribeCall(const google::protobuf::Message& request, const google::protobuf::Message* response,
                  v1::AuditEntry& entry) {
  Text text;
  const bool known = Try<v1::CreateGatewayRequest, v1::Gateway>(request, response, text) ||
                     Try<v1::UpdateGatewayRequest, v1::Gateway>(request, response, text) ||
                     Try<v1::CreateRouteRequest, v1::CreateRouteResponse>(request, response, text) ||
                     Try<v1::SaveVersionRequest, v1::SaveVersionResponse>(request, response, text) ||
                     Try<v1::RenameRouteRequest, v1::Route>(request, response, text) ||
                     Try<v1::DeleteRouteRequest, v1::DeleteRouteResponse>(request, response, text) ||
                     Try<v1::DeployRequest, v1::DeployResponse>(request, response, text) ||
                     Try<v1::RollbackRequest, v1::DeployResponse>(request, response, text) ||
                     Try<v1::ApplyProviderRequest, v1::Provider>(request, response, text) ||
                     Try<v1::DeleteProviderRequest, v1::DeleteProviderResponse>(request, response, text) ||
                     Try<v1::CreateKeyRequest, v1::CreateKeyResponse>(request, response, text) ||
                     Try<v1::RevokeKeyRequest, v1::GatewayKey>(request, response, text) ||
                     Try<v1::SetPriceRequest, v1::ModelPrice>(request, response, text) ||
                     Try<v1::RefreshPricesRequest, v1::PriceCatalogueStatus>(request, response, text) ||
                     Try<v1::ResetCounterRequest, v1::CounterAdjustment>(request, response, text) ||
                     Try<v1::AdjustLimitCounterRequest, v1::CounterAdjustment>(request, response, text) ||
                     Try<v1::BackupRequest, v1::BackupResponse>(request, response, text) ||
                     Try<v1::CreateTokenRequest, v1::CreateTokenResponse>(request, response, text) ||
                     Try<v1::RevokeTokenRequest, v1::Token>(request, response, text);
  if (!known) text.summary = request.GetDescriptor()->name();
  entry.set_gateway(Shown(GatewayOf(request)));
  entry.set_resource(text.resource);
  entry.set_summary(text.summary);
}

}  // namespace signalbox
