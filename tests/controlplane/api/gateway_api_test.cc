#include <functional>

#include "common/manifest.h"
#include "common/sha256.h"
#include "tests/controlplane/api/api_fixture.h"

namespace signalbox {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST_F(ApiTest, GatewayStartsWithProvidersWithoutSecrets) {
  v1::CreateGatewayRequest create;
  create.set_name("prod");
  ASSERT_TRUE(Call(*gateways_, &v1::Gateways::Stub::CreateGateway, create).ok());
  ExpectRefused(Call(*gateways_, &v1::Gateways::Stub::CreateGateway, create).status(), absl::StatusCode::kAlreadyExists,
                R"(there already is a gateway "prod")");
  create.set_name("Prod");
  ExpectRefused(Call(*gateways_, &v1::Gateways::Stub::CreateGateway, create).status(), kInvalid,
                StartsWith(R"(name: "Prod" is no valid name)"));
  v1::ListProvidersRequest list;
  list.set_gateway("prod");
  const auto providers = Call(*providers_, &v1::Providers::Stub::ListProviders, list);
  ASSERT_TRUE(providers.ok());
  ASSERT_EQ(providers->providers_size(), 2);
  EXPECT_EQ(providers->providers(0).name(), "anthropic");
  EXPECT_EQ(providers->providers(0).base_url(), "https://api.anthropic.com/v1");
  EXPECT_EQ(providers->providers(1).name(), "openai");
  EXPECT_FALSE(providers->providers(1).has_secret());
  const auto gateways = Call(*gateways_, &v1::Gateways::Stub::ListGateways, v1::ListGatewaysRequest());
  ASSERT_EQ(gateways->gateways_size(), 2);
  EXPECT_EQ(gateways->gateways(0).name(), "default");
}

TEST_F(ApiTest, ProviderSecretIsNeverReturnedNorStoredInTheClear) {
  v1::ApplyProviderRequest apply;
  apply.mutable_provider()->set_gateway("default");
  apply.mutable_provider()->set_name("acme");
  apply.mutable_provider()->set_kind("openai");
  apply.mutable_provider()->set_base_url("https://llm.acme.example/v1/");
  apply.set_secret("sk-acme-0123456789");
  const auto applied = Call(*providers_, &v1::Providers::Stub::ApplyProvider, apply);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_TRUE(applied->has_secret());
  EXPECT_EQ(applied->base_url(), "https://llm.acme.example/v1");
  EXPECT_THAT(applied->DebugString(), Not(HasSubstr("sk-acme")));
  EXPECT_EQ(publisher_.commits, 1);
  v1::ListProvidersRequest list;
  list.set_gateway("default");
  EXPECT_THAT(Call(*providers_, &v1::Providers::Stub::ListProviders, list)->DebugString(), Not(HasSubstr("sk-acme")));
  ASSERT_TRUE(CreateRoute(RouteJson("a"), true).ok());
  EXPECT_EQ(Published().at(ProviderResource("default", "acme")).provider().secret(), "sk-acme-0123456789");
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr("sk-acme-0123456789")));
}

TEST_F(ApiTest, ProviderFieldsAreChecked) {
  v1::ApplyProviderRequest good;
  good.mutable_provider()->set_gateway("default");
  good.mutable_provider()->set_name("acme");
  good.mutable_provider()->set_kind("openai");
  good.mutable_provider()->set_base_url("http://127.0.0.1:8000/v1");
  const auto refusal = [&](const v1::ApplyProviderRequest& request) {
    return Call(*providers_, &v1::Providers::Stub::ApplyProvider, request).status();
  };
  v1::ApplyProviderRequest bad = good;
  bad.mutable_provider()->set_kind("telepathy");
  ExpectRefused(
      refusal(bad), kInvalid,
      R"(provider.kind: "telepathy" is unknown (known: openai, azure-openai, anthropic, google, bedrock); openai )"
      "fits every OpenAI-compatible base URL");
  bad = good;
  bad.mutable_provider()->clear_base_url();
  ExpectRefused(refusal(bad), kInvalid,
                AllOf(StartsWith("provider.base_url: is missing, e.g. https://api.openai.com/v1; only these have"),
                      HasSubstr("groq"), Not(HasSubstr("anthropic"))));
  for (const char* url : {"api.openai.com/v1", "ftp://x/v1", "https://", "https://u@h/v1", "https://h:0/v1",
                          "https://h:99999/v1", "https://h/v1?x=1", "https://h/ v1"}) {
    SCOPED_TRACE(url);
    bad = good;
    bad.mutable_provider()->set_base_url(url);
    ExpectRefused(refusal(bad), kInvalid, StartsWith("provider.base_url: "));
  }
  bad = good;
  (*bad.mutable_provider()->mutable_headers())["Authorization"] = "Bearer x";
  ExpectRefused(refusal(bad), kInvalid,
                R"(provider.headers: "Authorization" is set by the gateway; give the provider's key as its secret)");
  bad = good;
  (*bad.mutable_provider()->mutable_headers())["x-team"] = "a\r\nx: y";
  ExpectRefused(refusal(bad), kInvalid, HasSubstr("control characters"));
  bad = good;
  bad.set_secret("sk abc\n");
  ExpectRefused(refusal(bad), kInvalid, AllOf(StartsWith("secret: "), Not(HasSubstr("abc"))));
  bad = good;
  bad.mutable_provider()->set_gateway("nowhere");
  ExpectRefused(refusal(bad), absl::StatusCode::kNotFound, R"(unknown gateway "nowhere" (known: default))");
  EXPECT_TRUE(refusal(good).ok());
  EXPECT_EQ(publisher_.commits, 1);
}

v1::ApplyProviderRequest ApplyOf(const std::string& name, const std::string& kind = "") {
  v1::ApplyProviderRequest request;
  request.mutable_provider()->set_gateway("default");
  request.mutable_provider()->set_name(name);
  request.mutable_provider()->set_kind(kind);
  return request;
}

TEST_F(ApiTest, AWellKnownProviderNeedsItsNameAndItsKeyOnly) {
  const auto apply = [&](v1::ApplyProviderRequest request, const std::string& secret) {
    request.set_secret(secret);
    return Call(*providers_, &v1::Providers::Stub::ApplyProvider, request);
  };
  const auto groq = apply(ApplyOf("groq"), "gsk-1");
  ASSERT_TRUE(groq.ok()) << groq.status();
  EXPECT_EQ(groq->kind(), "openai");
  EXPECT_EQ(groq->base_url(), "https://api.groq.com/openai/v1");
  const auto gemini = apply(ApplyOf("google-ai-studio"), "AIza");
  ASSERT_TRUE(gemini.ok()) << gemini.status();
  EXPECT_EQ(gemini->kind(), "google");
  EXPECT_EQ(gemini->base_url(), "https://generativelanguage.googleapis.com/v1beta");
  v1::ApplyProviderRequest bedrock = ApplyOf("aws-bedrock");
  (*bedrock.mutable_provider()->mutable_options())["region"] = "us-east-1";
  const auto applied = apply(bedrock, "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->kind(), "bedrock");
  EXPECT_EQ(applied->base_url(), "https://bedrock-runtime.us-east-1.amazonaws.com");
  ASSERT_TRUE(CreateRoute(RouteJson("fast", "llama-3.3-70b-versatile", "groq"), true).ok());
}

TEST_F(ApiTest, OptionsAreCheckedByKind) {
  const auto refusal = [&](const v1::ApplyProviderRequest& request) {
    return Call(*providers_, &v1::Providers::Stub::ApplyProvider, request).status();
  };
  v1::ApplyProviderRequest request = ApplyOf("bedrock");
  ExpectRefused(refusal(request), kInvalid, "provider.options: region is missing: an AWS region such as us-east-1");
  (*request.mutable_provider()->mutable_options())["region"] = "US East";
  ExpectRefused(refusal(request), kInvalid,
                R"(provider.options: region is an AWS region such as us-east-1; not "US East")");
  (*request.mutable_provider()->mutable_options())["region"] = "us-east-1";
  for (const char* secret : {"AKIA", "AKIA:", ":x", "AKIA:x:", "AKIA:x:y:z", "AK-IA:x"}) {
    request.set_secret(secret);
    ExpectRefused(refusal(request), kInvalid,
                  StartsWith("secret: is not of the shape ACCESS_KEY_ID:SECRET_ACCESS_KEY"));
  }
  request = ApplyOf("my-azure", "azure-openai");
  ExpectRefused(refusal(request), kInvalid,
                "provider.base_url: is missing: the resource's own, e.g. "
                "https://my-resource.openai.azure.com/openai/v1");
  request.mutable_provider()->set_base_url("https://my-resource.openai.azure.com");
  for (const char* version : {"v1", "2024", "2024-10-21-beta", "2024/10/21"}) {
    (*request.mutable_provider()->mutable_options())["api_version"] = version;
    ExpectRefused(refusal(request), kInvalid, StartsWith("provider.options: api_version is a date such as 2024-10-21"));
  }
  for (const char* version : {"2024-10-21", "2025-04-01-preview"}) {
    (*request.mutable_provider()->mutable_options())["api_version"] = version;
    EXPECT_TRUE(refusal(request).ok());
  }
  request = ApplyOf("anthropic");
  (*request.mutable_provider()->mutable_options())["region"] = "us-east-1";
  ExpectRefused(refusal(request), kInvalid,
                R"(provider.options: "region" is no option of kind anthropic (known: none))");
  request = ApplyOf("anthropic");
  (*request.mutable_provider()->mutable_headers())["X-Api-Key"] = "sk";
  ExpectRefused(refusal(request), kInvalid,
                R"(provider.headers: "X-Api-Key" is set by the gateway; give the provider's key as its secret)");
}

TEST_F(ApiTest, EndpointsAndHealthChecksAreChecked) {
  v1::ApplyProviderRequest good = ApplyOf("groq");
  good.mutable_provider()->add_endpoints()->set_name("east");
  good.mutable_provider()->mutable_endpoints(0)->set_weight(3);
  good.mutable_provider()->mutable_endpoints(0)->set_base_url("https://east.example/v1/");
  good.mutable_provider()->add_endpoints()->set_name("west");
  (*good.mutable_endpoint_secrets())["west"] = "sk-west";
  good.mutable_provider()->mutable_health_check()->set_path("/models");
  good.mutable_provider()->mutable_health_check()->set_interval_s(10);
  const auto applied = Call(*providers_, &v1::Providers::Stub::ApplyProvider, good);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->endpoints(0).base_url(), "https://east.example/v1");
  EXPECT_EQ(applied->endpoints(1).weight(), 1);
  EXPECT_TRUE(applied->endpoints(1).has_secret());
  EXPECT_FALSE(applied->endpoints(0).has_secret());

  const auto refused = [&](const std::function<void(v1::ApplyProviderRequest&)>& change, const std::string& text) {
    v1::ApplyProviderRequest bad = good;
    change(bad);
    ExpectRefused(Call(*providers_, &v1::Providers::Stub::ApplyProvider, bad).status(), kInvalid, StartsWith(text));
  };
  refused([](auto& r) { r.mutable_provider()->mutable_endpoints(1)->set_name("east"); },
          R"(provider.endpoints[1].name: "east" is there twice)");
  refused([](auto& r) { r.mutable_provider()->mutable_endpoints(1)->set_name("West!"); },
          "provider.endpoints[1].name: ");
  refused([](auto& r) { r.mutable_provider()->mutable_endpoints(0)->set_weight(1001); },
          "provider.endpoints[0].weight: 1001 is not between 1 and 1000");
  refused([](auto& r) { r.mutable_provider()->mutable_endpoints(0)->set_base_url("east"); },
          "provider.endpoints[0].base_url: ");
  refused([](auto& r) { (*r.mutable_endpoint_secrets())["north"] = "sk"; },
          R"(endpoint_secrets: there is no endpoint "north" (endpoints: east, west))");
  refused([](auto& r) { (*r.mutable_endpoint_secrets())["west"] = "sk west"; },
          R"(endpoint_secrets["west"]: has spaces)");
  refused([](auto& r) { r.mutable_provider()->mutable_health_check()->set_path("models"); },
          "provider.health_check.path: ");
  refused([](auto& r) { r.mutable_provider()->mutable_health_check()->set_interval_s(0); },
          "provider.health_check.interval_s: 0 is not between 1 and 3600 seconds");
  EXPECT_EQ(publisher_.commits, 1);
}

TEST_F(ApiTest, StatusOfProvidersIsWhatTheFleetSays) {
  v1::ListProviderStatusRequest request;
  request.set_gateway("default");
  const auto response = Call(*providers_, &v1::Providers::Stub::ListProviderStatus, request);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->statuses_size(), 1);
  EXPECT_EQ(response->statuses(0).provider(), "openai");
  EXPECT_EQ(response->statuses(0).breaker(), v1::ProviderStatus::OPEN);
  request.set_gateway("nowhere");
  ExpectRefused(Call(*providers_, &v1::Providers::Stub::ListProviderStatus, request).status(),
                absl::StatusCode::kNotFound, R"(unknown gateway "nowhere" (known: default))");
}

TEST_F(ApiTest, GatewaySettingsAreReplacedAndPublished) {
  ASSERT_TRUE(CreateRoute(RouteJson("a"), true).ok());
  const int commits = publisher_.commits;
  v1::UpdateGatewayRequest request;
  request.set_name("default");
  request.mutable_settings()->set_default_route("a");
  request.mutable_settings()->set_refuse_plain_models(true);
  const auto updated = Call(*gateways_, &v1::Gateways::Stub::UpdateGateway, request);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->settings().default_route(), "a");
  EXPECT_EQ(publisher_.commits, commits + 1);
  EXPECT_TRUE(Published().at(GatewayResource("default")).gateway().settings().refuse_plain_models());
  v1::DeleteRouteRequest remove;
  remove.set_gateway("default");
  remove.set_route("a");
  ExpectRefused(Call(*routes_, &v1::Routes::Stub::DeleteRoute, remove).status(), absl::StatusCode::kFailedPrecondition,
                StartsWith(R"(route "a" is the default route of gateway "default")"));
  request.mutable_settings()->set_default_route("b");
  ExpectRefused(Call(*gateways_, &v1::Gateways::Stub::UpdateGateway, request).status(), kInvalid,
                R"(settings.default_route: gateway "default": unknown route "b" (known: a))");
}

TEST_F(ApiTest, ProviderOfADeployedRouteCannotBeDeleted) {
  ASSERT_TRUE(CreateRoute(RouteJson("a"), true).ok());
  v1::DeleteProviderRequest remove;
  remove.set_gateway("default");
  remove.set_name("openai");
  ExpectRefused(Call(*providers_, &v1::Providers::Stub::DeleteProvider, remove).status(),
                absl::StatusCode::kFailedPrecondition, R"(provider "openai" is used by deployed routes: "a")");
}

TEST_F(ApiTest, KeyIsShownOnceAndStoredAsItsHash) {
  ASSERT_TRUE(CreateRoute(RouteJson("a"), true).ok());
  v1::CreateKeyRequest request;
  request.set_gateway("default");
  request.set_display_name("web");
  request.set_pinned_metadata_json(R"({"plan": "free", "seats": 3, "trial": true})");
  request.add_allowed_routes("a");
  request.set_cache_group("web");
  *request.mutable_expire_time() = ToTimestamp(clock_.UnixMicros() + 1'000'000);
  const auto created = CreateKey(request);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_THAT(created->secret(), ::testing::MatchesRegex("sbx_[0-9a-f]{64}"));
  v1::ListKeysRequest list;
  list.set_gateway("default");
  const auto keys = Call(*keys_, &v1::Keys::Stub::ListKeys, list);
  ASSERT_EQ(keys->keys_size(), 1);
  EXPECT_EQ(keys->keys(0).SerializeAsString(), created->key().SerializeAsString());
  EXPECT_THAT(DatabaseBytes(), Not(HasSubstr(created->secret())));
  const v1::SnapshotKey published = Published().at(KeyResource("default", created->key().id())).key();
  EXPECT_EQ(published.sha256(), Sha256Hex(created->secret()));
  EXPECT_EQ(published.pinned_metadata_json(), request.pinned_metadata_json());
  EXPECT_EQ(published.cache_group(), "web");
  EXPECT_THAT(published.allowed_routes(), ElementsAre("a"));

  v1::RevokeKeyRequest revoke;
  revoke.set_gateway("default");
  revoke.set_id(created->key().id());
  const auto revoked = Call(*keys_, &v1::Keys::Stub::RevokeKey, revoke);
  ASSERT_TRUE(revoked.ok());
  EXPECT_TRUE(revoked->has_revoke_time());
  EXPECT_EQ(Published().count(KeyResource("default", created->key().id())), 0u);
  revoke.set_id("nobody");
  ExpectRefused(Call(*keys_, &v1::Keys::Stub::RevokeKey, revoke).status(), absl::StatusCode::kNotFound,
                R"(unknown key "nobody"; list the gateway's keys for their ids)");
}

TEST_F(ApiTest, KeyFieldsAreChecked) {
  v1::CreateKeyRequest request;
  request.set_gateway("default");
  const auto refused = [&](const std::string& metadata, const std::string& text) {
    request.set_pinned_metadata_json(metadata);
    ExpectRefused(CreateKey(request).status(), kInvalid, absl::StrCat("pinned_metadata_json: ", text));
  };
  refused("[1]", R"(must be a JSON object, e.g. {"plan": "free"})");
  refused("{", R"(must be a JSON object, e.g. {"plan": "free"})");
  refused(R"({"a": {"b": 1}})", R"("a" must be a string, a number or a boolean, not object)");
  refused(R"({"a": null})", R"("a" must be a string, a number or a boolean, not null)");
  refused(R"({"a": 1, "a": 2})", R"("a" is there twice)");
  std::string many = "{";
  for (int i = 0; i < 33; ++i) absl::StrAppend(&many, i == 0 ? "" : ",", "\"k", i, "\":1");
  refused(many + "}", "has 33 entries; at most 32 are allowed");
  request.clear_pinned_metadata_json();
  request.add_allowed_routes("nope");
  ExpectRefused(CreateKey(request).status(), absl::StatusCode::kNotFound,
                R"(gateway "default": unknown route "nope" (it has no routes yet))");
  request.clear_allowed_routes();
  *request.mutable_expire_time() = ToTimestamp(clock_.UnixMicros());
  ExpectRefused(CreateKey(request).status(), kInvalid, StartsWith("expire_time: is in the past"));
}

TEST_F(ApiTest, PriceOverridesTheBundledOne) {
  v1::GetPriceRequest get;
  get.set_gateway("default");
  get.set_provider("openai");
  get.set_model("gpt-5.1");
  EXPECT_EQ(Call(*prices_, &v1::Prices::Stub::GetPrice, get)->input_nanos_per_mtok(), 1'250'000'000);
  v1::SetPriceRequest set;
  set.set_gateway("default");
  set.mutable_price()->set_provider("openai");
  set.mutable_price()->set_model("gpt-5.1");
  set.mutable_price()->set_input_nanos_per_mtok(7);
  set.mutable_price()->set_output_nanos_per_mtok(8);
  const auto price = Call(*prices_, &v1::Prices::Stub::SetPrice, set);
  ASSERT_TRUE(price.ok()) << price.status();
  EXPECT_EQ(price->max_output_tokens(), 16'384) << "kept from the price before";
  EXPECT_EQ(price->source(), "set by admin");
  EXPECT_EQ(Call(*prices_, &v1::Prices::Stub::GetPrice, get)->input_nanos_per_mtok(), 7);
  EXPECT_EQ(publisher_.commits, 1);

  set.mutable_price()->set_model("new-model");
  ExpectRefused(Call(*prices_, &v1::Prices::Stub::SetPrice, set).status(), kInvalid,
                "price.max_output_tokens: is missing: the most output tokens the model can be asked for");
  set.mutable_price()->set_max_output_tokens(100);
  set.mutable_price()->set_output_nanos_per_mtok(-1);
  ExpectRefused(Call(*prices_, &v1::Prices::Stub::SetPrice, set).status(), kInvalid,
                StartsWith("price.output_nanos_per_mtok: -1 is not between 0 and"));
  get.set_model("gpt-6");
  ExpectRefused(Call(*prices_, &v1::Prices::Stub::GetPrice, get).status(), absl::StatusCode::kNotFound,
                R"(gateway "default": no price for openai/gpt-6 (known: gpt-4o-mini, gpt-5.1))");

  v1::ListPricesRequest list;
  list.set_gateway("default");
  list.set_page_size(1);
  const auto first = Call(*prices_, &v1::Prices::Stub::ListPrices, list);
  EXPECT_EQ(first->prices(0).model(), "gpt-4o-mini");
  list.set_page_token(first->next_page_token());
  const auto second = Call(*prices_, &v1::Prices::Stub::ListPrices, list);
  EXPECT_EQ(second->prices(0).model(), "gpt-5.1");
  EXPECT_EQ(second->next_page_token(), "");
}

}  // namespace
}  // namespace signalbox
