// Every endpoint of the proxy through the whole stack: plain models, providers' own APIs, the universal endpoint, the
// request headers; what reaches the provider, what is recorded, and that limits cannot be walked around.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/integration/route_elements.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kDay = 86'400;

json Model(const std::string& provider, const std::string& model) {
  return {{"id", "model"},
          {"type", "model"},
          {"properties", {{"provider", provider}, {"model", model}, {"timeout", 60'000}, {"retries", 0}}},
          {"outputs", {{"success", To("end")}, {"fallback", To("end")}}}};
}

// start -> a limit per gateway key, on `type` -> a model -> end
std::string Guard(const std::string& name, const std::string& type, double limit) {
  const json rate = {
      {"id", "limit"},
      {"type", "rate"},
      {"properties", {{"limitType", type}, {"limit", limit}, {"key", "metadata.team"}, {"window", kDay}}},
      {"outputs", {{"success", To("model")}}}};
  const json elements = {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To("limit")}}}},
                         rate,
                         Model("openai", "gpt-4o-mini"),
                         {{"id", "end"}, {"type", "end"}, {"outputs", json::object()}}};
  return json{{"name", name}, {"elements", elements}}.dump();
}

std::string Direct(const std::string& name, const std::string& provider, const std::string& model) {
  const json elements = {{{"id", "start"}, {"type", "start"}, {"outputs", {{"next", To("model")}}}},
                         Model(provider, model),
                         {{"id", "end"}, {"type", "end"}, {"outputs", json::object()}}};
  return json{{"name", name}, {"elements", elements}}.dump();
}

json Chat(const std::string& model, bool stream = false) {
  json body = {{"model", model}, {"messages", {{{"role", "user"}, {"content", "What is a kite?"}}}}};
  if (stream) body["stream"] = true;
  return body;
}

json Messages(const std::string& model) {
  return {{"model", model}, {"max_tokens", 64}, {"messages", {{{"role", "user"}, {"content", "What is a kite?"}}}}};
}

const json kGemini = {{"contents", {{{"role", "user"}, {"parts", {{{"text", "What is a kite?"}}}}}}}};
const json kConverse = {{"messages", {{{"role", "user"}, {"content", {{{"text", "What is a kite?"}}}}}}}};

class Endpoints : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    stack_ = new Stack({.proxies = 1, .provider_flags = {"--fail=model=sick-model:503"}});
    stack_->DeployRoute(Direct("direct", "openai", "gpt-4o-mini"));
    stack_->ApplyEveryKind();
    stack_->DeployRoute(Guard("counted", "count", 2));
    stack_->DeployRoute(Guard("budget", "cost", 1));
  }
  static void TearDownTestSuite() {
    delete stack_;
    stack_ = nullptr;
  }
  void TearDown() override { stack_->SetGateway(json::object()); }

  static Headers With(Headers more = {}) {
    more.emplace_back("authorization", absl::StrCat("Bearer ", stack_->key()));
    more.emplace_back("content-type", "application/json");
    return more;
  }
  static HttpAnswer Post(const std::string& target, const json& body, Headers headers = {}) {
    return Call(stack_->proxy_address(0), "POST", target, With(std::move(headers)), body.dump());
  }
  static HttpAnswer Universal(const json& entries, Headers headers = {}) {
    return Post("/v1/account/default", entries, std::move(headers));
  }
  // What the provider got last.
  static json Received() { return stack_->Provider("/requests/last")["requests"][0]; }
  // The ledger's record of an answer, with its bodies.
  static json RecordOf(const HttpAnswer& answer) {
    const std::string id = answer.Header("cf-aig-log-id");
    for (int tries = 0; tries < 600; ++tries) {
      const HttpAnswer found = stack_->Ask("GET", absl::StrCat("/v1/gateways/default/requests/", id));
      if (found.status == 200) return json::parse(found.body);
      stack_->AwaitRecords(0);
    }
    ADD_FAILURE() << "no record of " << id;
    return json::object();
  }
  static std::string CodeOf(const HttpAnswer& answer) {
    const json body = json::parse(answer.body, nullptr, false);
    if (!body.is_object() || !body.contains("error")) return absl::StrCat(answer.status);
    return absl::StrCat(answer.status, " ", body["error"].value("code", ""));
  }

  static Stack* stack_;
};
Stack* Endpoints::stack_ = nullptr;

// ---- Plain models ----

TEST_F(Endpoints, APlainModelIsCalledAtItsPriceUnderItsBareNameToo) {
  for (const char* model : {"openai/gpt-4o-mini", "gpt-4o-mini"}) {
    const HttpAnswer answer = Post("/v1/chat/completions", Chat(model));
    ASSERT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.Header("cf-aig-provider"), "openai");
    EXPECT_EQ(answer.Header("cf-aig-model"), "gpt-4o-mini");
    EXPECT_EQ(answer.Header("signalbox-route"), "");
    EXPECT_EQ(answer.Header("signalbox-path"), "start/model/end");
    EXPECT_EQ(json::parse(Received()["body"].get<std::string>())["model"], "gpt-4o-mini");
    const json record = RecordOf(answer);
    EXPECT_GT(CostNanos(record), 0) << record;
    EXPECT_EQ(record.value("endpoint", ""), "chat");
  }
  const HttpAnswer messages = Post("/v1/messages", Messages("claude-haiku-4-5"));
  ASSERT_EQ(messages.status, 200) << messages.body;
  EXPECT_EQ(messages.Header("cf-aig-provider"), "anthropic");
}

TEST_F(Endpoints, AnUnknownProviderIsToldTheConfiguredOnes) {
  const HttpAnswer answer = Post("/v1/chat/completions", Chat("nobody/model"));
  EXPECT_EQ(CodeOf(answer), "404 provider_not_found");
  EXPECT_THAT(answer.body,
              HasSubstr("anthropic, aws-bedrock, azure-openai, azure-v1, google, google-ai-studio, groq, openai"));
}

TEST_F(Endpoints, PlainModelsPassThroughTheDefaultRoute) {
  stack_->SetGateway({{"defaultRoute", "counted"}});
  const Headers team = {{"cf-aig-metadata", R"({"team":"plain"})"}};
  EXPECT_EQ(Post("/v1/chat/completions", Chat("openai/gpt-4o-mini"), team).status, 200);
  const HttpAnswer second = Post("/v1/account/default/anthropic/v1/messages", Messages("claude-haiku-4-5"), team);
  EXPECT_EQ(second.status, 200) << second.body;
  EXPECT_EQ(second.Header("signalbox-route").substr(0, 8), "counted@");
  EXPECT_EQ(second.Header("cf-aig-provider"), "anthropic");
  EXPECT_EQ(CodeOf(Post("/v1/chat/completions", Chat("openai/gpt-4o-mini"), team)), "429 limit_exceeded");
  EXPECT_EQ(
      Universal({{{"provider", "openai"}, {"endpoint", "v1/chat/completions"}, {"query", Chat("gpt-4o-mini")}}}, team)
          .status,
      429);
  EXPECT_EQ(CodeOf(Post("/v1/account/default/openai/v1/audio/speech", json::object(), team)), "429 limit_exceeded")
      << "what is only relayed counts as a request too";
}

TEST_F(Endpoints, AModelWithoutAPriceIsRefusedUnderALimitOnDollars) {
  stack_->SetGateway({{"defaultRoute", "budget"}});
  const Headers team = {{"cf-aig-metadata", R"({"team":"unpriced"})"}};
  EXPECT_EQ(CodeOf(Post("/v1/chat/completions", Chat("groq/nobody-priced-this"), team)), "403 unpriced_model");
  const Headers priced = {{"cf-aig-metadata", R"({"team":"unpriced"})"},
                          {"cf-aig-custom-cost", R"({"per_token_in":0.000001,"per_token_out":0.000002})"}};
  EXPECT_NE(CodeOf(Post("/v1/chat/completions", Chat("groq/nobody-priced-this"), priced)), "403 unpriced_model");
}

TEST_F(Endpoints, AGatewayMayServeRoutesOnly) {
  stack_->SetGateway({{"refusePlainModels", true}});
  EXPECT_EQ(CodeOf(Post("/v1/chat/completions", Chat("openai/gpt-4o-mini"))), "403 plain_models_refused");
  EXPECT_EQ(CodeOf(Post("/v1/account/default/openai/chat/completions", Chat("gpt-4o-mini"))),
            "403 plain_models_refused");
  EXPECT_EQ(Post("/v1/chat/completions", Chat("dynamic/direct")).status, 200);
}

// ---- Providers' own APIs ----

TEST_F(Endpoints, EachProvidersOwnApiIsMeteredAndGetsTheBodyAsItCame) {
  struct Case {
    std::string target;
    json body;
    std::string provider, model, received;
  };
  const std::string bedrock = "anthropic.claude-haiku-4-5-20251001-v1:0";
  const std::vector<Case> cases = {
      {"/openai/v1/chat/completions", Chat("gpt-4o-mini"), "openai", "gpt-4o-mini", "/v1/chat/completions"},
      {"/groq/openai/v1/chat/completions", Chat("llama-3.3-70b-versatile"), "groq", "llama-3.3-70b-versatile",
       "/openai/v1/chat/completions"},
      {"/openai/responses",
       {{"model", "gpt-4o-mini"}, {"input", "What is a kite?"}},
       "openai",
       "gpt-4o-mini",
       "/v1/responses"},
      {"/openai/v1/embeddings",
       {{"model", "text-embedding-3-small"}, {"input", "kite"}},
       "openai",
       "text-embedding-3-small",
       "/v1/embeddings"},
      {"/anthropic/v1/messages?beta=true", Messages("claude-haiku-4-5"), "anthropic", "claude-haiku-4-5",
       "/v1/messages?beta=true"},
      {"/google/v1beta/models/gemini-2.5-flash:generateContent", kGemini, "google", "gemini-2.5-flash",
       "/v1beta/models/gemini-2.5-flash:generateContent"},
      {"/bedrock/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse", kConverse, "aws-bedrock", bedrock,
       "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse"},
      {"/azure-openai/openai/deployments/gpt-4o/chat/completions?api-version=2023-01-01", Chat("gpt-4o"),
       "azure-openai", "gpt-4o", "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21"},
  };
  for (const Case& c : cases) {
    const HttpAnswer answer = Post(absl::StrCat("/v1/account/default", c.target), c.body);
    ASSERT_EQ(answer.status, 200) << c.target << ": " << answer.body;
    EXPECT_EQ(answer.Header("cf-aig-provider"), c.provider) << c.target;
    EXPECT_EQ(answer.Header("cf-aig-model"), c.provider == "aws-bedrock" ? bedrock : c.model) << c.target;
    const json received = Received();
    EXPECT_EQ(received["target"], c.received);
    EXPECT_EQ(received["body"], c.body.dump()) << c.target;
    const json record = RecordOf(answer);
    EXPECT_EQ(record.value("endpoint", ""), "passthrough") << c.target;
    EXPECT_EQ(record.value("model", ""), c.model) << c.target;
    EXPECT_FALSE(record.value("estimated", false)) << c.target;
    EXPECT_GT(CostNanos(record), 0) << c.target;
  }
}

TEST_F(Endpoints, StreamsOfProvidersOwnApisAreMeteredOnTheirWay) {
  const HttpAnswer google =
      Post("/v1/account/default/google/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", kGemini);
  ASSERT_EQ(google.status, 200) << google.body;
  EXPECT_THAT(google.body, HasSubstr("\"candidates\""));
  EXPECT_GT(CostNanos(RecordOf(google)), 0);
  const HttpAnswer bedrock = Post("/v1/account/default/aws-bedrock/model/claude-haiku-4-5/converse-stream", kConverse);
  ASSERT_EQ(bedrock.status, 200) << bedrock.body;
  EXPECT_EQ(bedrock.Header("content-type"), "application/vnd.amazon.eventstream");
  EXPECT_FALSE(RecordOf(bedrock).value("estimated", false));
  const HttpAnswer array =
      Post("/v1/account/default/google/v1beta/models/gemini-2.5-flash:streamGenerateContent", kGemini);
  EXPECT_EQ(array.status, 400) << "a stream that is no event stream cannot be read on its way";
  EXPECT_THAT(array.body, HasSubstr("alt=sse"));
  EXPECT_EQ(json::parse(array.body)["error"].value("status", ""), "INVALID_ARGUMENT") << "as Google's clients know it";
}

TEST_F(Endpoints, TheKeyMayComeAsAnyClientSendsItAndNeverLeaves) {
  const std::string key = stack_->key();
  const std::vector<std::pair<std::string, Headers>> ways = {
      {"/v1/account/default/anthropic/v1/messages", {{"x-api-key", key}}},
      {"/v1/account/default/anthropic/v1/messages", {{"x-goog-api-key", key}}},
      {"/v1/account/default/anthropic/v1/messages", {{"api-key", key}, {"x-copy", absl::StrCat("of ", key)}}},
      {"/v1/account/default/anthropic/v1/messages?a=b&key=" + key, {}},
      {"/v1/account/default/anthropic/v1/messages",
       {{"cf-aig-authorization", "Bearer " + key}, {"authorization", "Bearer sk-own"}}},
  };
  for (const auto& [target, headers] : ways) {
    const HttpAnswer answer =
        Call(stack_->proxy_address(0), "POST", target, headers, Messages("claude-haiku-4-5").dump());
    ASSERT_EQ(answer.status, 200) << target << ": " << answer.body;
    const std::string received = Received().dump();
    EXPECT_THAT(received, Not(HasSubstr(key))) << target;
    EXPECT_THAT(received, Not(HasSubstr("sk-own"))) << target;
    EXPECT_THAT(received, HasSubstr(Stack::provider_key())) << "the provider's own key comes from the gateway";
  }
  const HttpAnswer in_path =
      Call(stack_->proxy_address(0), "GET", "/v1/account/default/openai/v1/files/" + key, With());
  EXPECT_EQ(CodeOf(in_path), "400 invalid_request");
  const HttpAnswer stranger = Call(stack_->proxy_address(0), "GET", "/v1/account/default/openai/v1/models?key=wrong");
  EXPECT_EQ(CodeOf(stranger), "401 invalid_key");
}

TEST_F(Endpoints, WhatCannotBeMeteredIsRelayedForNothingAndRefusedUnderABudget) {
  const HttpAnswer models =
      Call(stack_->proxy_address(0), "GET", "/v1/account/default/openai/v1/models?limit=3", With());
  ASSERT_EQ(models.status, 200) << models.body;
  EXPECT_EQ(json::parse(models.body)["object"], "list");
  const json record = RecordOf(models);
  EXPECT_EQ(record.value("endpoint", ""), "passthrough");
  EXPECT_EQ(record.value("provider", ""), "openai");
  EXPECT_EQ(CostNanos(record), 0);
  EXPECT_EQ(Post("/v1/account/default/openai/v1/audio/speech", json::object()).status, 404)
      << "the provider's own answer";
  EXPECT_EQ(CodeOf(Call(stack_->proxy_address(0), "GET", "/v1/account/default/openai/v1/%2e%2e/bill", With())),
            "400 invalid_request");

  stack_->SetGateway({{"defaultRoute", "budget"}});
  EXPECT_EQ(CodeOf(Post("/v1/account/default/openai/v1/audio/speech", json::object())), "403 unmetered_call");
  EXPECT_EQ(Call(stack_->proxy_address(0), "GET", "/v1/account/default/openai/v1/models", With()).status, 200);
}

// ---- The universal endpoint ----

TEST_F(Endpoints, EntriesAreTriedInOrderUntilOneAnswersInItsOwnFormat) {
  const json entries = {
      {{"provider", "nobody"}, {"endpoint", "v1/chat/completions"}, {"query", Chat("gpt-4o-mini")}},
      {{"provider", "openai"}, {"endpoint", "v1/chat/completions"}, {"query", Chat("sick-model")}},
      {{"provider", "anthropic"}, {"endpoint", "v1/messages"}, {"query", Messages("claude-haiku-4-5")}},
      {{"provider", "openai"}, {"endpoint", "v1/chat/completions"}, {"query", Chat("gpt-4o-mini")}},
  };
  const HttpAnswer answer = Universal(entries);
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Header("cf-aig-step"), "2");
  EXPECT_EQ(answer.headers.count("cf-aig-step"), 1u);
  EXPECT_EQ(json::parse(answer.body).value("type", ""), "message");
  EXPECT_EQ(Received()["body"], Messages("claude-haiku-4-5").dump());
  const json record = RecordOf(answer);
  EXPECT_EQ(record.value("endpoint", ""), "universal");
  EXPECT_EQ(record.value("outcome", ""), "SUCCESS");
  EXPECT_EQ(record.value("provider", ""), "anthropic");
  ASSERT_EQ(record["attempts"].size(), 2u) << record;
  EXPECT_EQ(record["attempts"][0].value("model", ""), "sick-model");
}

TEST_F(Endpoints, TheLastEntrysFailureIsTheAnswer) {
  const HttpAnswer answer =
      Universal({{{"provider", "compat"}, {"endpoint", "chat/completions"}, {"query", Chat("dynamic/none")}},
                 {{"provider", "openai"}, {"endpoint", "chat/completions"}, {"query", Chat("sick-model")}}});
  EXPECT_EQ(CodeOf(answer), "502 model_failed");
  EXPECT_EQ(answer.Header("cf-aig-step"), "1");
}

TEST_F(Endpoints, CompatIsTheUnifiedApiAndStreamsStream) {
  const HttpAnswer answer =
      Universal({{{"provider", "compat"}, {"endpoint", "chat/completions"}, {"query", Chat("openai/sick-model")}},
                 {{"provider", "compat"}, {"endpoint", "chat/completions"}, {"query", Chat("dynamic/direct", true)}}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Header("cf-aig-step"), "1");
  EXPECT_THAT(answer.body, testing::EndsWith("data: [DONE]\n\n"));
  EXPECT_EQ(RecordOf(answer).value("route", ""), "direct");
}

TEST_F(Endpoints, AnEntrysHeadersAndConfigAreItsOwn) {
  const HttpAnswer answer = Universal(
      {{{"provider", "compat"},
        {"endpoint", "chat/completions"},
        {"query", Chat("dynamic/direct")},
        {"config", {{"maxAttempts", 9}}}},
       {{"provider", "compat"},
        {"endpoint", "chat/completions"},
        {"query", Chat("dynamic/direct")},
        {"headers", {{"cf-aig-metadata", R"({"team":"entry"})"}, {"cf-aig-event-id", "ev-entry"}, {"x-own", "1"}}}}},
      {{"cf-aig-metadata", R"({"team":"request"})"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Header("cf-aig-step"), "1") << "no entry makes nine attempts";
  EXPECT_EQ(answer.Header("cf-aig-event-id"), "ev-entry");
  EXPECT_EQ(RecordOf(answer).value("metadataJson", ""), R"({"team":"entry"})");
  EXPECT_THAT(Received().dump(), HasSubstr("x-own"));
}

TEST_F(Endpoints, TheUniversalEndpointsOwnErrorsHaveTheirEnvelope) {
  const auto error_of = [](const HttpAnswer& answer) {
    const json body = json::parse(answer.body, nullptr, false);
    EXPECT_EQ(body.value("success", true), false) << answer.body;
    EXPECT_EQ(body["result"], json::array());
    EXPECT_EQ(body["messages"], json::array());
    return absl::StrCat(answer.status, " ", body["error"][0]["code"].dump());
  };
  const std::string proxy = stack_->proxy_address(0);
  EXPECT_EQ(error_of(Call(proxy, "POST", "/v1/account/default", {{"authorization", "Bearer wrong"}}, "[]")),
            "401 2009");
  EXPECT_EQ(error_of(Call(proxy, "POST", "/v1/account/default", {}, "[]")), "401 2009");
  EXPECT_EQ(error_of(Call(proxy, "POST", "/v1/account/nowhere", With(), "[]")), "400 2001");
  EXPECT_EQ(error_of(Universal(json::array())), "400 \"invalid_request\"");
  EXPECT_EQ(Call(proxy, "GET", "/v1/account/default", With()).status, 405);
}

// ---- Headers ----

TEST_F(Endpoints, TheEventIdIsOnEveryAnswerAndInTheRecord) {
  const Headers event = {{"cf-aig-event-id", "ev-1"}};
  const HttpAnswer answer = Post("/v1/chat/completions", Chat("dynamic/direct"), event);
  EXPECT_EQ(answer.Header("cf-aig-event-id"), "ev-1");
  EXPECT_EQ(RecordOf(answer).value("eventId", ""), "ev-1");
  EXPECT_EQ(Post("/v1/chat/completions", Chat("dynamic/direct", true), event).Header("cf-aig-event-id"), "ev-1");
  EXPECT_EQ(Post("/v1/chat/completions", Chat("dynamic/none"), event).Header("cf-aig-event-id"), "ev-1");
  EXPECT_EQ(Post("/nowhere", json::object(), event).Header("cf-aig-event-id"), "ev-1");
  EXPECT_EQ(Call(stack_->proxy_address(0), "POST", "/v1/chat/completions", event).Header("cf-aig-event-id"), "ev-1");
}

TEST_F(Endpoints, BodiesAreKeptAsTheRequestOrElseTheGatewaySays) {
  const auto bodies = [](const HttpAnswer& answer) {
    const json record = RecordOf(answer);
    return !record.value("requestBody", "").empty() && !record.value("responseBody", "").empty();
  };
  EXPECT_FALSE(bodies(Post("/v1/chat/completions", Chat("dynamic/direct"))));
  EXPECT_TRUE(bodies(Post("/v1/chat/completions", Chat("dynamic/direct"), {{"cf-aig-collect-log-payload", "true"}})));
  EXPECT_TRUE(
      bodies(Post("/v1/chat/completions", Chat("dynamic/direct", true), {{"cf-aig-collect-log-payload", "true"}})));
  stack_->SetGateway({{"collectLogPayload", true}});
  EXPECT_TRUE(bodies(Post("/v1/chat/completions", Chat("dynamic/direct"))));
  EXPECT_FALSE(bodies(Post("/v1/chat/completions", Chat("dynamic/direct"), {{"cf-aig-collect-log-payload", "false"}})));
}

TEST_F(Endpoints, ACustomCostIsThePriceOfTheRequest) {
  const HttpAnswer answer = Post("/v1/chat/completions", Chat("dynamic/direct"),
                                 {{"cf-aig-custom-cost", R"({"per_token_in":0.01,"per_token_out":0})"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const int64_t input = json::parse(answer.body)["usage"]["prompt_tokens"];
  EXPECT_EQ(CostNanos(RecordOf(answer)), input * 10'000'000);
  EXPECT_EQ(CodeOf(Post("/v1/chat/completions", Chat("dynamic/direct"), {{"cf-aig-custom-cost", "{}"}})),
            "400 invalid_header");
}

}  // namespace
}  // namespace signalbox
