#include "dataplane/cache/cache_key.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace signalbox::testing {
namespace {

CacheKeyParts Parts() {
  CacheKeyParts parts;
  parts.gateway = "default";
  parts.key_id = "key-1";
  parts.format = "chat";
  parts.provider = "openai";
  parts.model = "gpt-5-mini";
  parts.parameters = R"({"temperature":0})";
  parts.body = R"({"model":"gpt-5-mini","messages":[]})";
  return parts;
}

TEST(CacheKey, TheSameRequestHasTheSameKey) {
  EXPECT_EQ(CacheKey(Parts()), CacheKey(Parts()));
  EXPECT_EQ(CacheKey(Parts()).size(), 32u);
}

TEST(CacheKey, EveryPartMakesAnotherKey) {
  const std::vector<std::function<void(CacheKeyParts&)>> changes = {
      [](CacheKeyParts&) {},
      [](CacheKeyParts& parts) { parts.gateway = "other"; },
      [](CacheKeyParts& parts) { parts.key_id = "key-2"; },
      [](CacheKeyParts& parts) { parts.cache_group = "team"; },
      [](CacheKeyParts& parts) { parts.format = "messages"; },
      [](CacheKeyParts& parts) { parts.stream = true; },
      [](CacheKeyParts& parts) { parts.usage_in_stream = true; },
      [](CacheKeyParts& parts) { parts.endpoint = "/v1/rerank"; },
      [](CacheKeyParts& parts) { parts.provider = "azure"; },
      [](CacheKeyParts& parts) { parts.byok_alias = "second"; },
      [](CacheKeyParts& parts) { parts.model = "gpt-5"; },
      [](CacheKeyParts& parts) { parts.parameters = ""; },
      [](CacheKeyParts& parts) { parts.body = R"({"model":"gpt-5-mini","messages":[] })"; },
      [](CacheKeyParts& parts) { parts.client_key = "faq-1"; },
      [](CacheKeyParts& parts) {
        parts.headers = {{"openai-beta", "assistants=v2"}};
      },
      [](CacheKeyParts& parts) {
        parts.headers = {{"openai-beta", "assistants=v1"}};
      },
  };
  std::set<std::string> keys;
  for (const auto& change : changes) {
    CacheKeyParts parts = Parts();
    change(parts);
    keys.insert(CacheKey(parts));
  }
  EXPECT_EQ(keys.size(), changes.size());
}

TEST(CacheKey, WhereOnePartEndsAndTheNextBeginsCounts) {
  CacheKeyParts one = Parts();
  one.provider = "open";
  one.model = "aigpt";
  CacheKeyParts other = Parts();
  other.provider = "openai";
  other.model = "gpt";
  EXPECT_NE(CacheKey(one), CacheKey(other));
}

TEST(CacheKey, KeysOfOneGroupShareAndTheGroupIsNotTakenForAKeyOfThatName) {
  CacheKeyParts one = Parts();
  one.cache_group = "team";
  CacheKeyParts other = one;
  other.key_id = "key-2";
  EXPECT_EQ(CacheKey(one), CacheKey(other));
  CacheKeyParts named_so = Parts();
  named_so.key_id = "team";
  EXPECT_NE(CacheKey(one), CacheKey(named_so));
}

TEST(CacheKey, TheClientsOwnKeyStandsInPlaceOfTheBodyAndIsNotTakenForOne) {
  CacheKeyParts one = Parts();
  one.client_key = "faq-1";
  CacheKeyParts other = one;
  other.body = "{}";
  EXPECT_EQ(CacheKey(one), CacheKey(other));
  CacheKeyParts body = Parts();
  body.body = "faq-1";
  EXPECT_NE(CacheKey(one), CacheKey(body));
  CacheKeyParts another_model = one;
  another_model.model = "gpt-5";
  EXPECT_NE(CacheKey(one), CacheKey(another_model));
}

TEST(CacheKey, HeadersThatProvidersReadCountAndNoOthers) {
  for (const char* name : {"openai-beta", "openai-organization", "anthropic-version", "anthropic-beta",
                           "x-goog-user-project", "x-amzn-bedrock-trace", "x-ms-region"}) {
    EXPECT_TRUE(IsProviderHeader(name)) << name;
  }
  for (const char* name : {"user-agent", "traceparent", "x-stainless-lang", "accept", "x-request-id"}) {
    EXPECT_FALSE(IsProviderHeader(name)) << name;
  }
}

}  // namespace
}  // namespace signalbox::testing
