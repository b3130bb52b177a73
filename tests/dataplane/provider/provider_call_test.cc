#include "dataplane/provider/provider_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/testing/header_pairs.h"

namespace signalbox {
namespace {

using ::testing::Contains;
using ::testing::Pair;
using ::testing::StartsWith;

v1::SnapshotProvider Provider(const std::string& name, const std::string& kind) {
  v1::SnapshotProvider provider;
  provider.set_name(name);
  provider.set_kind(kind);
  return provider;
}

ProviderCall Call(const v1::SnapshotProvider& provider, Format format, std::string_view model, bool stream = false) {
  CallPlace place;
  place.secret = "s3cret";
  place.host = "api.example.com";
  place.path_prefix = "/v1";
  CallOperation operation;
  operation.format = format;
  operation.model = model;
  operation.stream = stream;
  return BuildProviderCall(provider, place, operation, "{}", 1'700'000'000'000'000);
}

TEST(ProviderFormat, AProviderIsAskedInItsOwnFormatUnlessItSpeaksTheClients) {
  EXPECT_EQ(ProviderFormat(Provider("openai", "openai"), Format::kChat), Format::kChat);
  EXPECT_EQ(ProviderFormat(Provider("openai", "openai"), Format::kMessages), Format::kChat);
  EXPECT_EQ(ProviderFormat(Provider("anthropic", "anthropic"), Format::kChat), Format::kMessages);
  EXPECT_EQ(ProviderFormat(Provider("anthropic", "anthropic"), Format::kMessages), Format::kMessages);
  EXPECT_EQ(ProviderFormat(Provider("google", "google"), Format::kResponses), Format::kGenerateContent);
  EXPECT_EQ(ProviderFormat(Provider("bedrock", "bedrock"), Format::kChat), Format::kConverse);
}

TEST(ProviderFormat, ResponsesAreNativeWhereAProviderHasThem) {
  EXPECT_EQ(ProviderFormat(Provider("openai", "openai"), Format::kResponses), Format::kResponses);
  EXPECT_EQ(ProviderFormat(Provider("azure", "azure-openai"), Format::kResponses), Format::kResponses);
  v1::SnapshotProvider groq = Provider("groq", "openai");
  EXPECT_EQ(ProviderFormat(groq, Format::kResponses), Format::kChat);
  (*groq.mutable_options())["responses"] = "native";
  EXPECT_EQ(ProviderFormat(groq, Format::kResponses), Format::kResponses);
}

TEST(ProviderFormat, EmbeddingsAndForeignNativeFormatsHaveNoCounterpartEverywhere) {
  EXPECT_EQ(ProviderFormat(Provider("anthropic", "anthropic"), Format::kEmbeddings), std::nullopt);
  EXPECT_EQ(ProviderFormat(Provider("bedrock", "bedrock"), Format::kEmbeddings), std::nullopt);
  EXPECT_EQ(ProviderFormat(Provider("openai", "openai"), Format::kGenerateContent), std::nullopt);
  EXPECT_EQ(ProviderFormat(Provider("google", "google"), Format::kConverse), std::nullopt);
}

TEST(BuildProviderCall, OpenAiAndItsLikesGetABearerToken) {
  const ProviderCall call = Call(Provider("groq", "openai"), Format::kChat, "llama");
  EXPECT_EQ(call.target, "/v1/chat/completions");
  EXPECT_THAT(testing::HeaderPairs(call.headers), Contains(Pair("authorization", "Bearer s3cret")));
  EXPECT_EQ(Call(Provider("openai", "openai"), Format::kEmbeddings, "e").target, "/v1/embeddings");
  EXPECT_EQ(Call(Provider("openai", "openai"), Format::kResponses, "r").target, "/v1/responses");
}

TEST(BuildProviderCall, AzureNamesTheDeploymentWhenAVersionOfTheApiIsSet) {
  v1::SnapshotProvider azure = Provider("azure-openai", "azure-openai");
  EXPECT_EQ(Call(azure, Format::kChat, "my gpt").target, "/v1/chat/completions");
  EXPECT_THAT(testing::HeaderPairs(Call(azure, Format::kChat, "m").headers), Contains(Pair("api-key", "s3cret")));
  (*azure.mutable_options())["api_version"] = "2024-10-21";
  EXPECT_EQ(Call(azure, Format::kChat, "my gpt").target,
            "/v1/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21");
}

TEST(BuildProviderCall, AnthropicAndGoogleHaveHeadersOfTheirOwn) {
  const ProviderCall claude = Call(Provider("anthropic", "anthropic"), Format::kMessages, "claude");
  EXPECT_EQ(claude.target, "/v1/messages");
  EXPECT_THAT(testing::HeaderPairs(claude.headers), Contains(Pair("x-api-key", "s3cret")));
  EXPECT_THAT(testing::HeaderPairs(claude.headers), Contains(Pair("anthropic-version", "2023-06-01")));
  const ProviderCall gemini = Call(Provider("google", "google"), Format::kGenerateContent, "gemini-2.5-pro", true);
  EXPECT_EQ(gemini.target, "/v1/models/gemini-2.5-pro:streamGenerateContent?alt=sse");
  EXPECT_THAT(testing::HeaderPairs(gemini.headers), Contains(Pair("x-goog-api-key", "s3cret")));
  EXPECT_EQ(Call(Provider("google", "google"), Format::kEmbeddings, "e").target, "/v1/openai/embeddings");
}

TEST(BuildProviderCall, BedrockIsSignedForItsRegion) {
  v1::SnapshotProvider bedrock = Provider("bedrock", "bedrock");
  (*bedrock.mutable_options())["region"] = "eu-west-1";
  CallPlace place;
  place.secret = "AKID:SECRET:TOKEN";
  place.host = "bedrock-runtime.eu-west-1.amazonaws.com";
  CallOperation operation;
  operation.format = Format::kConverse;
  operation.model = "anthropic.claude-v2:1";
  operation.stream = true;
  const ProviderCall call = BuildProviderCall(bedrock, place, operation, "{}", 1'700'000'000'000'000);
  EXPECT_EQ(call.target, "/model/anthropic.claude-v2%3A1/converse-stream");
  EXPECT_THAT(testing::HeaderPairs(call.headers), Contains(Pair("x-amz-date", "20231114T221320Z")));
  EXPECT_THAT(testing::HeaderPairs(call.headers), Contains(Pair("x-amz-security-token", "TOKEN")));
  EXPECT_THAT(testing::HeaderPairs(call.headers),
              Contains(Pair("authorization", StartsWith("AWS4-HMAC-SHA256 Credential=AKID/20231114/"
                                                        "eu-west-1/bedrock/aws4_request, "))));
}

ProviderCall Raw(const char* kind, const std::string& target) {
  v1::SnapshotProvider provider = Provider("p", kind);
  (*provider.mutable_options())["region"] = "us-east-1";
  CallPlace place;
  place.secret = "AKID:s3cret";
  place.host = "api.example.com";
  return BuildRawCall(provider, place, "GET", target, "", 1'700'000'000'000'000);
}

TEST(BuildRawCall, HasTheTargetAsItIsAndTheKindsCredentials) {
  EXPECT_EQ(Raw("openai", "/v1/files?limit=2").target, "/v1/files?limit=2");
  EXPECT_THAT(testing::HeaderPairs(Raw("openai", "/v1/files").headers),
              Contains(Pair("authorization", "Bearer AKID:s3cret")));
  EXPECT_THAT(testing::HeaderPairs(Raw("azure-openai", "/openai/v1/files").headers),
              Contains(Pair("api-key", "AKID:s3cret")));
  EXPECT_THAT(testing::HeaderPairs(Raw("anthropic", "/v1/models").headers), Contains(Pair("x-api-key", "AKID:s3cret")));
  EXPECT_THAT(testing::HeaderPairs(Raw("anthropic", "/v1/models").headers),
              Contains(Pair("anthropic-version", "2023-06-01")));
  EXPECT_THAT(testing::HeaderPairs(Raw("google", "/v1beta/models").headers),
              Contains(Pair("x-goog-api-key", "AKID:s3cret")));
  EXPECT_THAT(testing::HeaderPairs(Raw("google", "/v1beta/openai/models").headers),
              Contains(Pair("authorization", "Bearer AKID:s3cret")));
}

TEST(BuildRawCall, BedrocksSignatureIsOverMethodPathAndQuery) {
  const auto signature = [](const std::string& target) {
    for (const auto& [name, value] : testing::HeaderPairs(Raw("bedrock", target).headers)) {
      if (name == "authorization") return value;
    }
    return std::string();
  };
  EXPECT_THAT(signature("/model/m/invoke"), StartsWith("AWS4-HMAC-SHA256 Credential=AKID/"));
  EXPECT_NE(signature("/model/m/invoke"), signature("/model/m/invoke?a=1"));
  EXPECT_NE(signature("/model/m/invoke"), signature("/model/n/invoke"));
}

}  // namespace
}  // namespace signalbox
