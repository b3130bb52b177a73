#include "common/provider_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace signalbox {
namespace {

TEST(KnownProviders, AreOrderedByNameSoThatEachIsFound) {
  const std::vector<KnownProvider>& known = KnownProviders();
  EXPECT_TRUE(std::is_sorted(known.begin(), known.end(), [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const KnownProvider& provider : known) EXPECT_EQ(FindKnownProvider(provider.name), &provider);
  EXPECT_EQ(FindKnownProvider("opnai"), nullptr);
  EXPECT_EQ(FindKnownProvider(""), nullptr);
}

TEST(KnownProviders, HaveAddressesToWhichAPathCanBeAppended) {
  for (const KnownProvider& provider : KnownProviders()) {
    if (provider.base_url.empty()) continue;
    EXPECT_TRUE(provider.base_url.starts_with("https://") || provider.base_url.starts_with("http://127.0.0.1:"))
        << provider.name;
    EXPECT_FALSE(provider.base_url.ends_with("/")) << provider.name;
  }
}

TEST(ProviderKind, TextsAreReadBack) {
  for (const char* text : {"openai", "azure-openai", "anthropic", "google", "bedrock"}) {
    ProviderKind kind = ProviderKind::kOpenAi;
    ASSERT_TRUE(ParseProviderKind(text, kind)) << text;
    EXPECT_EQ(ProviderKindText(kind), text);
  }
  ProviderKind kind = ProviderKind::kGoogle;
  EXPECT_FALSE(ParseProviderKind("OpenAI", kind));
  EXPECT_FALSE(ParseProviderKind("", kind));
  EXPECT_EQ(ProviderKindList(), "openai, azure-openai, anthropic, google, bedrock");
}

TEST(WellKnownBaseUrl, IsOfTheNameThenOfTheKindAndNeverGuessedForCompatibleProviders) {
  using enum ProviderKind;
  EXPECT_EQ(WellKnownBaseUrl("groq", kOpenAi, ""), "https://api.groq.com/openai/v1");
  EXPECT_EQ(WellKnownBaseUrl("my-claude", kAnthropic, ""), "https://api.anthropic.com/v1");
  EXPECT_EQ(WellKnownBaseUrl("my-gemini", kGoogle, ""), "https://generativelanguage.googleapis.com/v1beta");
  EXPECT_EQ(WellKnownBaseUrl("my-openai", kOpenAi, ""), "") << "a key for one provider must not reach another";
  EXPECT_EQ(WellKnownBaseUrl("google", kOpenAi, ""), "") << "its address is of another format";
  EXPECT_EQ(WellKnownBaseUrl("azure-openai", kAzureOpenAi, ""), "");
  EXPECT_EQ(WellKnownBaseUrl("bedrock", kBedrock, ""), "");
  EXPECT_EQ(WellKnownBaseUrl("bedrock", kBedrock, "us-east-1"), "https://bedrock-runtime.us-east-1.amazonaws.com");
  EXPECT_EQ(WellKnownBaseUrl("b", kBedrock, "cn-north-1"), "https://bedrock-runtime.cn-north-1.amazonaws.com.cn");
}

TEST(SecretFits, AsksForBothHalvesOfAnAwsKey) {
  using enum ProviderKind;
  for (const char* good : {"AKIAIOSFODNN7EXAMPLE:wJalr/XUtnFEMI+K7=", "ASIA:secret:session/token=="}) {
    EXPECT_TRUE(SecretFits(kBedrock, good)) << good;
  }
  for (const char* bad : {"AKIA", ":secret", "AKIA:", "AKIA::token", "AKIA:secret:", "AKIA:a:b:c", "AK/IA:secret"}) {
    EXPECT_FALSE(SecretFits(kBedrock, bad)) << bad;
  }
  EXPECT_TRUE(SecretFits(kOpenAi, "sk-anything"));
}

}  // namespace
}  // namespace signalbox
