// gateway, key, price.
#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/clock.h"
#include "common/money.h"
#include "controlplane/cli/commands.h"
#include "controlplane/cli/values.h"
#include "controlplane/prices/bundled_prices.h"
#include "signalbox/v1/gateway.grpc.pb.h"

namespace signalbox {
namespace {

absl::Status CreateGateway(Session& session, const std::string& name) {
  v1::CreateGatewayRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::Gateway gateway,
                   session.client.Call<v1::Gateways>(&v1::Gateways::Stub::CreateGateway, request));
  if (session.json()) return PrintJson(gateway);
  Print(absl::StrCat("gateway ", gateway.name(), " created\n"));
  return absl::OkStatus();
}

std::string GatewayTable(const std::vector<v1::Gateway>& gateways) {
  Table table({"GATEWAY", "DEFAULT ROUTE", "PLAIN MODELS", "LOG", "CREATED"});
  for (const v1::Gateway& gateway : gateways) {
    const v1::GatewaySettings& settings = gateway.settings();
    table.Add({gateway.name(), settings.default_route().empty() ? "-" : settings.default_route(),
               settings.refuse_plain_models() ? "refused" : "allowed",
               settings.skip_log()              ? "sums only"
               : settings.collect_log_payload() ? "with payload"
                                                : "yes",
               FormatTimestamp(gateway.create_time())});
  }
  return table.ToString();
}

absl::Status ListGateways(Session& session) {
  ASSIGN_OR_RETURN(v1::ListGatewaysResponse response,
                   session.client.CallPages<v1::Gateways>(&v1::Gateways::Stub::ListGateways, v1::ListGatewaysRequest(),
                                                          &v1::ListGatewaysResponse::mutable_gateways));
  if (session.json()) return PrintJson(response);
  Print(GatewayTable({response.gateways().begin(), response.gateways().end()}));
  return absl::OkStatus();
}

struct SettingsArgs {
  std::string name;
  std::optional<std::string> default_route;
  std::optional<bool> refuse_plain_models;
  std::optional<bool> collect_log_payload;
  std::optional<bool> skip_log;
};

absl::Status SetGateway(Session& session, const SettingsArgs& args) {
  ASSIGN_OR_RETURN(const v1::ListGatewaysResponse known,
                   session.client.CallPages<v1::Gateways>(&v1::Gateways::Stub::ListGateways, v1::ListGatewaysRequest(),
                                                          &v1::ListGatewaysResponse::mutable_gateways));
  v1::UpdateGatewayRequest request;
  request.set_name(args.name);
  v1::GatewaySettings& settings = *request.mutable_settings();
  for (const v1::Gateway& gateway : known.gateways()) {
    if (gateway.name() == args.name) settings = gateway.settings();
  }
  if (args.default_route) settings.set_default_route(*args.default_route);
  if (args.refuse_plain_models) settings.set_refuse_plain_models(*args.refuse_plain_models);
  if (args.collect_log_payload) settings.set_collect_log_payload(*args.collect_log_payload);
  if (args.skip_log) settings.set_skip_log(*args.skip_log);
  ASSIGN_OR_RETURN(const v1::Gateway gateway,
                   session.client.Call<v1::Gateways>(&v1::Gateways::Stub::UpdateGateway, request));
  if (session.json()) return PrintJson(gateway);
  Print(GatewayTable({gateway}));
  return absl::OkStatus();
}

struct KeyArgs {
  std::string name;
  std::vector<std::string> pins;
  std::vector<std::string> routes;
  std::string expires_in;
  std::string write;
  std::string cache_group;
};

absl::Status CreateKey(Session& session, const KeyArgs& args) {
  v1::CreateKeyRequest request;
  request.set_gateway(session.gateway);
  request.set_display_name(args.name);
  request.set_cache_group(args.cache_group);
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
  Table table({"KEY", "NAME", "ROUTES", "PINNED", "CACHE GROUP", "EXPIRES", "CREATED", "REVOKED"});
  for (const v1::GatewayKey& key : response.keys()) {
    table.Add({key.id(), key.display_name(),
               key.allowed_routes().empty() ? "all" : absl::StrJoin(key.allowed_routes(), ","),
               key.pinned_metadata_json().empty() ? "-" : key.pinned_metadata_json(),
               key.cache_group().empty() ? "-" : key.cache_group(), FormatTimestamp(key.expire_time()),
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
  for (const v1::PriceTier& tier : price.tiers()) {
    Print(absl::StrCat("above ", tier.above_input_tokens(), " input tokens: input ",
                       FormatMoney(tier.rates().input_nanos_per_mtok()), ", output ",
                       FormatMoney(tier.rates().output_nanos_per_mtok()), "\n"));
  }
  if (price.times_size() > 0) Print("other prices hold at other times; -o json shows them\n");
  for (const std::string& unit : price.unmetered()) Print(absl::StrCat("not counted: ", unit, "\n"));
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

absl::Status ShowCatalogue(const Session& session, const v1::PriceCatalogueStatus& status) {
  if (session.json()) return PrintJson(status);
  Table table({"PRICES", ""});
  table.Add({"source", absl::StrCat(status.source(), status.bundled() ? " (of this build)" : "")});
  table.Add({"models", absl::StrCat(status.models())});
  table.Add({"in force since", status.bundled() ? "the build" : FormatTimeMicros(status.update_us())});
  table.Add({"refreshed from", status.refresh_url().empty() ? "nowhere (--price_url)" : status.refresh_url()});
  table.Add({"last refresh", FormatTimeMicros(status.last_refresh_us())});
  table.Add({"its result", status.last_refresh_us() == 0 ? "-"
                           : status.last_error().empty() ? "ok"
                                                         : status.last_error()});
  table.Add({"next refresh", FormatTimeMicros(status.next_refresh_us())});
  Print(table.ToString());
  return absl::OkStatus();
}

absl::Status ShowCatalogueStatus(Session& session) {
  ASSIGN_OR_RETURN(
      const v1::PriceCatalogueStatus status,
      session.client.Call<v1::Prices>(&v1::Prices::Stub::GetPriceCatalogue, v1::GetPriceCatalogueRequest()));
  return ShowCatalogue(session, status);
}

absl::Status RefreshPrices(Session& session, const v1::RefreshPricesRequest& request) {
  ASSIGN_OR_RETURN(const v1::PriceCatalogueStatus status,
                   session.client.Call<v1::Prices>(&v1::Prices::Stub::RefreshPrices, request));
  return ShowCatalogue(session, status);
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
  price.clear_match();
  if (!(args.input + args.cached_input + args.cache_write + args.output + args.audio_input + args.audio_output)
           .empty()) {
    price.clear_tiers();  // what is set by hand holds for every prompt at any time
    price.clear_times();
    price.clear_unmetered();
  }
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

void AddKeyCommands(CLI::App& app, Session& session) {
  CLI::App* key = app.add_subcommand("key", "gateway keys, which applications call with")->require_subcommand(1);
  auto args = std::make_shared<KeyArgs>();
  CLI::App* create = key->add_subcommand("create", "a new key; its text is shown once");
  create->add_option("--name", args->name, "to know it by");
  create->add_option("--pin", args->pins, "metadata k=v (text) or k:=v (JSON) that requests cannot override")
      ->allow_extra_args(false);
  create->add_option("--route", args->routes, "only this route; several times for several")->allow_extra_args(false);
  create->add_option("--expires-in,--expires_in", args->expires_in, "such as 30d");
  create->add_option("--cache-group,--cache_group", args->cache_group,
                     "keys of one group share cached answers; without one a key has its own");
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
  AddPlain(price, session, "status", "which catalogue is in force, and how its last refresh went",
           &ShowCatalogueStatus);
  auto how = std::make_shared<v1::RefreshPricesRequest>();
  CLI::App* refresh = price->add_subcommand("refresh", "fetch the catalogue from the control plane's --price_url now");
  CLI::Option* bundled = refresh->add_flag_function(
      "--bundled", [how](int64_t) { how->set_bundled(true); }, "instead go back to the catalogue of the build");
  refresh
      ->add_flag_function(
          "--force", [how](int64_t) { how->set_force(true); }, "also one that lost more than half of its models")
      ->excludes(bundled);
  refresh->callback([&session, how] { session.command = [&session, how] { return RefreshPrices(session, *how); }; });
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
  AddPlain(gateway, session, "list", "every gateway and its settings", &ListGateways);
  auto args = std::make_shared<SettingsArgs>();
  CLI::App* set = gateway->add_subcommand("set", "change settings; what is not given stays as it is");
  set->add_option("name", args->name)->required();
  set->add_option("--default-route,--default_route", args->default_route,
                  "calls of plain {provider}/{model} pass through this deployed route; \"\" for none");
  // add_flag would make an optional that was not given false.
  const auto flag = [set](const char* names, std::optional<bool>& value, const char* help) {
    set->add_flag_function(
        names, [&value](int64_t times) { value = times > 0; }, help);
  };
  flag("--refuse-plain-models,!--allow-plain-models", args->refuse_plain_models, "only dynamic/<route>");
  flag("--collect-log-payload,!--no-log-payload", args->collect_log_payload, "keep bodies with the spend records");
  flag("--skip-log,!--keep-log", args->skip_log, "keep of requests what bills need, and list none");
  set->callback([&session, args] { session.command = [&session, args] { return SetGateway(session, *args); }; });
  AddKeyCommands(app, session);
  AddPriceCommands(app, session);
}

}  // namespace signalbox
