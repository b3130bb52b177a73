#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/chat_request.h"
#include "dataplane/translate/json_members.h"
#include "dataplane/translate/messages_client_wire.h"

namespace signalbox {
namespace {

constexpr std::string_view kNoCounterpart = "has no counterpart at the model's provider, which is not Anthropic's API";

std::string At(const std::string& list, size_t index) { return absl::StrCat(list, "[", index, "]"); }

// One request, in the order of a chat completion.
class ChatWriter {
 public:
  explicit ChatWriter(const Json& source) : source_(source) {}

  std::variant<std::string, BodyFault> Write() {
    out_["model"] = StringAt(source_, "model");
    out_["messages"] = Json::array();
    if (const Json* system = Find(source_, "system")) WriteSystem(*system, "system");
    WriteMessages();
    WriteLimits();
    WriteTools();
    WriteToolChoice();
    WriteOutput();
    WriteThinking();
    WriteMetadata();
    PassTheRest();
    if (fault_.any()) return fault_.fault();
    return DumpJson(out_);
  }

 private:
  void WriteSystem(const Json& content, const std::string& path) {
    AddMessage("system", Parts(content, path, /*text_only=*/true));
  }

  void WriteMessages() {
    const Json* messages = FindArray(source_, "messages");
    if (messages == nullptr) return fault_.Refuse(Invalid("messages", "is missing or not an array"));
    for (size_t i = 0; i < messages->size(); ++i) {
      const Json& message = (*messages)[i];
      const std::string path = At("messages", i);
      const std::string role = StringAt(message, "role");
      const Json* content = Find(message, "content");
      if (content == nullptr || !(content->is_string() || content->is_array())) {
        return fault_.Refuse(Invalid(path + ".content", "is neither a string nor an array of blocks"));
      }
      if (role == "user") {
        WriteUser(*content, path + ".content");
      } else if (role == "assistant") {
        WriteAssistant(*content, path + ".content");
      } else if (role == "system") {
        WriteSystem(*content, path + ".content");
      } else {
        return fault_.Refuse(Invalid(path + ".role", "is not user, assistant or system"));
      }
    }
  }

  // Results of tools are messages of their own, before what the user says beside them.
  void WriteUser(const Json& content, const std::string& path) {
    if (content.is_string()) return AddMessage("user", Parts(content, path, false));
    Json parts = Json::array();
    Json images = Json::array();
    for (size_t i = 0; i < content.size(); ++i) {
      if (StringAt(content[i], "type") == "tool_result") {
        WriteToolResult(content[i], At(path, i), images);
      } else {
        AddPart(content[i], At(path, i), /*text_only=*/false, parts);
      }
    }
    for (Json& part : parts) images.push_back(std::move(part));
    if (!images.empty()) AddMessage("user", std::move(images));
  }

  // Chat completions know text in a tool's result only: other parts follow in the user's message.
  void WriteToolResult(const Json& block, const std::string& path, Json& beside) {
    const std::string id = StringAt(block, "tool_use_id");
    const Json* content = Find(block, "content");
    Json parts = content == nullptr ? Json::array() : Parts(*content, path + ".content", false);
    Json texts = Json::array();
    Json others = Json::array();
    for (Json& part : parts) (StringAt(part, "type") == "text" ? texts : others).push_back(std::move(part));
    if (!others.empty()) {
      const std::string what = absl::StrCat("What tool call ", id, " returned besides text:");
      beside.push_back(Json{{"type", "text"}, {"text", what}});
      for (Json& part : others) beside.push_back(std::move(part));
      texts.push_back(Json{{"type", "text"}, {"text", "[The rest follows in the user's message.]"}});
    }
    // A failure has no member of its own in chat completions, so the text says it.
    const Json* failed = Find(block, "is_error");
    if (failed != nullptr && *failed == true) SayFailure(texts);
    Json message = {{"role", "tool"}, {"tool_call_id", id}, {"content", Shortest(std::move(texts))}};
    if (const Json* cache = Find(block, "cache_control")) message["cache_control"] = *cache;
    out_["messages"].push_back(std::move(message));
  }

  static void SayFailure(Json& texts) {
    if (texts.empty()) texts.push_back(Json{{"type", "text"}, {"text", ""}});
    std::string text = StringAt(texts[0], "text");
    if (absl::StartsWithIgnoreCase(text, "error")) return;
    texts[0]["text"] = text.empty() ? "Error" : absl::StrCat("Error: ", text);
  }

  void WriteAssistant(const Json& content, const std::string& path) {
    Json message = {{"role", "assistant"}, {"content", nullptr}};
    Json parts = Json::array();
    Json calls = Json::array();
    Json thinking = Json::array();
    if (content.is_string()) parts = Parts(content, path, true);
    for (size_t i = 0; content.is_array() && i < content.size(); ++i) {
      const Json& block = content[i];
      const std::string type = StringAt(block, "type");
      if (type == "tool_use") {
        const Json* input = FindObject(block, "input");
        calls.push_back(
            Json{{"id", StringAt(block, "id")},
                 {"type", "function"},
                 {"function",
                  {{"name", StringAt(block, "name")}, {"arguments", input == nullptr ? "{}" : DumpJson(*input)}}}});
      } else if (type == "thinking" || type == "redacted_thinking") {
        thinking.push_back(block);
      } else {
        AddPart(block, At(path, i), /*text_only=*/true, parts);
      }
    }
    if (!parts.empty()) message["content"] = Shortest(std::move(parts));
    if (!thinking.empty()) message["thinking_blocks"] = std::move(thinking);
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    out_["messages"].push_back(std::move(message));
  }

  Json Parts(const Json& content, const std::string& path, bool text_only) {
    Json parts = Json::array();
    if (content.is_string()) {
      parts.push_back(Json{{"type", "text"}, {"text", content}});
    } else if (content.is_array()) {
      for (size_t i = 0; i < content.size(); ++i) AddPart(content[i], At(path, i), text_only, parts);
    } else {
      fault_.Refuse(Invalid(path, "is neither a string nor an array of blocks"));
    }
    return parts;
  }

  void AddPart(const Json& block, const std::string& path, bool text_only, Json& parts) {
    const std::string type = StringAt(block, "type");
    Json part;
    if (type == "text") {
      part = {{"type", "text"}, {"text", StringAt(block, "text")}};
    } else if (type == "image" && !text_only) {
      part = Image(block, path);
    } else if (type == "document" && !text_only) {
      part = Document(block, path);
    } else {
      return fault_.Refuse(Unsupported(path + ".type", absl::StrCat("`", type, "` ", std::string(kNoCounterpart))));
    }
    if (const Json* cache = Find(block, "cache_control")) part["cache_control"] = *cache;
    parts.push_back(std::move(part));
  }

  Json Image(const Json& block, const std::string& path) {
    const Json* source = FindObject(block, "source");
    const std::string type = source == nullptr ? "" : StringAt(*source, "type");
    std::string url;
    if (type == "base64") url = DataUrlOf(*source);
    if (type == "url") url = StringAt(*source, "url");
    if (url.empty()) fault_.Refuse(Unsupported(path + ".source", kNoCounterpart));
    return {{"type", "image_url"}, {"image_url", {{"url", std::move(url)}}}};
  }

  Json Document(const Json& block, const std::string& path) {
    const Json* source = FindObject(block, "source");
    const std::string type = source == nullptr ? "" : StringAt(*source, "type");
    Json file = Json::object();
    if (std::string title = StringAt(block, "title"); !title.empty()) file["filename"] = std::move(title);
    if (type == "base64") {
      file["file_data"] = DataUrlOf(*source);
    } else if (type == "text") {
      file["file_data"] = absl::StrCat("data:text/plain;base64,", absl::Base64Escape(StringAt(*source, "data")));
    } else if (type == "file") {
      file["file_id"] = StringAt(*source, "file_id");
    } else {
      fault_.Refuse(Unsupported(path + ".source", kNoCounterpart));
    }
    if (const Json* cites = FindObject(block, "citations");
        cites != nullptr && cites->value("enabled", Json()) == true) {
      fault_.Refuse(Unsupported(path + ".citations", kNoCounterpart));
    }
    if (Find(block, "context") != nullptr) fault_.Refuse(Unsupported(path + ".context", kNoCounterpart));
    return {{"type", "file"}, {"file", std::move(file)}};
  }

  static std::string DataUrlOf(const Json& source) {
    return absl::StrCat("data:", StringAt(source, "media_type"), ";base64,", StringAt(source, "data"));
  }

  static Json Shortest(Json parts) {
    if (parts.empty()) return "";
    if (parts.size() != 1 || parts[0].size() != 2 || StringAt(parts[0], "type") != "text") return parts;
    return parts[0]["text"];
  }

  void AddMessage(std::string_view role, Json parts) {
    out_["messages"].push_back(Json{{"role", std::string(role)}, {"content", Shortest(std::move(parts))}});
  }

  void WriteLimits() {
    if (const Json* cap = Find(source_, "max_tokens")) {
      if (*cap == 0) fault_.Refuse(Unsupported("max_tokens", "of 0 (only filling a cache) has no counterpart"));
      out_["max_completion_tokens"] = *cap;
    }
    if (const Json* stops = Find(source_, "stop_sequences"); stops != nullptr && !stops->empty()) {
      out_["stop"] = *stops;
    }
    for (const char* key : {"temperature", "top_p"}) {
      if (const Json* value = Find(source_, key)) out_[key] = *value;
    }
    if (const Json* stream = Find(source_, "stream")) {
      out_["stream"] = *stream;
      if (*stream == true) out_["stream_options"] = {{"include_usage", true}};
    }
    const std::string tier = StringAt(source_, "service_tier");
    if (!tier.empty()) out_["service_tier"] = tier == "standard_only" ? "default" : tier;
  }

  void WriteTools() {
    const Json* tools = FindArray(source_, "tools");
    if (tools == nullptr || tools->empty()) return;
    out_["tools"] = Json::array();
    for (size_t i = 0; i < tools->size(); ++i) WriteTool((*tools)[i], At("tools", i));
  }

  void WriteTool(const Json& tool, const std::string& path) {
    const std::string type = StringAt(tool, "type", "custom");
    if (type != "custom") {
      return fault_.Refuse(Unsupported(path + ".type", absl::StrCat("`", type, "` ", std::string(kNoCounterpart))));
    }
    Json function = {{"name", StringAt(tool, "name")}};
    Json written = {{"type", "function"}, {"function", nullptr}};
    if (!tool.is_object()) return fault_.Refuse(Invalid(path, "is not an object"));
    for (const auto& [key, value] : tool.items()) {
      // That a tool's input may come early says nothing about what comes.
      if (key == "name" || key == "type" || key == "eager_input_streaming" || value.is_null()) continue;
      if (key == "description" || key == "strict") {
        function[key] = value;
      } else if (key == "input_schema") {
        function["parameters"] = value;
      } else if (key == "cache_control") {
        written[key] = value;
      } else if (value != false) {
        fault_.Refuse(Unsupported(absl::StrCat(path, ".", key), kNoCounterpart));
      }
    }
    written["function"] = std::move(function);
    out_["tools"].push_back(std::move(written));
  }

  void WriteToolChoice() {
    const Json* choice = FindObject(source_, "tool_choice");
    if (choice == nullptr) return;
    const std::string type = StringAt(*choice, "type");
    if (type == "auto" || type == "none") {
      out_["tool_choice"] = type;
    } else if (type == "any") {
      out_["tool_choice"] = "required";
    } else if (type == "tool") {
      out_["tool_choice"] = {{"type", "function"}, {"function", {{"name", StringAt(*choice, "name")}}}};
    } else {
      fault_.Refuse(Invalid("tool_choice.type", "is not auto, any, tool or none"));
    }
    const Json* alone = Find(*choice, "disable_parallel_tool_use");
    if (alone != nullptr && *alone == true) out_["parallel_tool_calls"] = false;
  }

  // `output_format` is the name it had before `output_config.format`.
  void WriteOutput() {
    const Json* config = FindObject(source_, "output_config");
    const Json* format = config == nullptr ? nullptr : FindObject(*config, "format");
    if (format == nullptr) format = FindObject(source_, "output_format");
    if (format != nullptr) {
      const Json* schema = FindObject(*format, "schema");
      if (StringAt(*format, "type") != "json_schema" || schema == nullptr) {
        return fault_.Refuse(Invalid("output_config.format", "is not a json_schema with its schema"));
      }
      out_["response_format"] = {{"type", "json_schema"},
                                 {"json_schema", {{"name", "answer"}, {"strict", true}, {"schema", *schema}}}};
    }
    if (config == nullptr) return;
    for (const auto& [key, value] : config->items()) {
      if (key == "effort" && value.is_string()) out_["reasoning_effort"] = value;
      if (key != "effort" && key != "format" && !value.is_null()) {
        fault_.Refuse(Unsupported(absl::StrCat("output_config.", key), kNoCounterpart));
      }
    }
  }

  void WriteThinking() {
    const Json* thinking = FindObject(source_, "thinking");
    if (thinking == nullptr) return;
    const std::string type = StringAt(*thinking, "type");
    if (type == "disabled") {
      out_["reasoning_effort"] = "none";
    } else if (type == "adaptive") {
      if (!out_.contains("reasoning_effort")) out_["reasoning_effort"] = "high";  // what it is without a word
    } else if (type == "enabled") {
      const int64_t budget = CountAt(*thinking, "budget_tokens").value_or(0);
      if (!out_.contains("reasoning_effort")) {
        out_["reasoning_effort"] = budget <= 4'096 ? "low" : budget <= 12'288 ? "medium" : "high";
      }
    } else {
      fault_.Refuse(Unsupported("thinking.type", absl::StrCat("`", type, "` ", std::string(kNoCounterpart))));
    }
  }

  void WriteMetadata() {
    const Json* metadata = FindObject(source_, "metadata");
    if (metadata == nullptr) return;
    Json rest = Json::object();
    for (const auto& [key, value] : metadata->items()) {
      if (value.is_null()) continue;
      if (key == "user_id") {
        out_["user"] = value;
      } else {
        AddMember(rest, key, value);
      }
    }
    if (!rest.empty()) out_["metadata"] = std::move(rest);
  }

  void PassTheRest() {
    MemberSetter rest(out_);
    for (const auto& [key, value] : source_.items()) {
      constexpr std::string_view kTaken[] = {"model",          "system",      "messages",    "max_tokens",
                                             "stop_sequences", "temperature", "top_p",       "stream",
                                             "service_tier",   "tools",       "tool_choice", "output_config",
                                             "output_format",  "thinking",    "metadata"};
      constexpr std::string_view kAnthropics[] = {"container",     "mcp_servers", "context_management",
                                                  "inference_geo", "diagnostics", "thread"};
      if (value.is_null() || std::find(std::begin(kTaken), std::end(kTaken), key) != std::end(kTaken)) continue;
      if (key == "speed" && value == "standard") continue;
      if (key == "speed" || std::find(std::begin(kAnthropics), std::end(kAnthropics), key) != std::end(kAnthropics)) {
        fault_.Refuse(Unsupported(key, kNoCounterpart));
      } else if (!rest.Has(key)) {
        rest.Set(key, value);
      }
    }
  }

  const Json& source_;
  FirstFault fault_;
  Json out_ = Json::object();
};

}  // namespace

std::variant<std::string, BodyFault> ChatFromMessages(std::string_view body) {
  const std::optional<Json> source = ParseJson(body);
  if (!source || !source->is_object()) {
    return BodyFault{400, "invalid_json", "the body is not one valid JSON object", ""};
  }
  return ChatWriter(*source).Write();
}

}  // namespace signalbox
