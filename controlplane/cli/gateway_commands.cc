// gateway, provider, key, price.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/clock.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/values.h"
#include "controlplane/prices/bundled_prices.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {
namespace {

// One argument called `name`.
CLI::App* AddNamed(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
                   const std::string& argument, absl::Status (*run)(Session&, const std::string&)) {
  auto value = std::make_shared<std::string>();
  CLI::App* command = parent->add_subcommand(verb, help);
  command->add_option(argument, *value)->required();
  command->callback(
      [&session, value, run] { session.command = [&session, value, run] { return run(session, *value); }; });
  return command;
}

void AddPlain(CLI::App* parent, Session& session, const std::string& verb, const std::string& help,
              absl::Status (*run)(Session&)) {
  CLI::App* command = parent->add_subcommand(verb, help);
  command->callback([&session, run] { session.command = [&session, run] { return run(session); }; });
}

absl::Status CreateGateway(Session& session, const std::string& name) {
  v1::CreateGatewayRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::Gateway gateway,
                   session.client.Call<v1::Gateways>(&v1::Gateways::Stub::CreateGateway, request));
  if (session.json()) return PrintJson(gateway);
  Print(absl::StrCat("gateway ", gateway.name(), " created\n"));
  return absl::OkStatus();
}

absl::Status ListGateways(Session& session) {
  ASSIGN_OR_RETURN(v1::ListGatewaysResponse response,
                   session.client.CallPages<v1::Gateways>(&v1::Gateways::Stub::ListGateways, v1::ListGatewaysRequest(),
                                                          &v1::ListGatewaysResponse::mutable_gateways));
  if (session.json()) return PrintJson(response);
  Table table({"GATEWAY", "CREATED"});
  for (const v1::Gateway& gateway : response.gateways()) {
    table.Add({gateway.name(), FormatTimestamp(gateway.create_time())});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

struct ProviderArgs {
  std::string name;
  std::string base_url;
  std::string kind = "openai";
  std::string secret_env;
  std::string secret_file;
  std::string secret;  // only "-": a secret on the command line would show in the process list
  std::vector<std::string> headers;
};

// nullopt: none was given, the stored one stays.
absl::StatusOr<std::optional<std::string>> ReadSecret(const ProviderArgs& args) {
  if (args.secret_env.empty() && args.secret_file.empty() && args.secret.empty()) return std::nullopt;
  std::string text;
  if (!args.secret_env.empty()) {
    const char* value = std::getenv(args.secret_env.c_str());
    if (value == nullptr || *value == '\0') {
      return absl::InvalidArgumentError(absl::StrCat("the environment variable ", args.secret_env, " is not set"));
    }
    text = value;
  } else {
    ASSIGN_OR_RETURN(text, ReadInput(args.secret_file.empty() ? "-" : args.secret_file));
  }
  const std::string secret(absl::StripAsciiWhitespace(text));
  if (secret.empty()) return absl::InvalidArgumentError("the secret is empty");
  return secret;
}

absl::Status ApplyProvider(Session& session, const ProviderArgs& args) {
  v1::ApplyProviderRequest request;
  request.mutable_provider()->set_gateway(session.gateway);
  request.mutable_provider()->set_name(args.name);
  request.mutable_provider()->set_kind(args.kind);
  request.mutable_provider()->set_base_url(args.base_url);
  for (const std::string& header : args.headers) {
    ASSIGN_OR_RETURN(const auto sides, SplitPair(header));
    (*request.mutable_provider()->mutable_headers())[sides.first] = sides.second;
  }
  ASSIGN_OR_RETURN(const std::optional<std::string> secret, ReadSecret(args));
  if (secret.has_value()) request.set_secret(*secret);
  ASSIGN_OR_RETURN(const v1::Provider provider,
                   session.client.Call<v1::Providers>(&v1::Providers::Stub::ApplyProvider, request));
  if (session.json()) return PrintJson(provider);
  Print(absl::StrCat("provider ", provider.name(), " -> ", provider.base_url(),
                     provider.has_secret() ? "" : " (no secret)", "\n"));
  return absl::OkStatus();
}

absl::Status ListProviders(Session& session) {
  v1::ListProvidersRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(v1::ListProvidersResponse response,
                   session.client.CallPages<v1::Providers>(&v1::Providers::Stub::ListProviders, request,
                                                           &v1::ListProvidersResponse::mutable_providers));
  if (session.json()) return PrintJson(response);
  Table table({"PROVIDER", "KIND", "BASE URL", "SECRET", "UPDATED"});
  for (const v1::Provider& provider : response.providers()) {
    table.Add({provider.name(), provider.kind(), provider.base_url(), provider.has_secret() ? "yes" : "no",
               FormatTimestamp(provider.update_time())});
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

struct KeyArgs {
  std::string name;
  std::vector<std::string> pins;
  std::vector<std::string> routes;
  std::string expires_in;
  std::string write;
};

absl::Status CreateKey(Session& session, const KeyArgs& args) {
  v1::CreateKeyRequest request;
  request.set_gateway(session.gateway);
  request.set_display_name(args.name);
  ASSIGN_OR_RETURN(*request.mutable_pinned_metadata_json(), PairsToJson(args.pins));
  request.mutable_allowed_routes()->Assign(args.routes.begin(), args.routes.end());
  if (!args.expires_in.empty()) {
    ASSIGN_OR_RETURN(const int64_t duration_us, ParseDuration(args.expires_in));
    const int64_t expire_us = Clock::System().UnixMicros() + duration_us;
    request.mutable_expire_time()->set_seconds(expire_us / 1'000'000);
    request.mutable_expire_time()->set_nanos(static_cast<int32_t>(expire_us % 1'000'000 * 1'000));
  }
  ASSIGN_OR_RETURN(const v1::CreateKeyResponse response,
                   session.client.Call<v1::Keys>(&v1::Keys::Stub::CreateKey, request));
  if (!args.write.empty()) RETURN_IF_ERROR(WriteOutput(args.write, response.secret() + "\n", /*secret=*/true));
  if (session.json()) return PrintJson(response);
  Print(args.write.empty()
            ? absl::StrCat("key ", response.key().id(), ", shown only this once:\n", response.secret(), "\n")
            : absl::StrCat("key ", response.key().id(), " written to ", args.write, "\n"));
  return absl::OkStatus();
}

absl::Status ListKeys(Session& session) {
  v1::ListKeysRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(
      v1::ListKeysResponse response,
      session.client.CallPages<v1::Keys>(&v1::Keys::Stub::ListKeys, request, &v1::ListKeysResponse::mutable_keys));
  if (session.json()) return PrintJson(response);
  Table table({"KEY", "NAME", "ROUTES", "PINNED", "EXPIRES", "CREATED", "REVOKED"});
  for (const v1::GatewayKey& key : response.keys()) {
    table.Add(
        {key.id(), key.display_name(), key.allowed_routes().empty() ? "all" : absl::StrJoin(key.allowed_routes(), ","),
         key.pinned_metadata_json().empty() ? "-" : key.pinned_metadata_json(), FormatTimestamp(key.expire_time()),
         FormatTimestamp(key.create_time()), FormatTimestamp(key.revoke_time())});
  }
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status RevokeKey(Session& session, const std::string& id) {
  v1::RevokeKeyRequest request;
  request.set_gateway(session.gateway);
  request.set_id(id);
  ASSIGN_OR_RETURN(const v1::GatewayKey key, session.client.Call<v1::Keys>(&v1::Keys::Stub::RevokeKey, request));
  if (session.json()) return PrintJson(key);
  Print(absl::StrCat("key ", key.id(), " revoked\n"));
  return absl::OkStatus();
}

std::vector<std::string> PriceRow(const v1::ModelPrice& price) {
  const auto optional = [](bool has, int64_t nanos, const char* otherwise = "as input") {
    return has ? FormatMoney(nanos) : std::string(otherwise);
  };
  return {price.provider(),
          price.model(),
          FormatMoney(price.input_nanos_per_mtok()),
          optional(price.has_cached_input_nanos_per_mtok(), price.cached_input_nanos_per_mtok()),
          optional(price.has_cache_write_nanos_per_mtok(), price.cache_write_nanos_per_mtok()),
          FormatMoney(price.output_nanos_per_mtok()),
          optional(price.has_audio_input_nanos_per_mtok(), price.audio_input_nanos_per_mtok()),
          optional(price.has_audio_output_nanos_per_mtok(), price.audio_output_nanos_per_mtok(), "as output"),
          absl::StrCat(price.max_output_tokens()),
          price.cap_field(),
          price.source()};
}

Table PriceTable() {
  return Table({"PROVIDER", "MODEL", "INPUT/M", "CACHED/M", "WRITE/M", "OUTPUT/M", "AUDIO IN/M", "AUDIO OUT/M",
                "MAX OUTPUT", "CAP FIELD", "SOURCE"});
}

absl::StatusOr<v1::ModelPrice> FetchPrice(Session& session, const std::string& provider, const std::string& model) {
  v1::GetPriceRequest request;
  request.set_gateway(session.gateway);
  request.set_provider(provider);
  request.set_model(model);
  return session.client.Call<v1::Prices>(&v1::Prices::Stub::GetPrice, request);
}

absl::Status ShowPrice(const Session& session, const v1::ModelPrice& price) {
  if (session.json()) return PrintJson(price);
  Table table = PriceTable();
  table.Add(PriceRow(price));
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status ListPrices(Session& session) {
  v1::ListPricesRequest request;
  request.set_gateway(session.gateway);
  ASSIGN_OR_RETURN(v1::ListPricesResponse response,
                   session.client.CallPages<v1::Prices>(&v1::Prices::Stub::ListPrices, request,
                                                        &v1::ListPricesResponse::mutable_prices));
  if (session.json()) return PrintJson(response);
  Table table = PriceTable();
  for (const v1::ModelPrice& price : response.prices()) table.Add(PriceRow(price));
  Print(table.ToString());
  return absl::OkStatus();
}

struct PriceArgs {
  std::string provider;
  std::string model;
  std::string input;
  std::string cached_input;
  std::string cache_write;
  std::string output;
  std::string audio_input;
  std::string audio_output;
  std::optional<int64_t> max_output_tokens;
  std::string cap_field;
  std::optional<int64_t> image_tokens_max;
  std::optional<int64_t> audio_tokens_max;
  std::optional<int64_t> file_tokens_max;
};

absl::Status SetPrice(Session& session, const PriceArgs& args) {
  v1::SetPriceRequest request;
  request.set_gateway(session.gateway);
  v1::ModelPrice& price = *request.mutable_price();
  absl::StatusOr<v1::ModelPrice> known = FetchPrice(session, args.provider, args.model);
  if (known.ok()) {
    price = *std::move(known);
  } else if (!absl::IsNotFound(known.status())) {
    return known.status();
  } else if (args.input.empty() || args.output.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(args.provider, " ", args.model, " has no price yet: give at least --input and --output"));
  }
  price.set_provider(args.provider);
  price.set_model(args.model);
  price.set_source("signalboxctl");
  const auto set = [&price](const std::string& text, void (v1::ModelPrice::*setter)(int64_t)) -> absl::Status {
    if (text.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const int64_t nanos, ParseDollars(text));
    (price.*setter)(nanos);
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(set(args.input, &v1::ModelPrice::set_input_nanos_per_mtok));
  RETURN_IF_ERROR(set(args.cached_input, &v1::ModelPrice::set_cached_input_nanos_per_mtok));
  RETURN_IF_ERROR(set(args.cache_write, &v1::ModelPrice::set_cache_write_nanos_per_mtok));
  RETURN_IF_ERROR(set(args.output, &v1::ModelPrice::set_output_nanos_per_mtok));
  RETURN_IF_ERROR(set(args.audio_input, &v1::ModelPrice::set_audio_input_nanos_per_mtok));
  RETURN_IF_ERROR(set(args.audio_output, &v1::ModelPrice::set_audio_output_nanos_per_mtok));
  if (args.max_output_tokens) price.set_max_output_tokens(*args.max_output_tokens);
  if (!args.cap_field.empty()) price.set_cap_field(args.cap_field);
  if (args.image_tokens_max) price.set_image_tokens_max(*args.image_tokens_max);
  if (args.audio_tokens_max) price.set_audio_tokens_max(*args.audio_tokens_max);
  if (args.file_tokens_max) price.set_file_tokens_max(*args.file_tokens_max);
  ASSIGN_OR_RETURN(const v1::ModelPrice stored, session.client.Call<v1::Prices>(&v1::Prices::Stub::SetPrice, request));
  return ShowPrice(session, stored);
}

void AddProviderCommands(CLI::App& app, Session& session) {
  CLI::App* provider = app.add_subcommand("provider", "where models are called")->require_subcommand(1);
  auto args = std::make_shared<ProviderArgs>();
  CLI::App* apply = provider->add_subcommand("apply", "create or replace a provider");
  apply->add_option("name", args->name, "what routes call it")->required();
  apply->add_option("--base-url,--base_url", args->base_url, "up to and including /v1")->required();
  apply->add_option("--kind", args->kind, "wire format")->capture_default_str();
  auto* group = apply->add_option_group("secret", "at most one; without any the stored secret stays");
  group->add_option("--secret-env,--secret_env", args->secret_env, "environment variable that holds the secret");
  group->add_option("--secret-file,--secret_file", args->secret_file, "file that holds the secret");
  group->add_option("--secret", args->secret, "- reads it from stdin")->check(CLI::IsMember({"-"}));
  group->require_option(0, 1);
  apply->add_option("--header", args->headers, "name=value, sent with every call")->allow_extra_args(false);
  apply->callback([&session, args] { session.command = [&session, args] { return ApplyProvider(session, *args); }; });
  AddPlain(provider, session, "list", "every provider of the gateway", &ListProviders);
  AddNamed(provider, session, "delete", "forget a provider that no deployed route uses", "name", &DeleteProvider);
}

void AddKeyCommands(CLI::App& app, Session& session) {
  CLI::App* key = app.add_subcommand("key", "gateway keys, which applications call with")->require_subcommand(1);
  auto args = std::make_shared<KeyArgs>();
  CLI::App* create = key->add_subcommand("create", "a new key; its text is shown once");
  create->add_option("--name", args->name, "to know it by");
  create->add_option("--pin", args->pins, "metadata k=v (text) or k:=v (JSON) that requests cannot override")
      ->allow_extra_args(false);
  create->add_option("--route", args->routes, "only this route; several times for several")->allow_extra_args(false);
  create->add_option("--expires-in,--expires_in", args->expires_in, "such as 30d");
  create->add_option("--write", args->write, "write the key's text to this file (0600)");
  create->callback([&session, args] { session.command = [&session, args] { return CreateKey(session, *args); }; });
  AddPlain(key, session, "list", "every key of the gateway", &ListKeys);
  AddNamed(key, session, "revoke", "refuse a key from now on", "id", &RevokeKey);
}

void AddPriceCommands(CLI::App& app, Session& session) {
  CLI::App* price = app.add_subcommand("price", "dollars per million tokens")->require_subcommand(1);
  auto args = std::make_shared<PriceArgs>();
  CLI::App* get = price->add_subcommand("get", "the price in force");
  get->add_option("provider", args->provider)->required();
  get->add_option("model", args->model)->required();
  get->callback([&session, args] {
    session.command = [&session, args]() -> absl::Status {
      ASSIGN_OR_RETURN(const v1::ModelPrice found, FetchPrice(session, args->provider, args->model));
      return ShowPrice(session, found);
    };
  });
  AddPlain(price, session, "list", "every price in force", &ListPrices);
  CLI::App* set = price->add_subcommand("set", "override a price in this gateway; what is not given stays as it is");
  set->add_option("provider", args->provider)->required();
  set->add_option("model", args->model)->required();
  set->add_option("--input", args->input, "dollars per million input tokens, such as 1.25");
  set->add_option("--cached-input,--cached_input", args->cached_input);
  set->add_option("--cache-write,--cache_write", args->cache_write);
  set->add_option("--output", args->output);
  set->add_option("--audio-input,--audio_input", args->audio_input, "dollars per million tokens of spoken input");
  set->add_option("--audio-output,--audio_output", args->audio_output, "and of spoken output");
  set->add_option("--max-output-tokens,--max_output_tokens", args->max_output_tokens);
  set->add_option("--cap-field,--cap_field", args->cap_field)
      ->check(CLI::IsMember({"max_tokens", "max_completion_tokens"}));
  set->add_option("--image-tokens-max,--image_tokens_max", args->image_tokens_max, "most input tokens of one image");
  set->add_option("--audio-tokens-max,--audio_tokens_max", args->audio_tokens_max);
  set->add_option("--file-tokens-max,--file_tokens_max", args->file_tokens_max);
  set->callback([&session, args] { session.command = [&session, args] { return SetPrice(session, *args); }; });
}

}  // namespace

void AddGatewayCommands(CLI::App& app, Session& session) {
  CLI::App* gateway =
      app.add_subcommand("gateway", "namespaces of routes, keys, providers, prices")->require_subcommand(1);
  AddNamed(gateway, session, "create", "a new gateway", "name", &CreateGateway);
  AddPlain(gateway, session, "list", "every gateway", &ListGateways);
  AddProviderCommands(app, session);
  AddKeyCommands(app, session);
  AddPriceCommands(app, session);
}

}  // namespace signalbox
