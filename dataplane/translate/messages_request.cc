#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/chat_request.h"
#include "dataplane/translate/claude_models.h"
#include "dataplane/translate/json_members.h"
#include "dataplane/translate/messages_wire.h"

namespace signalbox {
namespace {

constexpr std::string_view kProvider = "Anthropic's Messages";

class MessagesBlocks : public BlockFormat {
 public:
  Json Text(std::string text) override { return {{"type", "text"}, {"text", std::move(text)}}; }

  Json Image(const Json& image_url, const std::string& path, FirstFault& fault) override {
    const std::string url = StringAt(image_url, "url");
    if (url.empty()) fault.Refuse(Invalid(path + ".url", "is missing"));
    // Anthropic looks at every image in full, which `auto` and `high` allow.
    if (StringAt(image_url, "detail") == "low") {
      fault.Refuse(Unsupported(path + ".detail", "`low` has no counterpart in Anthropic's Messages"));
    }
    return {{"type", "image"}, {"source", Source(url)}};
  }

  Json File(const Json& file, const std::string& path, FirstFault& fault) override {
    Json block = {{"type", "document"}};
    const std::string data = StringAt(file, "file_data");
    if (const std::optional<DataUrl> url = ParseDataUrl(data)) {
      if (absl::StartsWith(std::string(url->media_type), "image/")) {
        return {{"type", "image"}, {"source", Source(data)}};
      }
      if (url->media_type == "text/plain") {
        std::string text;
        if (!absl::Base64Unescape(std::string(url->data), &text)) {
          fault.Refuse(Invalid(path + ".file_data", "is not base64"));
        }
        block["source"] = {{"type", "text"}, {"media_type", "text/plain"}, {"data", std::move(text)}};
      } else {
        block["source"] = Source(data);
      }
    } else if (std::string id = StringAt(file, "file_id"); !id.empty()) {
      block["source"] = {{"type", "file"}, {"file_id", std::move(id)}};
    } else {
      fault.Refuse(Invalid(path + ".file_data", "is not a base64 data URL"));
    }
    if (std::string name = StringAt(file, "filename"); !name.empty()) block["title"] = std::move(name);
    return block;
  }

  Json ToolUse(std::string id, std::string name, Json input) override {
    return {{"type", "tool_use"}, {"id", std::move(id)}, {"name", std::move(name)}, {"input", std::move(input)}};
  }

  Json ToolResult(std::string id, Json content, bool is_error) override {
    Json block = {{"type", "tool_result"}, {"tool_use_id", std::move(id)}};
    if (!content.empty()) block["content"] = std::move(content);
    if (is_error) block["is_error"] = true;
    return block;
  }

  Json Thinking(const Json& block) override { return block; }

  void MarkCache(Json& blocks, const Json& cache_control) override { blocks.back()["cache_control"] = cache_control; }

 private:
  static Json Source(const std::string& url) {
    const std::optional<DataUrl> data = ParseDataUrl(url);
    if (!data) return {{"type", "url"}, {"url", url}};
    // A name that is none, and that browsers take.
    const std::string type(data->media_type == "image/jpg" ? "image/jpeg" : data->media_type);
    return {{"type", "base64"}, {"media_type", type}, {"data", std::string(data->data)}};
  }
};

class MessagesWriter {
 public:
  explicit MessagesWriter(const Json& chat) : chat_(chat), model_(ReadClaudeModel(StringAt(chat, "model"))) {}

  std::variant<std::string, BodyFault> Write() {
    RefuseWithoutCounterpart(chat_, kProvider, fault_);
    out_["model"] = StringAt(chat_, "model");
    out_["max_tokens"] = 0;  // in its place; known after thinking is
    if (const Json* stream = Find(chat_, "stream")) out_["stream"] = *stream;
    WriteSampling();
    WriteConversation();
    WriteThinking();
    WriteTools();
    WriteUser();
    WriteServiceTier();
    PassTheRest();
    if (fault_.any()) return fault_.fault();
    return DumpJson(out_);
  }

 private:
  void WriteSampling() {
    if (const Json* number = ReadNumber(chat_, "temperature", 1, "goes from 0 to 1 in Anthropic's Messages", fault_)) {
      out_["temperature"] = *number;
    }
    if (const Json* number = ReadNumber(chat_, "top_p", 1, "goes from 0 to 1", fault_)) out_["top_p"] = *number;
    if (Json stops = ReadStops(chat_, fault_); !stops.empty()) out_["stop_sequences"] = std::move(stops);
  }

  void WriteConversation() {
    MessagesBlocks blocks;
    Conversation conversation = ReadConversation(chat_, blocks, fault_);
    if (!conversation.system.empty()) out_["system"] = Shortest(std::move(conversation.system));
    for (Json& turn : conversation.turns) turn["content"] = Shortest(std::move(turn["content"]));
    out_["messages"] = std::move(conversation.turns);
  }

  // A lone plain text is written as a string, as clients write it.
  static Json Shortest(Json blocks) {
    if (blocks.size() != 1 || blocks[0].size() != 2 || StringAt(blocks[0], "type") != "text") return blocks;
    return blocks[0]["text"];
  }

  void WriteThinking() {
    const std::string effort = ReadEffort(chat_, fault_);
    const std::optional<int64_t> cap = ReadOutputCap(chat_);
    Thinking asked;
    // The client's own `thinking` is stronger; it is passed on with the rest.
    if (Find(chat_, "thinking") == nullptr) {
      bool fits = true;
      if (!effort.empty() && effort != "none" && !model_.reasons()) {
        fault_.Refuse(Unsupported("reasoning_effort", "has no counterpart: this model does not reason"));
      } else {
        asked = ThinkingFor(model_, effort, cap, fits);
      }
      if (!fits) {
        fault_.Refuse(
            Unsupported("reasoning_effort",
                        "needs an output cap of more than 1024 tokens with this model: its reasoning takes at "
                        "least that many"));
      }
      if (!asked.thinking.is_null()) out_["thinking"] = asked.thinking;
    } else if (!effort.empty() && !model_.adaptive()) {
      fault_.Refuse(Invalid("reasoning_effort", "says what `thinking` says already: leave one out"));
    } else if (!effort.empty() && effort != "none") {
      asked.effort = effort == "minimal" ? "low" : effort;
    }
    thinks_ = StringAt(out_.contains("thinking") ? out_["thinking"] : chat_.value("thinking", Json()), "type",
                       "disabled") != "disabled";
    if (!asked.effort.is_null()) out_["output_config"]["effort"] = asked.effort;
    out_["max_tokens"] = cap.value_or(DefaultMaxTokens(model_) + asked.budget);
  }

  void WriteTools() {
    Json tools = Json::array();
    for (const ChatTool& tool : ReadTools(chat_, /*others_pass=*/true, fault_)) tools.push_back(WriteTool(tool));
    const ToolChoice choice = ReadToolChoice(chat_, fault_);
    Json written = WriteToolChoice(choice, !tools.empty());
    const ResponseFormat format = ReadResponseFormat(chat_, fault_);
    if (format.kind == ResponseFormat::kJsonSchema && model_.structured_output()) {
      out_["output_config"]["format"] = {{"type", "json_schema"}, {"schema", DescribedSchema(format)}};
    } else if (format.kind != ResponseFormat::kText && choice.kind != ToolChoice::kNamed) {
      AskByTool(format, choice, tools, written);
    }
    if (!tools.empty()) out_["tools"] = std::move(tools);
    if (!written.is_null()) out_["tool_choice"] = std::move(written);
  }

  static Json WriteTool(const ChatTool& tool) {
    if (tool.function == nullptr) return *tool.tool;
    Json written = {{"name", tool.name}};
    if (const Json* description = Find(*tool.function, "description")) written["description"] = *description;
    written["input_schema"] = SchemaOf(*tool.function);
    if (const Json* strict = Find(*tool.function, "strict"); strict != nullptr && *strict == true) {
      written["strict"] = true;
    }
    if (const Json* cache = Find(*tool.tool, "cache_control")) written["cache_control"] = *cache;
    return written;
  }

  static Json WriteToolChoice(const ToolChoice& choice, bool has_tools) {
    Json written;
    switch (choice.kind) {
      case ToolChoice::kUnsaid:
        if (has_tools && !choice.parallel) written = {{"type", "auto"}};
        break;
      case ToolChoice::kAuto:
        written = {{"type", "auto"}};
        break;
      case ToolChoice::kNone:
        return {{"type", "none"}};
      case ToolChoice::kRequired:
        written = {{"type", "any"}};
        break;
      case ToolChoice::kNamed:
        written = {{"type", "tool"}, {"name", choice.name}};
        break;
    }
    if (!written.is_null() && !choice.parallel) written["disable_parallel_tool_use"] = true;
    return written;
  }

  static Json DescribedSchema(const ResponseFormat& format) {
    Json schema = format.kind == ResponseFormat::kJsonSchema ? format.schema : Json{{"type", "object"}};
    if (!format.description.empty() && Find(schema, "description") == nullptr) {
      schema["description"] = format.description;
    }
    return schema;
  }

  // JSON without a schema, and models before structured output: the answer is the input of a tool, which the answer's
  // translation knows by its name. A model that thinks cannot be forced to call one; it is told to.
  void AskByTool(const ResponseFormat& format, const ToolChoice& choice, Json& tools, Json& written) {
    if (choice.kind == ToolChoice::kNone) tools = Json::array();
    const bool others = !tools.empty();
    tools.push_back(Json{{"name", std::string(kAnswerTool)},
                         {"description", std::string(kAnswerToolDescription)},
                         {"input_schema", DescribedSchema(format)}});
    if (thinks_) {
      written = {{"type", "auto"}};
    } else if (others) {
      written = {{"type", "any"}};
    } else {
      written = {{"type", "tool"}, {"name", std::string(kAnswerTool)}, {"disable_parallel_tool_use", true}};
    }
    if (others && !choice.parallel) written["disable_parallel_tool_use"] = true;
  }

  // `safety_identifier` is the newer name of `user`.
  void WriteUser() {
    std::string user = StringAt(chat_, "safety_identifier", StringAt(chat_, "user"));
    if (!user.empty()) out_["metadata"] = {{"user_id", std::move(user)}};
  }

  void WriteServiceTier() {
    const std::string tier = StringAt(chat_, "service_tier");
    if (tier.empty()) return;
    if (tier == "auto" || tier == "standard_only") {
      out_["service_tier"] = tier;
    } else if (tier == "default") {
      out_["service_tier"] = "standard_only";
    } else {
      fault_.Refuse(Unsupported("service_tier", "has no counterpart unless it is auto or default"));
    }
  }

  // What is not OpenAI's is the client's word to Anthropic (top_k, thinking, container, output_config …).
  void PassTheRest() {
    const Json* config = FindObject(chat_, "output_config");
    if (config != nullptr && !config->empty()) {
      MemberSetter own(out_["output_config"]);
      for (const auto& [name, member] : config->items()) own.Set(name, member);
    }
    MemberSetter rest(out_);
    for (const auto& [key, value] : chat_.items()) {
      if (IsKnownChatMember(key) || value.is_null()) continue;
      if (key == "output_config" && config != nullptr) continue;
      if (rest.Has(key)) {
        fault_.Refuse(Invalid(key, "says what another member of the request says already: leave one out"));
      } else {
        rest.Set(key, value);
      }
    }
  }

  const Json& chat_;
  const ClaudeModel model_;
  FirstFault fault_;
  Json out_ = Json::object();
  bool thinks_ = false;
};

}  // namespace

std::variant<std::string, BodyFault> MessagesRequest(std::string_view chat_body) {
  const std::optional<Json> chat = ParseJson(chat_body);
  if (!chat || !chat->is_object()) return BodyFault{400, "invalid_json", "the body is not one valid JSON object", ""};
  return MessagesWriter(*chat).Write();
}

}  // namespace signalbox
