#include "dataplane/routing/find_route.h"

#include <gtest/gtest.h>

#include "common/route/walker.h"

namespace signalbox {
namespace {

constexpr int64_t kDollar = 1'000'000'000;

v1::ModelPrice Price(const std::string& model, int64_t input) {
  v1::ModelPrice price;
  price.set_provider("openai");
  price.set_model(model);
  price.set_input_nanos_per_mtok(input);
  price.set_output_nanos_per_mtok(2 * input);
  return price;
}

// start -> limit -> model a (fallback: model b) -> end
std::shared_ptr<v1::CompiledRoute> Guarded() {
  auto route = std::make_shared<v1::CompiledRoute>();
  route->set_gateway("shop");
  route->set_route_id("r-1");
  route->set_name("guarded");
  route->set_version(3);
  route->add_elements()->set_id("start");
  route->mutable_elements(0)->mutable_start()->set_next(1);
  v1::CompiledElement::Limit& limit = *route->add_elements()->mutable_limit();
  route->mutable_elements(1)->set_id("limit");
  limit.set_pool("limit");
  limit.add_key()->set_root(v1::FieldRef::METADATA);
  limit.mutable_key(0)->add_path("team");
  limit.set_unit(v1::NANO_DOLLARS);
  limit.set_limit(kDollar);
  limit.set_window_seconds(60);
  limit.set_technique(v1::FIXED);
  limit.set_admission(v1::STRICT);
  limit.set_on_error(v1::DENY);
  limit.set_on_success(2);
  limit.add_reachable_models(2);
  limit.add_reachable_models(3);
  for (const char* id : {"a", "b"}) {
    v1::CompiledElement& element = *route->add_elements();
    element.set_id(id);
    v1::CompiledElement::Model& model = *element.mutable_model();
    model.set_provider("anthropic");
    model.set_model("claude");
    model.set_timeout_ms(7'000);
    model.set_retries(2);
    model.set_backoff("linear");
    model.set_parameters_json("{\"top_k\":3}");
    *model.mutable_price() = Price("claude", 9 * kDollar);
    model.set_on_success(4);
  }
  route->mutable_elements(2)->mutable_model()->set_on_fallback(3);
  route->add_elements()->set_id("end");
  route->mutable_elements(4)->mutable_end();
  return route;
}

struct Gateway {
  explicit Gateway(const std::string& default_route = "", bool refuse_plain = false) {
    ActiveSnapshot::Gateway& gateway = snapshot.gateways["shop"];
    for (const char* name : {"openai", "anthropic", "google-ai-studio", "vllm"}) {
      auto provider = std::make_shared<v1::SnapshotProvider>();
      provider->set_name(name);
      gateway.providers[name] = provider;
    }
    gateway.prices["openai"] = *PriceTable::Of({Price("gpt-4o", kDollar), Price("org/deep/model", 2 * kDollar)});
    gateway.routes.Insert("guarded", Guarded());
    auto settings = std::make_shared<v1::SnapshotGateway>();
    settings->mutable_settings()->set_default_route(default_route);
    settings->mutable_settings()->set_refuse_plain_models(refuse_plain);
    gateway.settings = settings;
    key.set_gateway("shop");
  }

  FoundRoute Find(std::string_view model, Format format = Format::kChat, std::string_view provider = "") const {
    RouteWanted wanted;
    wanted.gateway = "shop";
    wanted.format = format;
    wanted.model = model;
    wanted.provider = provider;
    return FindRoute(snapshot, key, wanted);
  }
  // "openai/gpt-4o" of the first model on the route, or "403 route_not_allowed".
  std::string Model(std::string_view model, Format format = Format::kChat, std::string_view provider = "") const {
    const FoundRoute found = Find(model, format, provider);
    if (const auto* refusal = std::get_if<Refusal>(&found)) {
      return std::to_string(refusal->status) + " " + refusal->code;
    }
    for (const v1::CompiledElement& element : std::get<std::shared_ptr<const v1::CompiledRoute>>(found)->elements()) {
      if (element.has_model()) return element.model().provider() + "/" + element.model().model();
    }
    return "no model";
  }

  ActiveSnapshot snapshot;
  v1::SnapshotKey key;
};

TEST(FindRoute, ANamedRouteIsTheDeployedOne) {
  Gateway gateway;
  const FoundRoute found = gateway.Find("dynamic/guarded");
  ASSERT_TRUE(std::holds_alternative<std::shared_ptr<const v1::CompiledRoute>>(found));
  EXPECT_EQ(std::get<std::shared_ptr<const v1::CompiledRoute>>(found),
            gateway.snapshot.gateways["shop"].routes.at("guarded"));
  EXPECT_EQ(gateway.Model("dynamic/other"), "404 route_not_found");
  gateway.key.add_allowed_routes("other");
  EXPECT_EQ(gateway.Model("dynamic/guarded"), "403 route_not_allowed");
}

TEST(FindRoute, APlainModelIsItsProvidersWhateverSlashesFollow) {
  const Gateway gateway;
  EXPECT_EQ(gateway.Model("openai/gpt-4o"), "openai/gpt-4o");
  EXPECT_EQ(gateway.Model("vllm/org/deep/model"), "vllm/org/deep/model");
  EXPECT_EQ(gateway.Model("google/gemini"), "google-ai-studio/gemini") << "another name of the same";
  EXPECT_EQ(gateway.Model("openai/"), "400 invalid_request");
}

TEST(FindRoute, ABareModelIsOfTheProviderNaturalToTheFormat) {
  const Gateway gateway;
  EXPECT_EQ(gateway.Model("gpt-4o"), "openai/gpt-4o");
  EXPECT_EQ(gateway.Model("gpt-4o", Format::kResponses), "openai/gpt-4o");
  EXPECT_EQ(gateway.Model("claude-x", Format::kMessages), "anthropic/claude-x");
}

TEST(FindRoute, AProviderNamedByThePathOwnsTheWholeName) {
  const Gateway gateway;
  EXPECT_EQ(gateway.Model("openai/gpt-4o", Format::kChat, "vllm"), "vllm/openai/gpt-4o");
  EXPECT_EQ(gateway.Model("dynamic/guarded", Format::kChat, "vllm"), "vllm/dynamic/guarded");
}

TEST(FindRoute, AnUnknownProviderIsToldTheConfiguredOnes) {
  const FoundRoute found = Gateway().Find("mistral/large");
  ASSERT_TRUE(std::holds_alternative<Refusal>(found));
  EXPECT_EQ(std::get<Refusal>(found).status, 404);
  EXPECT_EQ(std::get<Refusal>(found).code, "provider_not_found");
  EXPECT_EQ(
      std::get<Refusal>(found).message,
      "no provider \"mistral\" is configured in this gateway (there are: anthropic, google-ai-studio, openai, vllm); "
      "name a route as \"dynamic/<route>\" or a model as \"{provider}/{model}\"");
}

TEST(FindRoute, AGatewayMayRefusePlainModels) {
  const Gateway gateway("guarded", true);
  EXPECT_EQ(gateway.Model("openai/gpt-4o"), "403 plain_models_refused");
  EXPECT_EQ(gateway.Model("gpt-4o", Format::kChat, "openai"), "403 plain_models_refused");
  EXPECT_EQ(gateway.Model("dynamic/guarded"), "anthropic/claude");
}

TEST(FindRoute, AKeyOfSomeRoutesCallsPlainModelsOnlyThroughADefaultRouteAmongThem) {
  Gateway without;
  without.key.add_allowed_routes("guarded");
  EXPECT_EQ(without.Model("openai/gpt-4o"), "403 route_not_allowed");
  Gateway with("guarded");
  with.key.add_allowed_routes("other");
  EXPECT_EQ(with.Model("openai/gpt-4o"), "403 route_not_allowed");
  with.key.add_allowed_routes("guarded");
  EXPECT_EQ(with.Model("openai/gpt-4o"), "openai/gpt-4o");
}

TEST(PlainRoute, WithoutADefaultRouteIsStartModelEnd) {
  const FoundRoute found = Gateway().Find("openai/gpt-4o");
  v1::CompiledRoute route = *std::get<std::shared_ptr<const v1::CompiledRoute>>(found);
  EXPECT_EQ(route.gateway(), "shop");
  EXPECT_EQ(route.name(), "") << "nobody wrote it";
  route.set_name("named");
  route.set_route_id("r-2");
  ASSERT_TRUE(CheckCompiledRoute(route).ok()) << CheckCompiledRoute(route).message();
  ASSERT_EQ(route.elements_size(), 3);
  EXPECT_EQ(route.elements(1).model().price().input_nanos_per_mtok(), kDollar);
  EXPECT_FALSE(route.elements(1).model().has_on_fallback());
}

TEST(PlainRoute, ThroughADefaultRouteEveryModelIsTheNamedOneAndTheRestStays) {
  const Gateway gateway("guarded");
  const FoundRoute found = gateway.Find("openai/org/deep/model");
  const v1::CompiledRoute& route = *std::get<std::shared_ptr<const v1::CompiledRoute>>(found);
  ASSERT_TRUE(CheckCompiledRoute(route).ok()) << CheckCompiledRoute(route).message();
  EXPECT_EQ(route.name(), "guarded");
  EXPECT_EQ(route.version(), 3);
  v1::CompiledElement limit = Guarded()->elements(1);
  limit.mutable_limit()->mutable_reachable_models()->RemoveLast();  // only the fallback led there
  EXPECT_EQ(route.elements(1).SerializeAsString(), limit.SerializeAsString());
  for (const int index : {2, 3}) {
    const v1::CompiledElement::Model& model = route.elements(index).model();
    EXPECT_EQ(model.provider(), "openai");
    EXPECT_EQ(model.model(), "org/deep/model");
    EXPECT_EQ(model.price().input_nanos_per_mtok(), 2 * kDollar);
    EXPECT_EQ(model.timeout_ms(), 7'000);
    EXPECT_EQ(model.retries(), 2);
    EXPECT_EQ(model.backoff(), "linear");
    EXPECT_EQ(model.parameters_json(), "") << "another model's";
    EXPECT_FALSE(model.has_on_fallback());
    EXPECT_EQ(model.on_success(), 4u);
  }
  EXPECT_EQ(Guarded()->SerializeAsString(),
            gateway.snapshot.gateways.at("shop").routes.at("guarded")->SerializeAsString())
      << "the deployed route is as it was";
}

TEST(PlainRoute, AModelThatNothingPricesHasNoPrice) {
  const Gateway gateway("guarded");
  const FoundRoute found = gateway.Find("openai/unheard-of");
  const v1::CompiledRoute& route = *std::get<std::shared_ptr<const v1::CompiledRoute>>(found);
  EXPECT_FALSE(route.elements(2).model().has_price());
}

TEST(AtCustomCost, IsThePriceOfEveryModel) {
  CustomCost cost;
  cost.input = 5;
  cost.output = 6;
  const std::shared_ptr<const v1::CompiledRoute> priced = AtCustomCost(*Guarded(), cost);
  for (const int index : {2, 3}) {
    EXPECT_EQ(priced->elements(index).model().price().input_nanos_per_mtok(), 5);
    EXPECT_EQ(priced->elements(index).model().price().output_nanos_per_mtok(), 6);
  }
}

TEST(LimitsUse, CountsAndShadowsDoNotCount) {
  const std::shared_ptr<v1::CompiledRoute> route = Guarded();
  EXPECT_TRUE(LimitsUse(*route));
  route->mutable_elements(1)->mutable_limit()->set_shadow(true);
  EXPECT_FALSE(LimitsUse(*route));
  route->mutable_elements(1)->mutable_limit()->set_shadow(false);
  route->mutable_elements(1)->mutable_limit()->set_unit(v1::TOKENS);
  EXPECT_TRUE(LimitsUse(*route));
  route->mutable_elements(1)->mutable_limit()->set_unit(v1::REQUESTS);
  EXPECT_FALSE(LimitsUse(*route));
}

}  // namespace
}  // namespace signalbox
