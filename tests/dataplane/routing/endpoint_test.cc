#include "dataplane/routing/endpoint.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

// "chat of shop", "passthrough of shop: openai /v1/files", "404 unknown_path" ...
std::string Find(std::string_view method, std::string_view target) {
  const auto found = FindEndpoint(method, target);
  if (const auto* refusal = std::get_if<Refusal>(&found)) return std::to_string(refusal->status) + " " + refusal->code;
  const Endpoint& endpoint = std::get<Endpoint>(found);
  switch (endpoint.kind) {
    case Endpoint::Kind::kModels:
      return "models of " + endpoint.gateway;
    case Endpoint::Kind::kUniversal:
      return "universal of " + endpoint.gateway;
    case Endpoint::Kind::kPassthrough:
      return "passthrough of " + endpoint.gateway + ": " + endpoint.provider + " " + endpoint.rest;
    default:
      return std::string(FormatName(endpoint.format)) + " of " + endpoint.gateway;
  }
}

TEST(FindEndpoint, PlainPathsServeTheDefaultGateway) {
  EXPECT_EQ(Find("POST", "/v1/chat/completions"), "chat of default");
  EXPECT_EQ(Find("POST", "/v1/messages?beta=true"), "messages of default");
  EXPECT_EQ(Find("POST", "/v1/responses"), "responses of default");
  EXPECT_EQ(Find("POST", "/v1/embeddings"), "embeddings of default");
  EXPECT_EQ(Find("GET", "/v1/models"), "models of default");
}

TEST(FindEndpoint, CompatPathsNameTheGatewayAndIgnoreTheAccount) {
  EXPECT_EQ(Find("POST", "/v1/acct-1/shop/compat/chat/completions?x=1"), "chat of shop");
  EXPECT_EQ(Find("GET", "/v1/acct-1/shop/compat/models"), "models of shop");
  EXPECT_EQ(Find("POST", "/v1/acct-1/shop/compat/v1/messages"), "messages of shop")
      << "as Anthropic's clients append it";
  EXPECT_EQ(Find("POST", "/v1/acct-1/shop/compat/v1/v1/messages"), "404 unknown_path");
  EXPECT_EQ(Find("POST", "/v1/acct-1/shop/compat/audio/speech"), "404 unknown_path");
}

TEST(FindEndpoint, AProvidersOwnApiIsWhatFollowsItsName) {
  EXPECT_EQ(Find("POST", "/v1/a/shop/openai/chat/completions"), "passthrough of shop: openai /chat/completions");
  EXPECT_EQ(Find("GET", "/v1/a/shop/anthropic/v1/models?limit=2"), "passthrough of shop: anthropic /v1/models");
  EXPECT_EQ(Find("DELETE", "/v1/a/shop/openai/v1/files/f-1"), "passthrough of shop: openai /v1/files/f-1");
  EXPECT_EQ(Find("CONNECT", "/v1/a/shop/openai/v1/files"), "405 method_not_allowed");
  EXPECT_EQ(Find("GET", "/v1/a/shop/openai"), "404 unknown_path");
  EXPECT_EQ(Find("GET", "/v1/a/shop/openai/"), "404 unknown_path");
  EXPECT_EQ(Find("GET", "/v1/a/shop//models"), "404 unknown_path");
}

TEST(FindEndpoint, AGatewayAloneIsTheUniversalEndpoint) {
  EXPECT_EQ(Find("POST", "/v1/acct-1/shop"), "universal of shop");
  EXPECT_EQ(Find("POST", "/v1/acct-1/shop/?x=1"), "universal of shop");
  EXPECT_EQ(Find("GET", "/v1/acct-1/shop"), "405 method_not_allowed");
}

TEST(FindEndpoint, OtherPartsOfOpenAisApiAreNoAccounts) {
  for (const char* target : {"/v1/audio/speech", "/v1/images/generations", "/v1/files/f-1/content", "/v1/chat/other",
                             "/v1/models/gpt-4o", "/v1/messages/count_tokens"}) {
    EXPECT_EQ(Find("POST", target), "404 unknown_path") << target;
  }
}

TEST(FindEndpoint, WrongMethodNamesTheRightOne) {
  const auto found = FindEndpoint("GET", "/v1/chat/completions");
  ASSERT_TRUE(std::holds_alternative<Refusal>(found));
  EXPECT_EQ(std::get<Refusal>(found).status, 405);
  EXPECT_EQ(std::get<Refusal>(found).code, "method_not_allowed");
  EXPECT_EQ(std::get<Refusal>(found).message, "/v1/chat/completions takes POST");
}

TEST(FindEndpoint, UnknownPathSaysWhatIsServed) {
  for (const char* target : {"/", "", "*", "/v1", "/v1/", "/v2/a/b", "/v1/a//compat/chat/completions", "//",
                             "/v1/a/b/compat", "/v1/v1/models", "/chat/completions"}) {
    const auto found = FindEndpoint("POST", target);
    ASSERT_TRUE(std::holds_alternative<Refusal>(found)) << target;
    EXPECT_EQ(std::get<Refusal>(found).status, 404) << target;
    EXPECT_NE(std::get<Refusal>(found).message.find("POST /v1/chat/completions"), std::string::npos) << target;
  }
}

TEST(FindUnified, AVersionInFrontDoesNotMatter) {
  Endpoint endpoint;
  EXPECT_TRUE(FindUnified("chat/completions", endpoint));
  EXPECT_TRUE(FindUnified("/v1/messages", endpoint));
  EXPECT_EQ(endpoint.format, Format::kMessages);
  EXPECT_FALSE(FindUnified("", endpoint));
  EXPECT_FALSE(FindUnified("v1beta/messages", endpoint));
}

}  // namespace
}  // namespace signalbox
