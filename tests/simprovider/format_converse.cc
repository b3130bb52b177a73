// Amazon Bedrock Converse and ConverseStream.
#include <algorithm>
#include <set>

#include "tests/simprovider/event_stream.h"
#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

struct Content {
  std::string text;
  int64_t attachments = 0;
  bool answers_tools = false;
  std::set<std::string> calls, results;
};

class Reader {
 public:
  absl::StatusOr<Ask> Read(const Target& target, const Json& body) {
    const std::string unknown =
        UnknownKey(body, {"messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig",
                          "additionalModelRequestFields", "additionalModelResponseFieldPaths", "promptVariables",
                          "requestMetadata", "performanceConfig", "serviceTier", "outputConfig"});
    if (!unknown.empty()) return Invalid(absl::StrCat("The request has a member that is not known: ", unknown));
    Ask ask;
    ask.model = target.model;
    ask.stream = target.stream;
    if (const Json* const system = Find(body, "system")) {
      std::string text;
      for (const Json& block : *system) {
        if (Find(block, "cachePoint") != nullptr)
          reader_.MarkCache();
        else if (TextOf(block, "text").empty())
          return Blank("system");
        text += TextOf(block, "text");
      }
      reader_.Turn(AskReader::Role::kSystem, text);
    }
    for (const auto& read : {&Reader::Messages, &Reader::Tools, &Reader::Output}) {
      if (absl::Status status = (this->*read)(body); !status.ok()) return status;
    }
    if (absl::Status status = Inference(body, ask); !status.ok()) return status;
    if (absl::Status status = Thinking(body, ask); !status.ok()) return status;
    return reader_.Take(std::move(ask));
  }

 private:
  static absl::Status Blank(const std::string& place) {
    return Invalid(absl::StrCat("The text field in the ContentBlock object at ", place,
                                " is blank. Add text to the text field, and try again."));
  }

  absl::Status Messages(const Json& body) {
    const Json* const messages = Find(body, "messages");
    if (messages == nullptr || !messages->is_array() || messages->empty()) {
      return Invalid(
          "A conversation must start with a user message. Try again with a conversation that starts with a "
          "user message.");
    }
    std::string before = "assistant";
    for (size_t i = 0; i < messages->size(); ++i) {
      const std::string role = TextOf((*messages)[i], "role");
      if (role != "user" && role != "assistant") {
        return Invalid(absl::StrCat("Value '", role, "' at 'messages.", i + 1,
                                    ".member.role' failed to satisfy constraint: Member must satisfy enum value set: "
                                    "[user, assistant]"));
      }
      if (role == before) {
        return Invalid(i == 0 ? "A conversation must start with a user message. Try again with a conversation that "
                                "starts with a user message."
                              : "A conversation must alternate between user and assistant roles. Make sure the "
                                "conversation alternates between user and assistant roles and try again.");
      }
      before = role;
      absl::Status status = Message((*messages)[i], role, absl::StrCat("messages.", i));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Message(const Json& message, const std::string& role, const std::string& place) {
    const Json* const blocks = Find(message, "content");
    if (blocks == nullptr || !blocks->is_array() || blocks->empty()) {
      return Invalid(absl::StrCat("The content field in the Message object at ", place,
                                  " is empty. Add a ContentBlock object to the content field and try again."));
    }
    Content content;
    for (size_t i = 0; i < blocks->size(); ++i) {
      absl::Status status = Block((*blocks)[i], role, absl::StrCat(place, ".content.", i), content);
      if (!status.ok()) return status;
    }
    for (const std::string& id : open_calls_) {
      if (content.results.contains(id)) continue;
      return Invalid(absl::StrCat("Expected toolResult blocks at ", place, ".content for the following Ids: ", id));
    }
    open_calls_ = content.calls;
    if (role == "assistant" || !content.answers_tools || !content.text.empty()) {
      reader_.Turn(role == "user" ? AskReader::Role::kUser : AskReader::Role::kAssistant, content.text,
                   content.attachments);
    }
    return absl::OkStatus();
  }

  absl::Status Block(const Json& block, const std::string& role, const std::string& place, Content& content) {
    const std::string unknown =
        UnknownKey(block, {"text", "image", "document", "video", "audio", "toolUse", "toolResult", "guardContent",
                           "cachePoint", "reasoningContent", "citationsContent", "searchResult"});
    if (!unknown.empty() || block.size() != 1) {
      return Invalid(absl::StrCat("The ContentBlock at ", place, " must have exactly one known member."));
    }
    if (Find(block, "cachePoint") != nullptr) reader_.MarkCache();
    if (block.contains("text")) {
      const std::string text = TextOf(block, "text");
      if (text.find_first_not_of(" \t\r\n") == std::string::npos) return Blank(place);
      content.text += text;
    }
    if (const Json* const image = Find(block, "image")) {
      const Json* const source = Find(*image, "source");
      if (TextOf(*image, "format").empty() || source == nullptr ||
          (TextOf(*source, "bytes").empty() && Find(*source, "s3Location") == nullptr)) {
        return Invalid(absl::StrCat("The image at ", place, " needs a format and source.bytes or source.s3Location."));
      }
      ++content.attachments;
    }
    if (block.contains("document") || block.contains("video") || block.contains("audio")) ++content.attachments;
    if (const Json* const call = Find(block, "toolUse")) {
      const Json* const input = Find(*call, "input");
      if (role != "assistant" || TextOf(*call, "name").empty() || input == nullptr || !input->is_object()) {
        return Invalid(absl::StrCat("The toolUse at ", place, " is invalid. Provide a json object for the field."));
      }
      content.calls.insert(TextOf(*call, "toolUseId"));
    }
    if (const Json* const result = Find(block, "toolResult")) return ToolResult(*result, role, place, content);
    return absl::OkStatus();
  }

  absl::Status ToolResult(const Json& result, const std::string& role, const std::string& place, Content& content) {
    const std::string id = TextOf(result, "toolUseId");
    if (role != "user" || !open_calls_.contains(id)) {
      return Invalid(absl::StrCat("The number of toolResult blocks at ", place,
                                  " exceeds the number of toolUse blocks of previous turn."));
    }
    content.results.insert(id);
    content.answers_tools = true;
    std::string text;
    int64_t attachments = 0;
    const Json* const blocks = Find(result, "content");
    if (blocks == nullptr || !blocks->is_array()) {
      return Invalid(absl::StrCat("The toolResult at ", place, " has no content."));
    }
    for (const Json& block : *blocks) {
      const Json* const json = Find(block, "json");
      if (json != nullptr) text += json->dump();
      text += TextOf(block, "text");
      attachments += block.contains("image") || block.contains("document") ? 1 : 0;
    }
    reader_.Turn(AskReader::Role::kTool, text, attachments);
    return absl::OkStatus();
  }

  absl::Status Tools(const Json& body) {
    const Json* const config = Find(body, "toolConfig");
    if (config == nullptr) return absl::OkStatus();
    const Json* const tools = Find(*config, "tools");
    if (tools == nullptr || !tools->is_array() || tools->empty()) {
      return Invalid(
          "Value at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than "
          "or equal to 1");
    }
    for (const Json& tool : *tools) {
      if (Find(tool, "cachePoint") != nullptr) reader_.MarkCache();
      const Json* const spec = Find(tool, "toolSpec");
      if (spec == nullptr) continue;
      const Json* const input = Find(*spec, "inputSchema");
      const Json* const schema = input == nullptr ? nullptr : Find(*input, "json");
      if (TextOf(*spec, "name").empty() || schema == nullptr || TextOf(*schema, "type") != "object") {
        return Invalid(
            "The value at toolConfig.tools.0.toolSpec.inputSchema.json.type must be one of the following: "
            "object.");
      }
      if (spec->contains("description") && TextOf(*spec, "description").empty()) {
        return Invalid(
            "Value at 'toolConfig.tools.1.member.toolSpec.description' failed to satisfy constraint: Member "
            "must have length greater than or equal to 1");
      }
      reader_.OfferTool(TextOf(*spec, "name"), TextOf(*spec, "description"), *schema);
    }
    const Json* const choice = Find(*config, "toolChoice");
    if (choice == nullptr) return absl::OkStatus();
    const std::string unknown = UnknownKey(*choice, {"auto", "any", "tool"});
    if (!unknown.empty()) return Invalid(absl::StrCat("toolChoice has no member ", unknown));
    if (choice->contains("any")) reader_.DemandAnyTool();
    if (const Json* const tool = Find(*choice, "tool")) reader_.DemandTool(TextOf(*tool, "name"));
    forced_ = !choice->contains("auto");
    return absl::OkStatus();
  }

  absl::Status Output(const Json& body) {
    const Json* const config = Find(body, "outputConfig");
    const Json* const format = config == nullptr ? nullptr : Find(*config, "textFormat");
    if (format == nullptr) return absl::OkStatus();
    const Json* const structure = Find(*format, "structure");
    const Json* const described = structure == nullptr ? nullptr : Find(*structure, "jsonSchema");
    const Json schema =
        described == nullptr ? Json() : Json::parse(TextOf(*described, "schema"), nullptr, /*allow_exceptions=*/false);
    if (!schema.is_object()) return Invalid("outputConfig.textFormat.structure.jsonSchema.schema: not a JSON schema");
    reader_.DemandJson(schema);
    return absl::OkStatus();
  }

  absl::Status Inference(const Json& body, Ask& ask) {
    const Json* const config = Find(body, "inferenceConfig");
    if (config == nullptr) return absl::OkStatus();
    const std::string unknown = UnknownKey(*config, {"maxTokens", "temperature", "topP", "stopSequences"});
    if (!unknown.empty()) return Invalid(absl::StrCat("inferenceConfig has no member ", unknown));
    const absl::StatusOr<int64_t> cap = PositiveOr(*config, "maxTokens", -1);
    if (!cap.ok()) return cap.status();
    ask.output_cap = *cap;
    if (const Json* const stops = Find(*config, "stopSequences")) {
      for (const Json& stop : *stops) reader_.Stop(stop.get<std::string>());
    }
    return absl::OkStatus();
  }

  // Claude's own field.
  absl::Status Thinking(const Json& body, Ask& ask) {
    const Json* const fields = Find(body, "additionalModelRequestFields");
    const Json* const thinking =
        fields == nullptr ? nullptr
                          : Find(*fields, Find(*fields, "thinking") != nullptr ? "thinking" : "reasoning_config");
    if (thinking == nullptr || TextOf(*thinking, "type") == "disabled") return absl::OkStatus();
    const Json* const output = Find(*fields, "output_config");
    if (TextOf(*thinking, "type") == "adaptive") {
      reader_.Reason(output == nullptr ? "high" : TextOf(*output, "effort"));
    } else {
      const absl::StatusOr<int64_t> budget = PositiveOr(*thinking, "budget_tokens", 0);
      if (!budget.ok() || *budget < 1'024) {
        return Invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
      }
      if (ask.output_cap >= 0 && *budget >= ask.output_cap) {
        return Invalid("`max_tokens` must be greater than `thinking.budget_tokens`.");
      }
      reader_.Reason(*budget <= 4'096 ? "low" : *budget <= 12'288 ? "medium" : "high");
    }
    if (forced_) return Invalid("Thinking may not be enabled when tool_choice forces tool use.");
    ask.show_reasoning = true;
    return absl::OkStatus();
  }

  AskReader reader_;
  std::set<std::string> open_calls_;
  bool forced_ = false;
};

OrderedJson UsageJson(const Usage& usage) {
  const int64_t fresh = usage.input - usage.cached - usage.written;
  OrderedJson json = {
      {"inputTokens", fresh}, {"outputTokens", usage.output}, {"totalTokens", usage.input + usage.output}};
  if (usage.cached + usage.written > 0) {
    json["cacheReadInputTokens"] = usage.cached;
    json["cacheWriteInputTokens"] = usage.written;
  }
  return json;
}

const char* StopReason(const Choice& choice) {
  if (choice.end == Choice::End::kLength) return "max_tokens";
  if (choice.end == Choice::End::kToolCalls) return "tool_use";
  return choice.stopped_at.empty() ? "end_turn" : "stop_sequence";
}

std::string ToolUseId(const ToolCall& call) { return absl::StrCat("tooluse_", call.id); }

class Converse : public Format {
 public:
  std::string_view name() const override { return "converse"; }

  absl::StatusOr<Ask> Read(const Target& target, const Json& body) const override {
    return Reader().Read(target, body);
  }

  std::string Unary(const Ask& ask, const Answer& answer, UsageShown usage) const override {
    const Choice& choice = answer.choices[0];
    OrderedJson content = OrderedJson::array();
    if (ask.show_reasoning && !choice.thought.empty()) {
      content.push_back(
          {{"reasoningContent", {{"reasoningText", {{"text", choice.thought}, {"signature", "sig-" + answer.id}}}}}});
    }
    if (choice.tool_calls.empty()) content.push_back({{"text", choice.text}});
    for (const ToolCall& call : choice.tool_calls) {
      content.push_back(
          {{"toolUse",
            {{"toolUseId", ToolUseId(call)}, {"name", call.name}, {"input", OrderedJson::parse(call.arguments)}}}});
    }
    OrderedJson json = {{"metrics", {{"latencyMs", 1}}},
                        {"output", {{"message", {{"content", std::move(content)}, {"role", "assistant"}}}}},
                        {"stopReason", StopReason(choice)}};
    if (usage != UsageShown::kAbsent) json["usage"] = UsageJson(usage == UsageShown::kZero ? Usage{} : answer.usage);
    return Dump(json);
  }

  std::vector<StreamEvent> Stream(const Ask& ask, const Answer& answer, int chunks, UsageShown usage) const override {
    const Choice& choice = answer.choices[0];
    std::vector<StreamEvent> events;
    int64_t tokens = 0, index = 0;
    const auto add = [&](const char* name, OrderedJson data, bool tells = false) {
      data["p"] = "abcdefgh";  // AWS pads events so that their sizes tell nothing
      events.push_back({name, Dump(data), tokens, tells});
    };
    const auto delta = [&](OrderedJson what) {
      add("contentBlockDelta", {{"contentBlockIndex", index}, {"delta", std::move(what)}});
    };
    const auto stop = [&] { add("contentBlockStop", {{"contentBlockIndex", index++}}); };
    add("messageStart", {{"role", "assistant"}});
    if (ask.show_reasoning && !choice.thought.empty()) {
      size_t sent = 0;
      for (const std::string& piece : SplitText(choice.thought, chunks)) {
        sent += piece.size();
        tokens = TokensOf(sent);
        delta({{"reasoningContent", {{"text", piece}}}});
      }
      delta({{"reasoningContent", {{"signature", "sig-" + answer.id}}}});
      stop();
    }
    tokens = choice.reasoning_tokens;
    size_t sent = 0;
    for (const std::string& piece : SplitText(choice.text, chunks)) {
      sent += piece.size();
      tokens = choice.reasoning_tokens + TokensOf(sent);
      delta({{"text", piece}});
    }
    if (sent > 0) stop();
    for (const ToolCall& call : choice.tool_calls) {
      add("contentBlockStart", {{"contentBlockIndex", index},
                                {"start", {{"toolUse", {{"name", call.name}, {"toolUseId", ToolUseId(call)}}}}}});
      for (const std::string& piece : SplitText(call.arguments, chunks)) delta({{"toolUse", {{"input", piece}}}});
      tokens += TokensOf(call.name.size() + call.arguments.size());
      stop();
    }
    tokens = choice.tokens;
    add("messageStop", {{"stopReason", StopReason(choice)}});
    OrderedJson metadata = {{"metrics", {{"latencyMs", 1}}}};
    if (usage != UsageShown::kAbsent) {
      metadata["usage"] = UsageJson(usage == UsageShown::kZero ? Usage{} : answer.usage);
    }
    add("metadata", std::move(metadata), usage != UsageShown::kAbsent);
    return events;
  }

  std::string Wire(const Target&, const StreamEvent& event, bool, bool) const override {
    return EventStreamMessage(
        {{":event-type", event.name}, {":content-type", "application/json"}, {":message-type", "event"}}, event.data);
  }
  std::string_view StreamType(const Target&) const override { return "application/vnd.amazon.eventstream"; }

  ErrorReply Error(int status, std::string_view message, int64_t) const override {
    const char* const type = status == 400                    ? "ValidationException"
                             : status == 401 || status == 403 ? "AccessDeniedException"
                             : status == 404                  ? "ResourceNotFoundException"
                             : status == 408                  ? "ModelTimeoutException"
                             : status == 424                  ? "ModelErrorException"
                             : status == 429                  ? "ThrottlingException"
                             : status == 503                  ? "ServiceUnavailableException"
                             : status >= 500                  ? "InternalServerException"
                                                              : "ValidationException";
    return {Dump({{"message", std::string(message)}}),
            {{"x-amzn-ErrorType", absl::StrCat(type, ":http://internal.amazon.com/coral/com.amazon.bedrock/")},
             {"x-amzn-RequestId", "00000000-0000-4000-8000-000000000000"}}};
  }

  std::string ErrorEvent(const Target&) const override {
    return EventStreamMessage({{":exception-type", "modelStreamErrorException"},
                               {":content-type", "application/json"},
                               {":message-type", "exception"}},
                              R"({"message":"The model failed while it streamed.","originalStatusCode":500})");
  }
};

}  // namespace

const Format& ConverseFormat() {
  static const Converse format;
  return format;
}

}  // namespace signalbox::sim
