// The wire formats that clients and providers speak. Pure.
#pragma once

#include <string_view>

namespace signalbox {

enum class Format {
  kChat,             // POST /chat/completions
  kMessages,         // Anthropic: POST /messages
  kResponses,        // OpenAI: POST /responses
  kEmbeddings,       // OpenAI: POST /embeddings
  kGenerateContent,  // Google: POST /models/{model}:generateContent and :streamGenerateContent
  kConverse,         // Bedrock: POST /model/{model}/converse and /converse-stream
};

// As records and messages name it: chat, messages, responses, embeddings, generate_content, converse.
constexpr std::string_view FormatName(Format format) {
  constexpr std::string_view kNames[] = {"chat", "messages", "responses", "embeddings", "generate_content", "converse"};
  return kNames[static_cast<int>(format)];
}

}  // namespace signalbox
