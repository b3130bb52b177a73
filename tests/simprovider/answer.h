// What the simulated provider says: OpenAI chat completions as a pure function of the request, so that the same
// request always gets the same words, tokens and bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/simprovider/bill.h"

namespace signalbox::sim {

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON
};

// How and where a provider tells usage. All true of what is billed but for the last two, which cannot be read.
enum class UsageShape {
  kOpenAi,       // details nested, on streams in an event without choices
  kDeepSeek,     // prompt_cache_hit_tokens
  kGroq,         // on streams in x_groq of the last chunk
  kLastChunk,    // Mistral: on streams in the chunk that has the finish reason
  kMoonshot,     // on streams in the last choice; cached_tokens without details
  kEveryChunk,   // vLLM: on streams in every chunk, as it grows
  kXai,          // reasoning beside completion_tokens, told in the details and by the total
  kTotalOnly,    // Gemini: reasoning beside completion_tokens, told by the total alone
  kOpenRouter,   // cache_write_tokens in the details
  kCacheInside,  // LiteLLM: Anthropic's names, within prompt_tokens
  kCacheBeside,  // Anthropic's names, beside prompt_tokens
  kAudio,        // spoken input and output
  kNegative,     // prompt_tokens: -1
  kText,         // numbers as strings
};
// By name: openai, deepseek, groq, last_chunk ... INVALID_ARGUMENT listing them.
absl::StatusOr<UsageShape> ParseUsageShape(std::string_view name);
std::vector<std::string> UsageShapeNames();

struct ChatRequest {
  UsageShape shape = UsageShape::kOpenAi;
  std::string model;
  bool stream = false;
  bool include_usage = false;
  int64_t choices = 1;
  int64_t output_cap = -1;  // -1: none
  int64_t input_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t reasoning_tokens = 0;
  std::string prompt;                // the last user message's text
  std::string tool_result;           // the last message's text when it answers a tool call
  std::vector<ToolCall> tool_calls;  // what the answer calls; empty: it speaks
};

// INVALID_ARGUMENT with OpenAI's kind of sentence for a body that is not a chat completion.
absl::StatusOr<ChatRequest> ParseChatRequest(std::string_view body);

struct Choice {
  std::string text;
  std::vector<ToolCall> tool_calls;
  std::string finish_reason;  // stop, length, tool_calls
  int64_t tokens = 0;         // reasoning included
};

struct Answer {
  std::string id;
  int64_t created = 0;
  std::string model;
  std::vector<Choice> choices;
  Usage usage;
  UsageShape shape = UsageShape::kOpenAi;
};

Answer Compose(const ChatRequest& request);

enum class UsageShown { kTrue, kAbsent, kZero };  // kTrue: as it was

std::string RenderUnary(const Answer& answer, UsageShown usage);

struct StreamEvent {
  std::string data;           // what follows "data: "
  int64_t output_tokens = 0;  // generated once this event is out, over all choices
  bool tells = false;         // carries the whole usage, readable
};
// The whole stream, [DONE] included: role, `chunks` pieces of text (or the tool calls), finish reason for each choice,
// then usage where the shape puts it when the request asked for it.
std::vector<StreamEvent> RenderStream(const ChatRequest& request, const Answer& answer, int chunks, UsageShown usage);

// {"error":{"message","type","param","code"}}
std::string RenderError(std::string_view message, std::string_view type, std::string_view code);
// The same with the usage of what was generated before the failure.
std::string RenderBilledError(std::string_view message, const Answer& answer);

bool Readable(UsageShape shape);

}  // namespace signalbox::sim
