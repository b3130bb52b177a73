#include "dataplane/routing/native_path.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

using enum ProviderKind;

// "chat", "generate_content gemini-2.5-pro stream", "none" ...
std::string Read(ProviderKind kind, std::string_view base, std::string_view rest, std::string_view query = "") {
  const std::optional<NativeCall> call = ReadNativePath(kind, base, rest, query);
  if (!call.has_value()) return "none";
  std::string text(FormatName(call->format));
  if (!call->says.model.empty()) text += " " + call->says.model;
  if (call->says.stream) text += " stream";
  if (call->wants_json_array) text += " array";
  return text;
}

TEST(ReadNativePath, OpenAisPathsMayNameAVersionOrNot) {
  EXPECT_EQ(Read(kOpenAi, "/v1", "/v1/chat/completions"), "chat");
  EXPECT_EQ(Read(kOpenAi, "/v1", "/chat/completions"), "chat");
  EXPECT_EQ(Read(kOpenAi, "/openai/v1", "/openai/v1/chat/completions"), "chat");
  EXPECT_EQ(Read(kOpenAi, "", "/v1/responses"), "responses");
  EXPECT_EQ(Read(kOpenAi, "/v1", "/v1/embeddings"), "embeddings");
  EXPECT_EQ(Read(kOpenAi, "/v1", "/v1/models"), "none");
  EXPECT_EQ(Read(kOpenAi, "/v1", "/v1/responses/r-1/cancel"), "none");
  EXPECT_EQ(Read(kOpenAi, "/v1", "/v1/messages"), "none");
}

TEST(ReadNativePath, AzuresDeploymentIsTheModel) {
  EXPECT_EQ(Read(kAzureOpenAi, "", "/openai/deployments/my-gpt/chat/completions"), "chat my-gpt");
  EXPECT_EQ(Read(kAzureOpenAi, "", "/deployments/my%20gpt/embeddings"), "embeddings my gpt");
  EXPECT_EQ(Read(kAzureOpenAi, "", "/my-resource/my-gpt/chat/completions"), "chat my-gpt");
  EXPECT_EQ(Read(kAzureOpenAi, "/openai/v1", "/openai/v1/responses"), "responses");
  EXPECT_EQ(Read(kAzureOpenAi, "/openai/v1", "/chat/completions"), "chat");
  EXPECT_EQ(Read(kAzureOpenAi, "", "/openai/deployments/my-gpt/images/generations"), "none");
}

TEST(ReadNativePath, AnthropicsMessagesAndTheirCountIsNone) {
  EXPECT_EQ(Read(kAnthropic, "/v1", "/v1/messages"), "messages");
  EXPECT_EQ(Read(kAnthropic, "/v1", "/messages"), "messages");
  EXPECT_EQ(Read(kAnthropic, "/v1", "/v1/messages/count_tokens"), "none");
  EXPECT_EQ(Read(kAnthropic, "/v1", "/v1/messages/batches"), "none");
}

TEST(ReadNativePath, GooglesModelAndStreamAreInThePath) {
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1beta/models/gemini-2.5-pro:generateContent"),
            "generate_content gemini-2.5-pro");
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1/models/gemini-2.5-pro:streamGenerateContent", "alt=sse"),
            "generate_content gemini-2.5-pro stream");
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1beta/models/g:streamGenerateContent", "key=k"),
            "generate_content g stream array");
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1beta/openai/chat/completions"), "chat");
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1beta/models/g:countTokens"), "none");
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1beta/models"), "none");
  EXPECT_EQ(Read(kGoogle, "/v1beta", "/v1beta/models/:generateContent"), "none");
}

TEST(ReadNativePath, BedrocksModelIsDecoded) {
  EXPECT_EQ(Read(kBedrock, "", "/model/anthropic.claude-v2%3A0/converse"), "converse anthropic.claude-v2:0");
  EXPECT_EQ(Read(kBedrock, "", "/bedrock-runtime/us-east-1/model/m/converse-stream"), "converse m stream");
  EXPECT_EQ(Read(kBedrock, "", "/model/arn:aws:bedrock:us-east-1::foundation-model/m/converse"),
            "converse arn:aws:bedrock:us-east-1::foundation-model/m");
  EXPECT_EQ(Read(kBedrock, "", "/model/m/invoke"), "none");
}

TEST(IsFree, CountingTokensCostsNothing) {
  EXPECT_TRUE(IsFree("/v1/messages/count_tokens"));
  EXPECT_TRUE(IsFree("/v1beta/models/gemini-2.5-pro:countTokens"));
  EXPECT_FALSE(IsFree("/v1/messages"));
  EXPECT_FALSE(IsFree("/v1/messages/batches"));
}

TEST(ProviderPath, WhatBothNameIsNamedOnce) {
  EXPECT_EQ(ProviderPath("/v1", "/v1/files"), "/v1/files");
  EXPECT_EQ(ProviderPath("/v1", "/files"), "/v1/files");
  EXPECT_EQ(ProviderPath("/openai/v1", "/openai/v1/files"), "/openai/v1/files");
  EXPECT_EQ(ProviderPath("/openai/v1", "/v1/files/"), "/openai/v1/files/");
  EXPECT_EQ(ProviderPath("", "/v1/files"), "/v1/files");
  EXPECT_EQ(ProviderPath("/v1beta", "/v1/models"), "/v1/models") << "the client's version counts";
}

TEST(ProviderPath, NothingGetsOutOfTheBase) {
  EXPECT_EQ(ProviderPath("/v1", "/v1/../admin"), std::nullopt);
  EXPECT_EQ(ProviderPath("/v1", "/%2e%2E/admin"), std::nullopt);
  EXPECT_EQ(ProviderPath("/v1", "/./files"), std::nullopt);
  EXPECT_EQ(ProviderPath("/v1", "/a..b/files"), "/v1/a..b/files");
}

}  // namespace
}  // namespace signalbox
