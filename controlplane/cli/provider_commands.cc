// provider.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/values.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {
namespace {

struct ProviderArgs {
  std::string name;
  std::string base_url;
  std::string kind;
  std::string secret_env;
  std::string secret_file;
  std::string secret;  // only "-": a secret on the command line would show in the process list
  std::vector<std::string> headers;
  std::vector<std::string> options;
  std::vector<std::string> endpoints;
  std::string health_path;
  std::string health_interval = "30s";
};

absl::StatusOr<std::string> NotEmpty(const std::string& text) {
  const std::string secret(absl::StripAsciiWhitespace(text));
  if (secret.empty()) return absl::InvalidArgumentError("the secret is empty");
  return secret;
}

absl::StatusOr<std::string> SecretFromEnv(const std::string& variable) {
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr || *value == '\0') {
    return absl::InvalidArgumentError(absl::StrCat("the environment variable ", variable, " is not set"));
  }
  return NotEmpty(value);
}

absl::StatusOr<std::string> SecretFromFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadInput(path));
  return NotEmpty(text);
}

// nullopt: none was given, the stored one stays.
absl::StatusOr<std::optional<std::string>> ReadSecret(const ProviderArgs& args) {
  if (args.secret_env.empty() && args.secret_file.empty() && args.secret.empty()) return std::nullopt;
  absl::StatusOr<std::string> secret = args.secret_env.empty()
                                           ? SecretFromFile(args.secret_file.empty() ? "-" : args.secret_file)
                                           : SecretFromEnv(args.secret_env);
  RETURN_IF_ERROR(secret.status());
  return *std::move(secret);
}

// east,weight=3,base_url=https://...,secret_env=EAST_KEY
absl::Status AddEndpoint(const std::string& text, v1::ApplyProviderRequest& request) {
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  v1::ProviderEndpoint& endpoint = *request.mutable_provider()->add_endpoints();
  endpoint.set_name(parts[0]);
  for (size_t i = 1; i < parts.size(); ++i) {
    ASSIGN_OR_RETURN(auto sides, SplitPair(parts[i]));
    auto& [name, value] = sides;
    std::replace(name.begin(), name.end(), '-', '_');
    int weight = 0;
    if (name == "weight" && absl::SimpleAtoi(value, &weight) && weight > 0) {
      endpoint.set_weight(weight);
    } else if (name == "base_url") {
      endpoint.set_base_url(value);
    } else if (name == "secret_env") {
      ASSIGN_OR_RETURN((*request.mutable_endpoint_secrets())[endpoint.name()], SecretFromEnv(value));
    } else if (name == "secret_file") {
      ASSIGN_OR_RETURN((*request.mutable_endpoint_secrets())[endpoint.name()], SecretFromFile(value));
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--endpoint ", text, ": \"", parts[i],
                       "\" is none of weight=N (1 or more), base_url=URL, secret_env=VARIABLE, secret_file=FILE"));
    }
  }
  return absl::OkStatus();
}

std::string SecretText(const v1::Provider& provider) {
  const auto with = std::count_if(provider.endpoints().begin(), provider.endpoints().end(),
                                  [](const v1::ProviderEndpoint& endpoint) { return endpoint.has_secret(); });
  if (with == 0) return provider.has_secret() ? "yes" : "no";
  return absl::StrCat(provider.has_secret() ? "yes, " : "", "of ", with, " endpoints");
}

absl::Status ApplyProvider(Session& session, const ProviderArgs& args) {
  v1::ApplyProviderRequest request;
  v1::Provider& provider = *request.mutable_provider();
  provider.set_gateway(session.gateway);
  provider.set_name(args.name);
  provider.set_kind(args.kind);
  provider.set_base_url(args.base_url);
  for (const std::string& header : args.headers) {
    ASSIGN_OR_RETURN(const auto sides, SplitPair(header));
    (*provider.mutable_headers())[sides.first] = sides.second;
  }
  for (const std::string& option : args.options) {
    ASSIGN_OR_RETURN(const auto sides, SplitPair(option));
    (*provider.mutable_options())[sides.first] = sides.second;
  }
  for (const std::string& endpoint : args.endpoints) RETURN_IF_ERROR(AddEndpoint(endpoint, request));
  if (!args.health_path.empty()) {
    ASSIGN_OR_RETURN(const int64_t interval_us, ParseDuration(args.health_interval));
    provider.mutable_health_check()->set_path(args.health_path);
    provider.mutable_health_check()->set_interval_s(
        static_cast<int32_t>(std::min<int64_t>(interval_us / 1'000'000, INT32_MAX)));
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> secret, ReadSecret(args));
  if (secret.has_value()) request.set_secret(*secret);
  ASSIGN_OR_RETURN(const v1::Provider applied,
                   session.client.Call<v1::Providers>(&v1::Providers::Stub::ApplyProvider, request));
  if (session.json()) return PrintJson(applied);
  Print(absl::StrCat("provider ", applied.name(), " (", applied.kind(), ") -> ", applied.base_url(),
                     SecretText(applied) == "no" ? " (no secret)" : "", "\n"));
  return absl::OkStatus();
}

absl::Status ListProviders(Session& session) {
  v1::ListProvidersRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(v1::ListProvidersResponse response,
                   session.client.CallPages<v1::Providers>(&v1::Providers::Stub::ListProviders, request,
                                                           &v1::ListProvidersResponse::mutable_providers));
  if (session.json()) return PrintJson(response);
  Table table({"PROVIDER", "KIND", "BASE URL", "SECRET", "ENDPOINTS", "UPDATED"});
  for (const v1::Provider& provider : response.providers()) {
    std::string endpoints;
    for (const v1::ProviderEndpoint& endpoint : provider.endpoints()) {
      absl::StrAppend(&endpoints, endpoints.empty() ? "" : ",", endpoint.name(), "=", endpoint.weight());
    }
    table.Add({provider.name(), provider.kind(), provider.base_url(), SecretText(provider),
               endpoints.empty() ? "-" : endpoints, FormatTimestamp(provider.update_time())});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

std::string BreakerText(const v1::ProviderStatus& status) {
  std::string text = "-";
  if (status.breaker() == v1::ProviderStatus::CLOSED) text = "closed";
  if (status.breaker() == v1::ProviderStatus::OPEN) text = "open";
  if (status.breaker() == v1::ProviderStatus::HALF_OPEN) text = "half-open";
  return status.ejected() ? absl::StrCat(text, ", ejected") : text;
}

absl::Status ShowProviderStatus(Session& session) {
  v1::ListProviderStatusRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(const v1::ListProviderStatusResponse response,
                   session.client.Call<v1::Providers>(&v1::Providers::Stub::ListProviderStatus, request));
  if (session.json()) return PrintJson(response);
  Table table({"PROVIDER", "ENDPOINT", "MODEL", "PROXY", "BREAKER", "ATTEMPTS", "FAILURES", "IN A ROW", "LAST ERROR",
               "LAST FAILURE", "RETRY AT"});
  for (const v1::ProviderStatus& status : response.statuses()) {
    table.Add({status.provider(), status.endpoint(), status.model().empty() ? "(all)" : status.model(),
               status.proxy_id(), BreakerText(status), absl::StrCat(status.attempts()), absl::StrCat(status.failures()),
               absl::StrCat(status.consecutive_failures()), status.last_error().empty() ? "-" : status.last_error(),
               FormatTimeMicros(status.last_failure_us()), FormatTimeMicros(status.retry_us())});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status DeleteProvider(Session& session, const std::string& name) {
  v1::DeleteProviderRequest request;
  request.set_gateway(session.gateway);
  request.set_name(name);
  RETURN_IF_ERROR(session.client.Call<v1::Providers>(&v1::Providers::Stub::DeleteProvider, request).status());
  if (!session.json()) Print(absl::StrCat("provider ", name, " deleted\n"));
  return absl::OkStatus();
}

}  // namespace

void AddProviderCommands(CLI::App& app, Session& session) {
  CLI::App* provider = app.add_subcommand("provider", "where models are called")->require_subcommand(1);
  auto args = std::make_shared<ProviderArgs>();
  CLI::App* apply = provider->add_subcommand("apply", "create or replace a provider; docs/providers.md");
  apply->add_option("name", args->name, "what routes call it")->required();
  apply->add_option("--base-url,--base_url", args->base_url,
                    "up to and including the version; without one that of the well-known name");
  apply->add_option("--kind", args->kind,
                    "openai, azure-openai, anthropic, google or bedrock; without one that of the well-known name, else "
                    "openai");
  auto* group = apply->add_option_group("secret", "at most one; without any the stored secret stays");
  group->add_option("--secret-env,--secret_env", args->secret_env, "environment variable that holds the secret");
  group->add_option("--secret-file,--secret_file", args->secret_file, "file that holds the secret");
  group->add_option("--secret", args->secret, "- reads it from stdin")->check(CLI::IsMember({"-"}));
  group->require_option(0, 1);
  apply->add_option("--header", args->headers, "name=value, sent with every call")->allow_extra_args(false);
  apply->add_option("--option", args->options, "name=value, of the kind: region=us-east-1, api_version=2024-10-21")
      ->allow_extra_args(false);
  apply
      ->add_option("--endpoint", args->endpoints,
                   "NAME[,weight=N][,base_url=URL][,secret_env=VARIABLE|,secret_file=FILE], one of several keys or "
                   "places; several times for several")
      ->allow_extra_args(false);
  apply->add_option("--health-path,--health_path", args->health_path,
                    "each proxy asks for it under the base URL, e.g. /models; below 500 is healthy");
  apply->add_option("--health-interval,--health_interval", args->health_interval, "how often")->capture_default_str();
  apply->callback([&session, args] { session.command = [&session, args] { return ApplyProvider(session, *args); }; });
  AddPlain(provider, session, "list", "every provider of the gateway", &ListProviders);
  AddPlain(provider, session, "status", "breakers and failures, as each proxy sees them", &ShowProviderStatus);
  AddNamed(provider, session, "delete", "forget a provider that no deployed route uses", "name", &DeleteProvider);
}

}  // namespace signalbox
