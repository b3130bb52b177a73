#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/responses_wire.h"

namespace signalbox {
namespace {

using Fault = std::optional<BodyFault>;

constexpr char kNowhere[] = "has no counterpart in the chat completion that this is translated to: leave it out";

// Taken as they are, some under another name.
struct Renamed {
  std::string_view name;
  const char* chat;
};
constexpr Renamed kRenamed[] = {
    {"model", "model"},
    {"max_output_tokens", "max_completion_tokens"},
    {"temperature", "temperature"},
    {"top_p", "top_p"},
    {"parallel_tool_calls", "parallel_tool_calls"},
    {"metadata", "metadata"},
    {"user", "user"},
    {"safety_identifier", "safety_identifier"},
    {"service_tier", "service_tier"},
    {"prompt_cache_key", "prompt_cache_key"},
    {"prompt_cache_retention", "prompt_cache_retention"},
    {"stream", "stream"},
};

// Refused unless they ask for what happens anyway. Nothing is stored here, so nothing can be gone back to.
struct Refused {
  std::string_view name;
  const char* harmless;  // JSON
  const char* why;
};
constexpr char kStored[] = "asks for something stored, and the gateway stores no responses: send the whole input";
constexpr char kChats[] = "is a chat completion's: say it in the words of a response";
constexpr Refused kRefused[] = {
    {"previous_response_id", "", kStored},
    {"conversation", "", kStored},
    {"prompt", "", kStored},
    {"store", "false", "cannot be true: the gateway stores no responses"},
    {"background", "false", "cannot be true: the gateway answers while the client waits"},
    {"truncation", "\"disabled\"", "cannot be auto: send what fits the model"},
    {"context_management", "[]", kNowhere},
    {"moderation", "", kNowhere},
    {"prompt_cache_options", "", kNowhere},
    {"max_tool_calls", "", kNowhere},
    {"messages", "", kChats},
    {"max_tokens", "", kChats},
    {"max_completion_tokens", "", kChats},
    {"response_format", "", kChats},
    {"reasoning_effort", "", kChats},
    {"verbosity", "", kChats},
    {"logprobs", "", kChats},
    {"n", "1", kChats},
    {"functions", "", kChats},
    {"function_call", "", kChats},
    {"modalities", "", kChats},
};

constexpr std::string_view kHandled[] = {"input",     "instructions", "tools",        "tool_choice",   "text",
                                         "reasoning", "include",      "top_logprobs", "stream_options"};

Fault RefuseUnknown(const Json& object, std::initializer_list<std::string_view> known, const std::string& path) {
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    if (value.is_null() || std::find(known.begin(), known.end(), name) != known.end()) continue;
    return Unsupported(absl::StrCat(path, ".", name), kNowhere);
  }
  return std::nullopt;
}

// Input items, as messages. Items of one turn of the model's (reasoning, message, calls) become one message.
class InputReader {
 public:
  Fault Add(const Json& item, const std::string& path);
  void AddSystem(const Json& instructions) { Push({{"role", "system"}, {"content", instructions}}); }
  void AddUser(const Json& text) { Push({{"role", "user"}, {"content", text}}); }
  Json Take() {
    EndTurn();
    return std::move(messages_);
  }

 private:
  void Push(Json message) {
    EndTurn();
    messages_.push_back(std::move(message));
  }
  void EndTurn();
  Fault AddMessage(const Json& item, const std::string& path);
  Fault AddAnswer(const Json& item, const std::string& path);
  Fault AddCall(const Json& item, const std::string& path);
  Fault AddOutput(const Json& item, const std::string& path);
  Fault AddReasoning(const Json& item, const std::string& path);
  static Fault Part(const Json& part, const std::string& path, Json& parts);

  Json messages_ = Json::array();
  Json turn_ = Json::object();  // the model's, going on; empty: none
};

void InputReader::EndTurn() {
  if (turn_.empty()) return;
  Json message = {{"role", "assistant"}};
  message["content"] = turn_.contains("content") ? std::move(turn_["content"]) : Json(nullptr);
  for (auto& [name, value] : turn_.get_ref<Json::object_t&>()) {
    if (name != "content") message[name] = std::move(value);
  }
  messages_.push_back(std::move(message));
  turn_ = Json::object();
}

Fault InputReader::Part(const Json& part, const std::string& path, Json& parts) {
  if (!part.is_object()) return Invalid(path, "is not an object");
  const std::string type = StringAt(part, "type");
  Json chat;
  if (type == "input_text" || type == "output_text" || type == "text") {
    if (Fault fault = RefuseUnknown(part, {"type", "text", "annotations", "logprobs"}, path)) return fault;
    chat = {{"type", "text"}, {"text", StringAt(part, "text")}};
  } else if (type == "input_image") {
    if (Fault fault = RefuseUnknown(part, {"type", "image_url", "detail"}, path)) return fault;
    chat = {{"type", "image_url"}, {"image_url", {{"url", StringAt(part, "image_url")}}}};
    if (const Json* detail = Find(part, "detail")) chat["image_url"]["detail"] = *detail;
  } else if (type == "input_file") {
    if (Fault fault = RefuseUnknown(part, {"type", "file_data", "file_id", "filename"}, path)) return fault;
    chat = {{"type", "file"}, {"file", Json::object()}};
    for (const char* name : {"filename", "file_data", "file_id"}) {
      if (const Json* value = Find(part, name)) chat["file"][name] = *value;
    }
  } else if (type == "input_audio") {
    if (Fault fault = RefuseUnknown(part, {"type", "input_audio"}, path)) return fault;
    const Json* audio = Find(part, "input_audio");
    chat = {{"type", "input_audio"}, {"input_audio", audio == nullptr ? Json::object() : *audio}};
  } else {
    return Unsupported(absl::StrCat(path, ".type"),
                       "is none that is translated (input_text, input_image, input_file, input_audio, output_text)");
  }
  parts.push_back(std::move(chat));
  return std::nullopt;
}

Fault InputReader::AddAnswer(const Json& item, const std::string& path) {
  // A second message of one turn begins another message; so does what follows calls.
  if (turn_.contains("content") || turn_.contains("tool_calls")) EndTurn();
  const Json* content = Find(item, "content");
  if (content == nullptr) return Invalid(absl::StrCat(path, ".content"), "is missing");
  std::string text;
  std::string refusal;
  if (content->is_string()) text = content->get_ref<const std::string&>();
  for (size_t i = 0; content->is_array() && i < content->size(); ++i) {
    const Json& part = (*content)[i];
    if (StringAt(part, "type") == "refusal") {
      refusal += StringAt(part, "refusal");
      continue;
    }
    Json parts = Json::array();
    const std::string at = absl::StrCat(path, ".content[", i, "]");
    if (Fault fault = Part(part, at, parts)) return fault;
    if (!parts[0].contains("text")) return Unsupported(at, "is not text: the model's own messages are, here");
    text += StringAt(parts[0], "text");
  }
  turn_["content"] = std::move(text);
  if (!refusal.empty()) turn_["refusal"] = std::move(refusal);
  if (const Json* extra = FindObject(item, "extra_content")) turn_["extra_content"] = *extra;
  return std::nullopt;
}

Fault InputReader::AddMessage(const Json& item, const std::string& path) {
  if (Fault fault = RefuseUnknown(item, {"type", "role", "content", "id", "status", "phase", "extra_content"}, path)) {
    return fault;
  }
  const std::string role = StringAt(item, "role");
  if (role == "assistant") return AddAnswer(item, path);
  if (role != "user" && role != "system" && role != "developer") {
    return Unsupported(absl::StrCat(path, ".role"), "must be user, system, developer or assistant");
  }
  const Json* content = Find(item, "content");
  if (content == nullptr || (!content->is_string() && !content->is_array())) {
    return Invalid(absl::StrCat(path, ".content"), "is neither a string nor an array of parts");
  }
  Json message = {{"role", role}, {"content", *content}};
  if (content->is_array()) {
    message["content"] = Json::array();
    for (size_t i = 0; i < content->size(); ++i) {
      const std::string at = absl::StrCat(path, ".content[", i, "]");
      if (Fault fault = Part((*content)[i], at, message["content"])) return fault;
    }
  }
  Push(std::move(message));
  return std::nullopt;
}

Fault InputReader::AddCall(const Json& item, const std::string& path) {
  if (Fault fault = RefuseUnknown(
          item, {"type", "id", "call_id", "name", "arguments", "status", "caller", "extra_content"}, path)) {
    return fault;
  }
  Json call = {{"id", StringAt(item, "call_id")},
               {"type", "function"},
               {"function", {{"name", StringAt(item, "name")}, {"arguments", StringAt(item, "arguments")}}}};
  if (const Json* extra = FindObject(item, "extra_content")) call["extra_content"] = *extra;
  turn_["tool_calls"].push_back(std::move(call));
  return std::nullopt;
}

Fault InputReader::AddOutput(const Json& item, const std::string& path) {
  if (Fault fault = RefuseUnknown(item, {"type", "id", "call_id", "output", "status", "caller"}, path)) return fault;
  const Json* output = Find(item, "output");
  if (output == nullptr || (!output->is_string() && !output->is_array())) {
    return Invalid(absl::StrCat(path, ".output"), "is neither a string nor an array of parts");
  }
  Json message = {{"role", "tool"}, {"tool_call_id", StringAt(item, "call_id")}, {"content", *output}};
  if (output->is_array()) {
    message["content"] = Json::array();
    for (size_t i = 0; i < output->size(); ++i) {
      const std::string at = absl::StrCat(path, ".output[", i, "]");
      if (Fault fault = Part((*output)[i], at, message["content"])) return fault;
    }
  }
  Push(std::move(message));
  return std::nullopt;
}

// Reasoning encrypted by another provider is for nobody else to read; what it says in text goes on.
Fault InputReader::AddReasoning(const Json& item, const std::string& path) {
  if (Fault fault = RefuseUnknown(item, {"type", "id", "summary", "content", "encrypted_content", "status"}, path)) {
    return fault;
  }
  if (turn_.contains("content") || turn_.contains("tool_calls")) EndTurn();
  std::string text = StringAt(turn_, "reasoning_content");
  const auto add = [&](const char* name) {
    const Json* parts = FindArray(item, name);
    for (size_t i = 0; parts != nullptr && i < parts->size(); ++i) text += StringAt((*parts)[i], "text");
  };
  add("summary");
  add("content");
  if (!text.empty()) turn_["reasoning_content"] = std::move(text);
  const std::optional<Json> sealed = ParseJson(StringAt(item, "encrypted_content"));
  const Json* blocks = sealed ? FindArray(*sealed, kThinkingBlocks) : nullptr;
  for (size_t i = 0; blocks != nullptr && i < blocks->size(); ++i) turn_[kThinkingBlocks].push_back((*blocks)[i]);
  return std::nullopt;
}

Fault InputReader::Add(const Json& item, const std::string& path) {
  if (!item.is_object()) return Invalid(path, "is not an object");
  const std::string type = StringAt(item, "type", "message");
  if (type == "message") return AddMessage(item, path);
  if (type == "function_call") return AddCall(item, path);
  if (type == "function_call_output") return AddOutput(item, path);
  if (type == "reasoning") return AddReasoning(item, path);
  return Unsupported(absl::StrCat(path, ".type"),
                     "is none that is translated (message, function_call, function_call_output, reasoning)");
}

Fault AddInput(const Json& body, Json& chat) {
  InputReader reader;
  const Json* instructions = Find(body, "instructions");
  if (instructions != nullptr && !instructions->is_string()) {
    return Unsupported("instructions", "must be a string");
  }
  if (instructions != nullptr) reader.AddSystem(*instructions);
  const Json* input = Find(body, "input");
  if (input == nullptr || (!input->is_string() && !input->is_array())) {
    return Invalid("input", "is neither a string nor an array of items");
  }
  if (input->is_string()) reader.AddUser(*input);
  for (size_t i = 0; input->is_array() && i < input->size(); ++i) {
    if (Fault fault = reader.Add((*input)[i], absl::StrCat("input[", i, "]"))) return fault;
  }
  chat["messages"] = reader.Take();
  return std::nullopt;
}

Fault AddTools(const Json& body, Json& chat) {
  const Json* tools = Find(body, "tools");
  if (tools == nullptr) return std::nullopt;
  if (!tools->is_array()) return Invalid("tools", "is not an array");
  Json functions = Json::array();
  for (size_t i = 0; i < tools->size(); ++i) {
    const Json& tool = (*tools)[i];
    const std::string path = absl::StrCat("tools[", i, "]");
    if (StringAt(tool, "type") != "function") {
      return Unsupported(absl::StrCat(path, ".type"), "must be function: other tools run at OpenAI only");
    }
    if (Fault fault = RefuseUnknown(tool, {"type", "name", "description", "parameters", "strict"}, path)) return fault;
    Json function = Json::object();
    for (const char* name : {"name", "description", "parameters", "strict"}) {
      if (const Json* value = Find(tool, name)) function[name] = *value;
    }
    functions.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  if (!functions.empty()) chat["tools"] = std::move(functions);
  return std::nullopt;
}

Fault AddToolChoice(const Json& body, Json& chat) {
  const Json* choice = Find(body, "tool_choice");
  if (choice == nullptr) return std::nullopt;
  const std::string type = StringAt(*choice, "type");
  if (choice->is_string()) {
    chat["tool_choice"] = *choice;
  } else if (type == "function") {
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", StringAt(*choice, "name")}}}};
  } else if (type == "allowed_tools") {
    Json allowed = Json::array();
    const Json* tools = FindArray(*choice, "tools");
    for (size_t i = 0; tools != nullptr && i < tools->size(); ++i) {
      if (StringAt((*tools)[i], "type") != "function") {
        return Unsupported(absl::StrCat("tool_choice.tools[", i, "]"), "is no function");
      }
      allowed.push_back({{"type", "function"}, {"function", {{"name", StringAt((*tools)[i], "name")}}}});
    }
    chat["tool_choice"] = {{"type", "allowed_tools"},
                           {"allowed_tools", {{"mode", StringAt(*choice, "mode", "auto")}, {"tools", allowed}}}};
  } else {
    return Unsupported("tool_choice", "must be auto, none, required, a function or allowed_tools");
  }
  return std::nullopt;
}

Fault AddText(const Json& body, Json& chat) {
  const Json* text = Find(body, "text");
  if (text == nullptr) return std::nullopt;
  if (!text->is_object()) return Invalid("text", "is not an object");
  if (Fault fault = RefuseUnknown(*text, {"format", "verbosity"}, "text")) return fault;
  if (const Json* verbosity = Find(*text, "verbosity")) chat["verbosity"] = *verbosity;
  const Json* format = FindObject(*text, "format");
  if (format == nullptr) return std::nullopt;
  const std::string type = StringAt(*format, "type");
  if (type == "text") return std::nullopt;
  if (type == "json_object") {
    chat["response_format"] = {{"type", "json_object"}};
    return std::nullopt;
  }
  if (type != "json_schema") return Unsupported("text.format.type", "must be text, json_object or json_schema");
  if (Fault fault = RefuseUnknown(*format, {"type", "name", "description", "schema", "strict"}, "text.format")) {
    return fault;
  }
  Json schema = Json::object();
  for (const char* name : {"name", "description", "schema", "strict"}) {
    if (const Json* value = Find(*format, name)) schema[name] = *value;
  }
  chat["response_format"] = {{"type", "json_schema"}, {"json_schema", std::move(schema)}};
  return std::nullopt;
}

// Summaries are given whenever a provider tells its reasoning, asked for or not.
Fault AddReasoning(const Json& body, Json& chat) {
  const Json* reasoning = Find(body, "reasoning");
  if (reasoning == nullptr) return std::nullopt;
  if (!reasoning->is_object()) return Invalid("reasoning", "is not an object");
  if (Fault fault = RefuseUnknown(*reasoning, {"effort", "summary", "generate_summary"}, "reasoning")) return fault;
  if (const Json* effort = Find(*reasoning, "effort")) chat["reasoning_effort"] = *effort;
  return std::nullopt;
}

// Signed reasoning is always given as encrypted_content; of logprobs `include` says whether.
Fault AddInclude(const Json& body, Json& chat) {
  if (const Json* include = FindArray(body, "include")) {
    for (size_t i = 0; i < include->size(); ++i) {
      if ((*include)[i] == "message.output_text.logprobs") {
        chat["logprobs"] = true;
      } else if ((*include)[i] != "reasoning.encrypted_content") {
        return Unsupported(absl::StrCat("include[", i, "]"),
                           "must be reasoning.encrypted_content or message.output_text.logprobs");
      }
    }
  }
  const Json* top = Find(body, "top_logprobs");
  if (top == nullptr || *top == 0) return std::nullopt;
  chat["logprobs"] = true;
  chat["top_logprobs"] = *top;
  return std::nullopt;
}

template <typename Table>
bool Names(const Table& table, const std::string& name) {
  return std::any_of(std::begin(table), std::end(table), [&](const auto& entry) { return entry.name == name; });
}

Fault Write(const Json& body, Json& chat) {
  for (const Refused& refused : kRefused) {
    const Json* value = Find(body, refused.name);
    if (value != nullptr && DumpJson(*value) != refused.harmless) return Unsupported(refused.name, refused.why);
  }
  for (const Renamed& renamed : kRenamed) {
    if (const Json* value = Find(body, renamed.name)) chat[renamed.chat] = *value;
  }
  if (Fault fault = AddInput(body, chat)) return fault;
  if (Fault fault = AddTools(body, chat)) return fault;
  if (Fault fault = AddToolChoice(body, chat)) return fault;
  if (Fault fault = AddText(body, chat)) return fault;
  if (Fault fault = AddReasoning(body, chat)) return fault;
  if (Fault fault = AddInclude(body, chat)) return fault;
  if (const Json* stream = Find(body, "stream"); stream != nullptr && *stream == true) {
    chat["stream_options"] = {{"include_usage", true}};
  }
  for (const auto& [name, value] : body.get_ref<const Json::object_t&>()) {
    const bool handled = std::find(std::begin(kHandled), std::end(kHandled), name) != std::end(kHandled);
    if (!value.is_null() && !handled && !Names(kRenamed, name) && !Names(kRefused, name)) AddMember(chat, name, value);
  }
  return std::nullopt;
}

}  // namespace

std::variant<std::string, BodyFault> ResponsesRequest(std::string_view body) {
  const std::optional<Json> parsed = ParseJson(body);
  if (!parsed || !parsed->is_object()) return BodyFault{400, "invalid_json", "the body is not a JSON object", ""};
  Json chat = Json::object();
  if (Fault fault = Write(*parsed, chat)) return *std::move(fault);
  return DumpJson(chat);
}

}  // namespace signalbox
