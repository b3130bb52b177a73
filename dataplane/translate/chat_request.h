// Reads a chat completion's request for formats that keep system prompts apart and content in blocks (Messages,
// Converse): roles, parts, tool calls and their order are read once, here; a BlockFormat says how each is written.
// Invariant: every member of the request is taken, passed on, or refused by its name. Pure; one thread per object.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

// The first thing that was refused; what follows it no longer matters.
class FirstFault {
 public:
  void Refuse(BodyFault fault) {
    if (!fault_) fault_ = std::move(fault);
  }
  bool any() const { return fault_.has_value(); }
  const BodyFault& fault() const { return *fault_; }

 private:
  std::optional<BodyFault> fault_;
};

// How a provider writes blocks. `path` is the part's place in the chat completion, for faults.
class BlockFormat {
 public:
  virtual ~BlockFormat() = default;
  virtual Json Text(std::string text) = 0;
  virtual Json Image(const Json& image_url, const std::string& path, FirstFault& fault) = 0;  // {"url","detail"?}
  virtual Json File(const Json& file, const std::string& path, FirstFault& fault) = 0;  // {"file_data"|"file_id",…}
  virtual Json ToolUse(std::string id, std::string name, Json input) = 0;
  // `content`: blocks; `is_error`: the client's word that the tool failed.
  virtual Json ToolResult(std::string id, Json content, bool is_error) = 0;
  // An earlier answer's {"type":"thinking"|"redacted_thinking",…}.
  virtual Json Thinking(const Json& block) = 0;
  // Ends the cached prefix at the last of `blocks`.
  virtual void MarkCache(Json& blocks, const Json& cache_control) = 0;
};

struct Conversation {
  Json system = Json::array();  // blocks
  Json turns = Json::array();   // {"role":"user"|"assistant","content":[blocks]}; no two of one role in a row
};
// Of the chat completion's messages.
Conversation ReadConversation(const Json& chat, BlockFormat& format, FirstFault& fault);

// The functions of `tools`, as {"name","description"?,"parameters","strict"?,"cache_control"?}; what is no function
// stays as it is when `others_pass`, and is refused otherwise.
struct ChatTool {
  std::string name;
  const Json* function = nullptr;  // null: not a function
  const Json* tool = nullptr;
};
std::vector<ChatTool> ReadTools(const Json& chat, bool others_pass, FirstFault& fault);
// A function's schema; an object without properties where it has none.
Json SchemaOf(const Json& function);

struct ToolChoice {
  enum Kind { kUnsaid, kAuto, kNone, kRequired, kNamed } kind = kUnsaid;
  std::string name;      // of kNamed
  bool parallel = true;  // parallel_tool_calls
  bool parallel_said = false;
};
ToolChoice ReadToolChoice(const Json& chat, FirstFault& fault);

struct ResponseFormat {
  enum Kind { kText, kJsonObject, kJsonSchema } kind = kText;
  std::string name, description;
  Json schema;
};
ResponseFormat ReadResponseFormat(const Json& chat, FirstFault& fault);

// `stop` as an array; empty: none.
Json ReadStops(const Json& chat, FirstFault& fault);
// The smaller of max_tokens and max_completion_tokens.
std::optional<int64_t> ReadOutputCap(const Json& chat);
// A number within bounds, kept as it is written; null when absent.
const Json* ReadNumber(const Json& chat, std::string_view key, double max, std::string_view why, FirstFault& fault);
// "none", "minimal", "low", "medium", "high", "xhigh", "max"; empty: not said.
std::string ReadEffort(const Json& chat, FirstFault& fault);

// Refuses by name what neither format can do, unless its value asks for nothing (n: 1, logprobs: false, an empty
// logit_bias …). `provider` is named in the fault: "Anthropic's Messages".
void RefuseWithoutCounterpart(const Json& chat, std::string_view provider, FirstFault& fault);
// Whether the translation reads or refuses the member: what is not known is passed on.
bool IsKnownChatMember(std::string_view key);

}  // namespace signalbox
