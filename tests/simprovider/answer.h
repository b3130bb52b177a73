// What the simulated provider says: a pure function of what was asked, so that the same conversation gets the same
// words and token counts in every format, and the same request always the same bytes. The formats (format.h) read a
// request into an Ask and write an Answer down.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/simprovider/bill.h"

namespace signalbox::sim {

struct ToolCall {
  std::string id;  // sixteen hexadecimal digits; formats put their prefix before it
  std::string name;
  std::string arguments;  // JSON
};

// How and where a provider that speaks chat completions tells usage. All true of what is billed but for the last two,
// which cannot be read.
enum class UsageShape {
  kOpenAi,       // details nested, on streams in an event without choices
  kDeepSeek,     // prompt_cache_hit_tokens; what it reasoned is told as reasoning_content
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
bool Readable(UsageShape shape);

// One request, whatever it was written in.
struct Ask {
  UsageShape shape = UsageShape::kOpenAi;
  std::string model;
  bool stream = false;
  bool include_usage = false;  // chat completions: usage on streams only if asked
  int64_t choices = 1;
  int64_t output_cap = -1;  // -1: none
  int64_t input_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t written_tokens = 0;
  int64_t reasoning_tokens = 0;
  bool show_reasoning = false;
  std::string prompt;                // the last user message's text
  std::string tool_result;           // the last message's text when it answers a tool call
  std::vector<ToolCall> tool_calls;  // what the answer calls; empty: it speaks
  std::vector<std::string> stops;    // the text ends before the first of these
  std::string structured;            // the JSON to answer; empty: words
  // Embeddings only.
  std::vector<std::string> inputs;
  int64_t dimensions = 0;
  bool base64 = false;
};

// Puts an Ask together from what a format found, in the order of the conversation.
class AskReader {
 public:
  enum class Role { kSystem, kUser, kAssistant, kTool };
  void Turn(Role role, const std::string& text, int64_t attachments = 0);

  void OfferTool(const std::string& name, const std::string& description, const nlohmann::json& schema);
  void DemandTool(const std::string& name) { demanded_ = name; }
  void DemandAnyTool() { any_ = true; }
  void ForbidTools() { forbidden_ = true; }
  void OneToolOnly() { one_ = true; }
  // Answer JSON that satisfies this schema.
  void DemandJson(const nlohmann::json& schema);
  void Stop(const std::string& text);
  void Reason(std::string_view effort);  // low, medium, high; anything else: not at all
  void HintCache() { hinted_ = true; }   // half of the input is read from a cache
  void MarkCache() { marked_ = true; }   // and a fifth of it written

  // What was found, in `ask`, whose model, stream, choices and cap are the format's to set.
  Ask Take(Ask ask);

 private:
  struct Tool {
    std::string name;
    nlohmann::json schema;
  };
  std::string prompt_, tool_result_, structured_;
  nlohmann::json json_schema_;
  bool json_ = false;
  std::vector<Tool> tools_;
  std::vector<std::string> stops_;
  std::string demanded_;
  bool any_ = false, forbidden_ = false, one_ = false, hinted_ = false, marked_ = false;
  size_t bytes_ = 0;
  int64_t attachments_ = 0;
  int64_t reasoning_tokens_ = 0;
};

struct Choice {
  enum class End { kStop, kLength, kToolCalls };
  std::string thought;  // what it reasoned, four bytes a token
  std::string text;
  std::vector<ToolCall> tool_calls;
  End end = End::kStop;
  std::string stopped_at;  // the stop sequence that ended it
  int64_t reasoning_tokens = 0;
  int64_t tokens = 0;  // reasoning included
};

struct Answer {
  std::string id;  // sixteen hexadecimal digits
  int64_t created = 0;
  std::string model;
  std::vector<Choice> choices;
  Usage usage;
  UsageShape shape = UsageShape::kOpenAi;
};

Answer Compose(const Ask& ask);

// A vector of `dimensions` numbers, of length 1, for one text.
std::vector<float> Embed(const std::string& text, int64_t dimensions);

enum class UsageShown { kTrue, kAbsent, kZero };  // kTrue: as it was

int64_t TokensOf(size_t bytes);  // four bytes a token, rounded up

// Cuts text into at most `pieces` parts of about equal length, between characters.
std::vector<std::string> SplitText(const std::string& text, int pieces);

}  // namespace signalbox::sim
