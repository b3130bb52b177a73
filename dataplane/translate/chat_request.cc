#include "dataplane/translate/chat_request.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

std::string At(std::string_view list, size_t index) { return absl::StrCat(std::string(list), "[", index, "]"); }

// Ids made by another provider earlier in the conversation may have characters (functions.f:0) or a length that these
// providers refuse; a call and its result get the same one.
std::string ToolId(std::string id) {
  constexpr size_t kIdBytesMax = 64;
  constexpr size_t kKeptBytes = 40;
  const auto taken = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; };
  if (id.size() <= kIdBytesMax && std::all_of(id.begin(), id.end(), taken)) return id;
  uint64_t hash = 14695981039346656037u;  // FNV-1a: ids that differ only in what is replaced stay apart
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  id.resize(std::min(id.size(), kKeptBytes));
  std::replace_if(id.begin(), id.end(), std::not_fn(taken), '_');
  return absl::StrCat(id, "_", absl::Hex(hash, absl::kZeroPad16));
}

// Reads the messages in order. Blocks gather in a turn as long as the role stays: providers want the results of all
// tool calls in the one user turn after them, and Converse wants roles to alternate.
class ConversationReader {
 public:
  ConversationReader(BlockFormat& format, FirstFault& fault) : format_(format), fault_(fault) {}

  void Take(const Json& message, const std::string& path) {
    if (!message.is_object()) return fault_.Refuse(Invalid(path, "is not an object"));
    const std::string role = StringAt(message, "role");
    if (role == "system" || role == "developer") return TakeSystem(message, path);
    if (role == "user") return TakeUser(message, path);
    if (role == "assistant") return TakeAssistant(message, path);
    if (role == "tool") return TakeTool(message, path);
    if (role == "function") {
      return fault_.Refuse(Unsupported(path + ".role", "`function` has no counterpart: answer tool calls as `tool`"));
    }
    fault_.Refuse(Invalid(path + ".role", "is not one of system, developer, user, assistant, tool"));
  }

  Conversation Result() && { return std::move(conversation_); }

 private:
  // The instructions of every system message stand before the conversation, wherever they were: there is one place.
  void TakeSystem(const Json& message, const std::string& path) {
    RefuseMembers(message, path, {"role", "content", "cache_control"});
    Json blocks = Blocks(message, path, /*text_only=*/true);
    Mark(message, blocks);
    for (Json& block : blocks) conversation_.system.push_back(std::move(block));
  }

  void TakeUser(const Json& message, const std::string& path) {
    RefuseMembers(message, path, {"role", "content", "cache_control"});
    Json blocks = Blocks(message, path, /*text_only=*/false);
    Mark(message, blocks);
    Append("user", std::move(blocks));
  }

  void TakeAssistant(const Json& message, const std::string& path) {
    // Earlier reasoning is not part of a conversation unless it is signed (thinking_blocks): providers refuse what they
    // did not sign. And what an answer says of itself (annotations, citations, what an SDK parsed) is not said back.
    RefuseMembers(message, path,
                  {"role", "content", "refusal", "tool_calls", "thinking_blocks", "reasoning_content", "reasoning",
                   "reasoning_details", "annotations", "citations", "provider_content", "extra_content", "parsed",
                   "cache_control"});
    Json blocks = Json::array();
    if (const Json* thinking = FindArray(message, "thinking_blocks")) {
      for (const Json& block : *thinking) {
        const char* proof = StringAt(block, "type") == "redacted_thinking" ? "data" : "signature";
        if (!StringAt(block, proof).empty()) blocks.push_back(format_.Thinking(block));
      }
    }
    for (Json& block : Blocks(message, path, /*text_only=*/true)) blocks.push_back(std::move(block));
    if (std::string refusal = StringAt(message, "refusal"); !refusal.empty()) {
      blocks.push_back(format_.Text(std::move(refusal)));
    }
    if (const Json* calls = Find(message, "tool_calls")) TakeToolCalls(*calls, path + ".tool_calls", blocks);
    Mark(message, blocks);
    Append("assistant", std::move(blocks));
  }

  void TakeToolCalls(const Json& calls, const std::string& path, Json& blocks) {
    if (!calls.is_array()) return fault_.Refuse(Invalid(path, "is not an array"));
    for (size_t i = 0; i < calls.size(); ++i) {
      const std::string at = At(path, i);
      const Json* function = FindObject(calls[i], "function");
      if (StringAt(calls[i], "type", "function") != "function") {
        return fault_.Refuse(Unsupported(at + ".type", "has no counterpart: only calls of functions do"));
      }
      if (function == nullptr) return fault_.Refuse(Invalid(at + ".function", "is missing"));
      const std::string arguments = StringAt(*function, "arguments");
      std::optional<Json> input = arguments.empty() ? Json::object() : ParseJson(arguments);
      if (!input || !input->is_object()) {
        return fault_.Refuse(Invalid(at + ".function.arguments", "is not a JSON object, as this provider wants it"));
      }
      blocks.push_back(
          format_.ToolUse(ToolId(StringAt(calls[i], "id")), StringAt(*function, "name"), *std::move(input)));
    }
  }

  void TakeTool(const Json& message, const std::string& path) {
    // The name is the called function's, which the call itself says.
    RefuseMembers(message, path, {"role", "content", "tool_call_id", "name", "is_error", "cache_control"});
    const Json* failed = Find(message, "is_error");
    Json result = Json::array();
    result.push_back(format_.ToolResult(ToolId(StringAt(message, "tool_call_id")), Blocks(message, path, false),
                                        failed != nullptr && *failed == true));
    Mark(message, result);
    Append("user", std::move(result));
  }

  // The content as blocks. Empty text says nothing, and providers refuse it in a block.
  Json Blocks(const Json& message, const std::string& path, bool text_only) {
    Json blocks = Json::array();
    const Json* content = Find(message, "content");
    if (content == nullptr) return blocks;
    const std::string at = path + ".content";
    if (content->is_string()) {
      if (std::string text = *content; !text.empty()) blocks.push_back(format_.Text(std::move(text)));
      return blocks;
    }
    if (!content->is_array()) {
      fault_.Refuse(Invalid(at, "is neither a string nor an array of parts"));
      return blocks;
    }
    for (size_t i = 0; i < content->size(); ++i) TakePart((*content)[i], At(at, i), text_only, blocks);
    return blocks;
  }

  void TakePart(const Json& part, const std::string& path, bool text_only, Json& blocks) {
    const std::string type = StringAt(part, "type");
    Json block;
    if (type == "text" || type == "refusal") {
      std::string text = StringAt(part, type);
      if (text.empty()) return;
      block = format_.Text(std::move(text));
    } else if (type == "image_url" && !text_only) {
      const Json* image = Find(part, "image_url");
      // Some clients write the URL itself.
      const Json written = image == nullptr ? Json::object() : image->is_string() ? Json{{"url", *image}} : *image;
      block = format_.Image(written, path + ".image_url", fault_);
    } else if (type == "file" && !text_only) {
      const Json* file = FindObject(part, "file");
      block = format_.File(file == nullptr ? Json::object() : *file, path + ".file", fault_);
    } else if (type.empty()) {
      return fault_.Refuse(Invalid(path + ".type", "is missing"));
    } else {
      return fault_.Refuse(Unsupported(path + ".type", absl::StrCat("`", type, "` has no counterpart here")));
    }
    blocks.push_back(std::move(block));
    Mark(part, blocks);
  }

  void Mark(const Json& holder, Json& blocks) {
    if (const Json* cache = Find(holder, "cache_control"); cache != nullptr && !blocks.empty()) {
      format_.MarkCache(blocks, *cache);
    }
  }

  void RefuseMembers(const Json& message, const std::string& path, std::initializer_list<std::string_view> known) {
    for (const auto& [key, value] : message.items()) {
      if (value.is_null() || std::find(known.begin(), known.end(), key) != known.end()) continue;
      fault_.Refuse(Unsupported(absl::StrCat(path, ".", key), "has no counterpart at this provider: leave it out"));
    }
  }

  void Append(std::string_view role, Json blocks) {
    if (blocks.empty()) return;
    Json& turns = conversation_.turns;
    if (turns.empty() || turns.back()["role"] != role) {
      turns.push_back(Json{{"role", std::string(role)}, {"content", std::move(blocks)}});
      return;
    }
    for (Json& block : blocks) turns.back()["content"].push_back(std::move(block));
  }

  BlockFormat& format_;
  FirstFault& fault_;
  Conversation conversation_;
};

// Every member of OpenAI's that a translation reads, refuses, or that only the gateway reads.
constexpr std::string_view kKnownMembers[] = {
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
    "user",
    "safety_identifier",
    "metadata",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "audio",
    "modalities",
    "prediction",
    "verbosity",
    "web_search_options",
    "functions",
    "function_call",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
};

bool AsksForNothing(std::string_view key, const Json& value) {
  if (value.is_null() || value == false) return true;
  if (key == "n") return value == 1;
  if (key == "top_logprobs" || key == "frequency_penalty" || key == "presence_penalty") return value == 0;
  if (key == "logit_bias") return value.is_object() && value.empty();
  if (key == "functions") return value.is_array() && value.empty();
  if (key == "modalities") return value.is_array() && value.size() == 1 && value[0] == "text";
  if (key == "verbosity") return value == "medium";
  return false;
}

}  // namespace

Conversation ReadConversation(const Json& chat, BlockFormat& format, FirstFault& fault) {
  ConversationReader reader(format, fault);
  const Json* messages = FindArray(chat, "messages");
  if (messages == nullptr) {
    fault.Refuse(Invalid("messages", "is missing or not an array"));
    return {};
  }
  for (size_t i = 0; i < messages->size(); ++i) reader.Take((*messages)[i], At("messages", i));
  return std::move(reader).Result();
}

std::vector<ChatTool> ReadTools(const Json& chat, bool others_pass, FirstFault& fault) {
  std::vector<ChatTool> tools;
  const Json* listed = Find(chat, "tools");
  if (listed == nullptr) return tools;
  if (!listed->is_array()) fault.Refuse(Invalid("tools", "is not an array"));
  for (size_t i = 0; listed->is_array() && i < listed->size(); ++i) {
    const Json& tool = (*listed)[i];
    const std::string path = At("tools", i);
    const std::string type = StringAt(tool, "type");
    if (type == "function") {
      const Json* function = FindObject(tool, "function");
      if (function == nullptr || StringAt(*function, "name").empty()) {
        fault.Refuse(Invalid(path + ".function.name", "is missing"));
        return tools;
      }
      tools.push_back({StringAt(*function, "name"), function, &tool});
    } else if (type.empty() || type == "custom" || !others_pass) {
      fault.Refuse(Unsupported(path + ".type", "has no counterpart at this provider unless it is `function`"));
    } else {
      tools.push_back({StringAt(tool, "name"), nullptr, &tool});
    }
  }
  return tools;
}

Json SchemaOf(const Json& function) {
  const Json* parameters = FindObject(function, "parameters");
  Json schema = parameters == nullptr ? Json::object() : *parameters;
  if (schema.empty()) schema["properties"] = Json::object();
  if (Find(schema, "type") == nullptr) schema["type"] = "object";
  return schema;
}

ToolChoice ReadToolChoice(const Json& chat, FirstFault& fault) {
  ToolChoice choice;
  if (const Json* parallel = Find(chat, "parallel_tool_calls")) {
    choice.parallel_said = true;
    choice.parallel = *parallel != false;
  }
  const Json* said = Find(chat, "tool_choice");
  if (said == nullptr) return choice;
  if (*said == "auto") choice.kind = ToolChoice::kAuto;
  if (*said == "none") choice.kind = ToolChoice::kNone;
  if (*said == "required") choice.kind = ToolChoice::kRequired;
  if (StringAt(*said, "type") == "function") {
    const Json* function = FindObject(*said, "function");
    choice.name = function == nullptr ? "" : StringAt(*function, "name");
    if (!choice.name.empty()) choice.kind = ToolChoice::kNamed;
  }
  if (choice.kind == ToolChoice::kUnsaid) {
    fault.Refuse(Unsupported("tool_choice", "has no counterpart unless it is auto, none, required or a function"));
  }
  return choice;
}

ResponseFormat ReadResponseFormat(const Json& chat, FirstFault& fault) {
  ResponseFormat format;
  const Json* said = Find(chat, "response_format");
  if (said == nullptr) return format;
  const std::string type = StringAt(*said, "type");
  if (type == "json_object") format.kind = ResponseFormat::kJsonObject;
  if (type == "json_schema") {
    const Json* wrapped = FindObject(*said, "json_schema");
    const Json* schema = wrapped == nullptr ? nullptr : FindObject(*wrapped, "schema");
    if (schema == nullptr) {
      fault.Refuse(Invalid("response_format.json_schema.schema", "is missing"));
      return format;
    }
    format.kind = ResponseFormat::kJsonSchema;
    format.name = StringAt(*wrapped, "name");
    format.description = StringAt(*wrapped, "description");
    format.schema = *schema;
  } else if (type != "text" && type != "json_object") {
    fault.Refuse(Unsupported("response_format.type", "has no counterpart unless it is text, json_object, json_schema"));
  }
  return format;
}

Json ReadStops(const Json& chat, FirstFault& fault) {
  const Json* stop = Find(chat, "stop");
  if (stop == nullptr) return Json::array();
  Json stops = stop->is_array() ? *stop : Json::array({*stop});
  for (const Json& text : stops) {
    if (!text.is_string()) fault.Refuse(Invalid("stop", "is neither a string nor an array of strings"));
  }
  return stops;
}

std::optional<int64_t> ReadOutputCap(const Json& chat) {
  const std::optional<int64_t> older = CountAt(chat, "max_tokens");
  const std::optional<int64_t> newer = CountAt(chat, "max_completion_tokens");
  return older && newer ? std::min(*older, *newer) : older ? older : newer;
}

const Json* ReadNumber(const Json& chat, std::string_view key, double max, std::string_view why, FirstFault& fault) {
  const Json* value = Find(chat, key);
  if (value == nullptr) return nullptr;
  if (!value->is_number() || value->get<double>() < 0) fault.Refuse(Invalid(key, "is not a number from 0 on"));
  if (value->is_number() && value->get<double>() > max) fault.Refuse(Unsupported(key, why));
  return value;
}

std::string ReadEffort(const Json& chat, FirstFault& fault) {
  const std::string effort = StringAt(chat, "reasoning_effort");
  constexpr std::string_view kEfforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
  if (Find(chat, "reasoning_effort") != nullptr &&
      std::find(std::begin(kEfforts), std::end(kEfforts), effort) == std::end(kEfforts)) {
    fault.Refuse(Invalid("reasoning_effort", "is not one of none, minimal, low, medium, high, xhigh, max"));
  }
  return effort;
}

void RefuseWithoutCounterpart(const Json& chat, std::string_view provider, FirstFault& fault) {
  constexpr std::string_view kKeys[] = {"n",
                                        "logprobs",
                                        "top_logprobs",
                                        "logit_bias",
                                        "seed",
                                        "audio",
                                        "modalities",
                                        "prediction",
                                        "frequency_penalty",
                                        "presence_penalty",
                                        "verbosity",
                                        "store",
                                        "functions",
                                        "function_call",
                                        "web_search_options",
                                        "moderation",
                                        "prompt_cache_key",
                                        "prompt_cache_retention",
                                        "prompt_cache_options"};
  for (const std::string_view key : kKeys) {
    const Json* value = Find(chat, key);
    if (value == nullptr || AsksForNothing(key, *value)) continue;
    fault.Refuse(Unsupported(
        key, absl::StrCat("has no counterpart in ", std::string(provider), ": leave it out",
                          key == "functions" || key == "function_call" ? " and use `tools` and `tool_choice`" : "")));
  }
}

bool IsKnownChatMember(std::string_view key) {
  return std::find(std::begin(kKnownMembers), std::end(kKnownMembers), key) != std::end(kKnownMembers);
}

}  // namespace signalbox
