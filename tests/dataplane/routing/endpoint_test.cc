#include "dataplane/routing/endpoint.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

TEST(FindEndpoint, PlainPathServesTheDefaultGateway) {
  const auto found = FindEndpoint("POST", "/v1/chat/completions");
  ASSERT_TRUE(std::holds_alternative<Endpoint>(found));
  EXPECT_EQ(std::get<Endpoint>(found).kind, Endpoint::Kind::kChatCompletions);
  EXPECT_EQ(std::get<Endpoint>(found).gateway, "default");
}

TEST(FindEndpoint, CompatPathNamesTheGatewayAndIgnoresTheAccount) {
  const auto found = FindEndpoint("POST", "/v1/acct-1/shop/compat/chat/completions?x=1");
  ASSERT_TRUE(std::holds_alternative<Endpoint>(found));
  EXPECT_EQ(std::get<Endpoint>(found).gateway, "shop");
  const auto models = FindEndpoint("GET", "/v1/acct-1/shop/compat/v1/models");
  EXPECT_TRUE(std::holds_alternative<Refusal>(models));
  EXPECT_TRUE(std::holds_alternative<Endpoint>(FindEndpoint("GET", "/v1/acct-1/shop/compat/models")));
}

TEST(FindEndpoint, WrongMethodNamesTheRightOne) {
  const auto found = FindEndpoint("GET", "/v1/chat/completions");
  ASSERT_TRUE(std::holds_alternative<Refusal>(found));
  EXPECT_EQ(std::get<Refusal>(found).status, 405);
  EXPECT_EQ(std::get<Refusal>(found).code, "method_not_allowed");
  EXPECT_EQ(std::get<Refusal>(found).message, "/v1/chat/completions takes POST");
}

TEST(FindEndpoint, UnknownPathSaysWhatIsServed) {
  for (const char* target :
       {"/", "", "*", "/v1", "/v1/embeddings", "/v1/a//compat/chat/completions", "//", "/v1/a/b/compat"}) {
    const auto found = FindEndpoint("POST", target);
    ASSERT_TRUE(std::holds_alternative<Refusal>(found)) << target;
    EXPECT_EQ(std::get<Refusal>(found).status, 404) << target;
    EXPECT_NE(std::get<Refusal>(found).message.find("POST /v1/chat/completions"), std::string::npos) << target;
  }
}

}  // namespace
}  // namespace signalbox
