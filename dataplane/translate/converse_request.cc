#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/chat_request.h"
#include "dataplane/translate/claude_models.h"
#include "dataplane/translate/converse_blocks.h"
#include "dataplane/translate/converse_wire.h"
#include "dataplane/translate/json_members.h"

namespace signalbox {
namespace {

constexpr std::string_view kProvider = "Bedrock's Converse";

bool Names(std::string_view model, std::initializer_list<std::string_view> families) {
  return std::any_of(families.begin(), families.end(),
                     [&](std::string_view family) { return model.find(family) != std::string_view::npos; });
}

class ConverseWriter {
 public:
  explicit ConverseWriter(const Json& chat)
      : chat_(chat), name_(StringAt(chat, "model")), claude_(ReadClaudeModel(name_)) {}

  std::variant<std::string, BodyFault> Write() {
    RefuseWithoutCounterpart(chat_, kProvider, fault_);
    ConverseBlocks blocks;
    Conversation conversation = ReadConversation(chat_, blocks, fault_);
    out_["messages"] = std::move(conversation.turns);
    if (!conversation.system.empty()) out_["system"] = std::move(conversation.system);
    WriteInference();
    WriteReasoning();
    WriteTools(blocks.called_tools());
    WriteTags();
    PassTheRest();
    if (!inference_.empty()) out_["inferenceConfig"] = std::move(inference_);
    if (!additional_.empty()) out_["additionalModelRequestFields"] = std::move(additional_);
    if (fault_.any()) return fault_.fault();
    return DumpJson(out_);
  }

 private:
  void WriteInference() {
    if (const std::optional<int64_t> cap = ReadOutputCap(chat_)) inference_["maxTokens"] = *cap;
    if (const Json* number = ReadNumber(chat_, "temperature", 1, "goes from 0 to 1 in Bedrock's Converse", fault_)) {
      inference_["temperature"] = *number;
    }
    if (const Json* number = ReadNumber(chat_, "top_p", 1, "goes from 0 to 1", fault_)) inference_["topP"] = *number;
    if (Json stops = ReadStops(chat_, fault_); !stops.empty()) inference_["stopSequences"] = std::move(stops);
  }

  // Converse has no word for it, so each family is asked in its own.
  void WriteReasoning() {
    const std::string effort = ReadEffort(chat_, fault_);
    if (effort.empty()) return;
    if (claude_.is_claude) return WriteClaudeReasoning(effort);
    if (effort == "none" && !Names(name_, {"gpt-oss"})) return;  // nothing was asked for
    if (Names(name_, {"gpt-oss"})) {
      additional_["reasoning_effort"] = effort;
    } else if (Names(name_, {"nova-2"})) {
      const bool known = effort == "low" || effort == "medium" || effort == "high";
      if (!known) fault_.Refuse(Unsupported("reasoning_effort", "is low, medium or high with Amazon Nova"));
      additional_["reasoningConfig"] = {{"type", "enabled"}, {"maxReasoningEffort", effort}};
    } else {
      fault_.Refuse(Unsupported("reasoning_effort", "has no counterpart in Bedrock's Converse for this model"));
    }
  }

  void WriteClaudeReasoning(const std::string& effort) {
    if (effort != "none" && !claude_.reasons()) {
      return fault_.Refuse(Unsupported("reasoning_effort", "has no counterpart: this model does not reason"));
    }
    if (Find(chat_, "thinking") != nullptr) return;  // the client's own word, passed on below
    const std::optional<int64_t> cap = ReadOutputCap(chat_);
    bool fits = true;
    Thinking asked = ThinkingFor(claude_, effort, cap, fits);
    if (!fits) {
      return fault_.Refuse(Unsupported("reasoning_effort",
                                       "needs an output cap of more than 1024 tokens with this model: its reasoning "
                                       "takes at least that many"));
    }
    thinks_ = !asked.thinking.is_null() && StringAt(asked.thinking, "type") != "disabled";
    if (!asked.thinking.is_null()) additional_["thinking"] = std::move(asked.thinking);
    if (!asked.effort.is_null()) additional_["output_config"] = {{"effort", std::move(asked.effort)}};
    if (asked.budget > 0 && !cap) inference_["maxTokens"] = DefaultMaxTokens(claude_) + asked.budget;
  }

  void WriteTools(bool called_tools) {
    Json tools = Json::array();
    for (const ChatTool& tool : ReadTools(chat_, /*others_pass=*/false, fault_)) {
      tools.push_back(WriteTool(*tool.function));
      if (const Json* cache = Find(*tool.tool, "cache_control")) tools.push_back(CachePoint(*cache));
    }
    const ToolChoice choice = ReadToolChoice(chat_, fault_);
    if (choice.kind == ToolChoice::kNone) {
      // Without tools nothing can be called, but a conversation in which some were called needs them.
      if (called_tools)
        fault_.Refuse(Unsupported("tool_choice", "`none` has no counterpart in Bedrock once tools were called"));
      tools = Json::array();
    }
    Json written = WriteChoice(choice, !tools.empty());
    WriteFormat(choice, tools, written);
    if (tools.empty()) return;
    out_["toolConfig"] = {{"tools", std::move(tools)}};
    if (!written.is_null()) out_["toolConfig"]["toolChoice"] = std::move(written);
  }

  static Json WriteTool(const Json& function) {
    Json spec = {{"name", StringAt(function, "name")}};
    if (const Json* description = Find(function, "description")) spec["description"] = *description;
    spec["inputSchema"] = {{"json", SchemaOf(function)}};
    if (const Json* strict = Find(function, "strict"); strict != nullptr && *strict == true) spec["strict"] = true;
    return {{"toolSpec", std::move(spec)}};
  }

  Json WriteChoice(const ToolChoice& choice, bool has_tools) {
    Json written;
    if (choice.kind == ToolChoice::kAuto) written = {{"auto", Json::object()}};
    if (choice.kind == ToolChoice::kRequired) written = {{"any", Json::object()}};
    if (choice.kind == ToolChoice::kNamed) written = {{"tool", {{"name", choice.name}}}};
    if (choice.parallel || !has_tools) return written;
    if (!claude_.is_claude) {
      fault_.Refuse(Unsupported("parallel_tool_calls", "`false` has no counterpart in Bedrock for this model"));
      return written;
    }
    // Converse has no word for it; Anthropic's choice says both, and stands for Converse's.
    Json anthropic = {{"type", choice.kind == ToolChoice::kRequired ? "any"
                               : choice.kind == ToolChoice::kNamed  ? "tool"
                                                                    : "auto"}};
    if (choice.kind == ToolChoice::kNamed) anthropic["name"] = choice.name;
    anthropic["disable_parallel_tool_use"] = true;
    additional_["tool_choice"] = std::move(anthropic);
    return nullptr;
  }

  // JSON by a schema has a place of its own where the model can; else, and without a schema, the answer is the input of
  // a tool, which the answer's translation knows by its name.
  void WriteFormat(const ToolChoice& choice, Json& tools, Json& written) {
    ResponseFormat format = ReadResponseFormat(chat_, fault_);
    if (format.kind == ResponseFormat::kText || choice.kind == ToolChoice::kNamed) return;
    const bool by_schema = format.kind == ResponseFormat::kJsonSchema;
    const bool has_place =
        claude_.is_claude ? claude_.structured_output() : !Names(name_, {"nova", "llama", "cohere", "ai21", "titan"});
    if (by_schema && has_place) {
      Json schema = {{"schema", DumpJson(format.schema)}};
      if (!format.name.empty()) schema["name"] = format.name;
      if (!format.description.empty()) schema["description"] = format.description;
      out_["outputConfig"] = {
          {"textFormat", {{"type", "json_schema"}, {"structure", {{"jsonSchema", std::move(schema)}}}}}};
      return;
    }
    const bool others = !tools.empty();
    Json spec = {{"name", std::string(kAnswerTool)},
                 {"description", std::string(kAnswerToolDescription)},
                 {"inputSchema", {{"json", by_schema ? std::move(format.schema) : Json{{"type", "object"}}}}}};
    tools.push_back(Json{{"toolSpec", std::move(spec)}});
    // A model that thinks cannot be forced to call a tool, and only some can at all.
    const bool can_force = !thinks_ && (claude_.is_claude || Names(name_, {"nova", "mistral"}));
    if (!can_force) {
      written = {{"auto", Json::object()}};
    } else if (others) {
      written = {{"any", Json::object()}};
    } else {
      written = {{"tool", {{"name", std::string(kAnswerTool)}}}};
    }
  }

  void WriteTags() {
    if (std::string user = StringAt(chat_, "safety_identifier", StringAt(chat_, "user")); !user.empty()) {
      out_["requestMetadata"] = {{"user_id", std::move(user)}};
    }
    const std::string tier = StringAt(chat_, "service_tier");
    if (tier == "scale") fault_.Refuse(Unsupported("service_tier", "`scale` has no counterpart in Bedrock's Converse"));
    if (!tier.empty() && tier != "auto") out_["serviceTier"] = {{"type", tier}};
  }

  // What is not OpenAI's is the client's word to Converse, or else to the model.
  void PassTheRest() {
    constexpr std::string_view kConverses[] = {"guardrailConfig",
                                               "performanceConfig",
                                               "requestMetadata",
                                               "promptVariables",
                                               "outputConfig",
                                               "serviceTier",
                                               "additionalModelResponseFieldPaths"};
    const Json* config = FindObject(chat_, "output_config");
    if (config != nullptr && !config->empty()) {
      MemberSetter own(additional_["output_config"]);
      for (const auto& [name, member] : config->items()) own.Set(name, member);
    }
    const Json* top_k = Names(name_, {"nova"}) ? Find(chat_, "top_k") : nullptr;
    if (top_k != nullptr) additional_["inferenceConfig"]["topK"] = *top_k;
    MemberSetter rest(additional_);
    for (const auto& [key, value] : chat_.items()) {
      if (IsKnownChatMember(key) || value.is_null()) continue;
      if ((key == "output_config" && config != nullptr) || (key == "top_k" && top_k != nullptr)) continue;
      if (key == "additionalModelRequestFields" && value.is_object()) {
        for (const auto& [name, member] : value.items()) rest.Set(name, member);
      } else if (std::find(std::begin(kConverses), std::end(kConverses), key) != std::end(kConverses)) {
        if (out_.contains(key)) {
          fault_.Refuse(Invalid(key, "says what another member of the request says already: leave one out"));
        }
        out_[key] = value;
      } else {
        rest.Set(key, value);
      }
    }
  }

  const Json& chat_;
  const std::string name_;
  const ClaudeModel claude_;
  FirstFault fault_;
  Json out_ = Json::object();
  Json inference_ = Json::object();
  Json additional_ = Json::object();
  bool thinks_ = false;
};

}  // namespace

std::variant<std::string, BodyFault> ConverseRequest(std::string_view chat_body) {
  const std::optional<Json> chat = ParseJson(chat_body);
  if (!chat || !chat->is_object()) return BodyFault{400, "invalid_json", "the body is not one valid JSON object", ""};
  return ConverseWriter(*chat).Write();
}

}  // namespace signalbox
