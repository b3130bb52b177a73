// Anthropic Messages.
#include <algorithm>
#include <set>

#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

constexpr int64_t kThinkingLeast = 1024;

// What one message says, gathered from its blocks.
struct Content {
  std::string text;
  int64_t attachments = 0;
  bool answers_tools = false;
  std::set<std::string> calls;    // ids of tool_use
  std::set<std::string> results;  // ids of tool_result
};

class Reader {
 public:
  absl::StatusOr<Ask> Read(const Json& body) {
    const std::string unknown =
        UnknownKey(body, {"model",          "messages",      "max_tokens",    "system",
                          "stream",         "temperature",   "top_p",         "top_k",
                          "stop_sequences", "tools",         "tool_choice",   "thinking",
                          "metadata",       "service_tier",  "container",     "context_management",
                          "mcp_servers",    "output_config", "output_format", "inference_geo",
                          "cache_control"});
    if (!unknown.empty()) return Invalid(absl::StrCat(unknown, ": Extra inputs are not permitted"));
    Ask ask;
    ask.model = TextOf(body, "model");
    if (ask.model.empty()) return Invalid("model: Field required");
    const absl::StatusOr<int64_t> cap = PositiveOr(body, "max_tokens", -1);
    if (!cap.ok()) return Invalid("max_tokens: Input should be greater than or equal to 1");
    if (*cap < 0) return Invalid("max_tokens: Field required");
    ask.output_cap = *cap;
    ask.stream = IsTrue(body, "stream");
    for (const auto& read : {&Reader::Sampling, &Reader::System, &Reader::Messages, &Reader::Tools, &Reader::Output}) {
      if (absl::Status status = (this->*read)(body); !status.ok()) return status;
    }
    if (absl::Status status = Thinking(body, *cap, ask); !status.ok()) return status;
    return reader_.Take(std::move(ask));
  }

 private:
  absl::Status Sampling(const Json& body) {
    for (const char* key : {"temperature", "top_p"}) {
      const Json* const value = Find(body, key);
      if (value == nullptr) continue;
      if (!value->is_number()) return Invalid(absl::StrCat(key, ": Input should be a valid number"));
      if (value->get<double>() < 0 || value->get<double>() > 1) {
        return Invalid(absl::StrCat(key, ": range: 0..1"));
      }
    }
    if (const Json* const metadata = Find(body, "metadata")) {
      const std::string unknown = UnknownKey(*metadata, {"user_id"});
      if (!unknown.empty()) return Invalid(absl::StrCat("metadata.", unknown, ": Extra inputs are not permitted"));
    }
    if (const Json* const stops = Find(body, "stop_sequences")) {
      for (const Json& stop : *stops) {
        const std::string text = stop.get<std::string>();
        if (text.find_first_not_of(" \t\r\n") == std::string::npos) {
          return Invalid("stop_sequences: each stop sequence must contain non-whitespace");
        }
        reader_.Stop(text);
      }
    }
    if (Find(body, "cache_control") != nullptr) reader_.MarkCache();
    return absl::OkStatus();
  }

  // Text of a block list or a string; `place` for the error.
  absl::StatusOr<std::string> Texts(const Json& content, const std::string& place, int64_t& attachments) {
    if (content.is_string()) return content.get<std::string>();
    if (!content.is_array()) return Invalid(absl::StrCat(place, ": Input should be a valid list"));
    std::string text;
    for (const Json& block : content) {
      if (Find(block, "cache_control") != nullptr) reader_.MarkCache();
      if (TextOf(block, "type") == "text") {
        if (TextOf(block, "text").empty()) {
          return Invalid(absl::StrCat(place, ": text content blocks must be non-empty"));
        }
        text += TextOf(block, "text");
      } else {
        ++attachments;
      }
    }
    return text;
  }

  absl::Status System(const Json& body) {
    const Json* const system = Find(body, "system");
    if (system == nullptr) return absl::OkStatus();
    int64_t attachments = 0;
    const absl::StatusOr<std::string> text = Texts(*system, "system", attachments);
    if (!text.ok()) return text.status();
    if (attachments > 0) return Invalid("system: only text blocks are supported");
    reader_.Turn(AskReader::Role::kSystem, *text);
    return absl::OkStatus();
  }

  static absl::Status CheckSource(const Json& block, const std::string& place) {
    const Json* const source = Find(block, "source");
    if (source == nullptr) return Invalid(absl::StrCat(place, ".source: Field required"));
    const std::string type = TextOf(*source, "type");
    if (type == "base64" && TextOf(*source, "media_type").empty()) {
      return Invalid(absl::StrCat(place, ".source.base64.media_type: Field required"));
    }
    if (type == "base64" && TextOf(*source, "data").empty()) {
      return Invalid(absl::StrCat(place, ".source.base64.data: Field required"));
    }
    if (type == "url" && TextOf(*source, "url").empty()) {
      return Invalid(absl::StrCat(place, ".source.url.url: Field required"));
    }
    if (type != "base64" && type != "url" && type != "file" && type != "text" && type != "content") {
      return Invalid(absl::StrCat(place, ".source: Input tag '", type, "' found using 'type' is not expected"));
    }
    return absl::OkStatus();
  }

  absl::Status Block(const Json& block, const std::string& role, const std::string& place, Content& content) {
    const std::string type = TextOf(block, "type");
    if (Find(block, "cache_control") != nullptr) reader_.MarkCache();
    if (type == "text") {
      const std::string text = TextOf(block, "text");
      if (text.empty()) return Invalid("messages: text content blocks must be non-empty");
      content.text += text;
    } else if (type == "image" || type == "document") {
      ++content.attachments;
      return CheckSource(block, absl::StrCat(place, ".", type));
    } else if (type == "tool_use" && role == "assistant") {
      const Json* const input = Find(block, "input");
      if (input == nullptr || !input->is_object()) {
        return Invalid(absl::StrCat(place, ".tool_use.input: Input should be a valid dictionary"));
      }
      if (TextOf(block, "name").empty()) return Invalid(absl::StrCat(place, ".tool_use.name: Field required"));
      content.calls.insert(TextOf(block, "id"));
    } else if (type == "tool_result" && role == "user") {
      return ToolResult(block, place, content);
    } else if ((type != "thinking" && type != "redacted_thinking") || role != "assistant") {
      return Invalid(absl::StrCat(place, ": Input tag '", type, "' found using 'type' does not match any of the ",
                                  "expected tags: 'document', 'image', 'text', 'thinking', 'tool_result', 'tool_use'"));
    } else if (type == "thinking" && TextOf(block, "signature").empty()) {
      return Invalid(absl::StrCat(place, ".thinking.signature: Field required"));
    }
    return absl::OkStatus();
  }

  absl::Status ToolResult(const Json& block, const std::string& place, Content& content) {
    const std::string id = TextOf(block, "tool_use_id");
    if (!open_calls_.contains(id)) {
      return Invalid(absl::StrCat(place, ": unexpected `tool_use_id` found in `tool_result` blocks: ", id,
                                  ". Each `tool_result` block must have a corresponding `tool_use` block in the "
                                  "previous message."));
    }
    content.results.insert(id);
    content.answers_tools = true;
    int64_t attachments = 0;
    const Json* const inner = Find(block, "content");
    const absl::StatusOr<std::string> text =
        inner == nullptr ? std::string() : Texts(*inner, absl::StrCat(place, ".tool_result.content"), attachments);
    if (!text.ok()) return text.status();
    reader_.Turn(AskReader::Role::kTool, *text, attachments);
    return absl::OkStatus();
  }

  absl::Status Messages(const Json& body) {
    const Json* const messages = Find(body, "messages");
    if (messages == nullptr || !messages->is_array()) return Invalid("messages: Field required");
    if (messages->empty()) return Invalid("messages: at least one message is required");
    for (size_t i = 0; i < messages->size(); ++i) {
      if (absl::Status status = Message((*messages)[i], absl::StrCat("messages.", i)); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Message(const Json& message, const std::string& place) {
    const std::string unknown = UnknownKey(message, {"role", "content", "cache_control"});
    if (!unknown.empty()) return Invalid(absl::StrCat(place, ".", unknown, ": Extra inputs are not permitted"));
    const std::string role = TextOf(message, "role");
    if (role != "user" && role != "assistant") {
      return Invalid(absl::StrCat("messages: Unexpected role \"", role,
                                  "\". The Messages API accepts a top-level `system` parameter, not \"system\" as an "
                                  "input message role."));
    }
    const Json* const said = Find(message, "content");
    if (said == nullptr) return Invalid(absl::StrCat(place, ".content: Field required"));
    Content content;
    if (said->is_string()) {
      content.text = said->get<std::string>();
      if (content.text.empty()) return Invalid(absl::StrCat(place, ": messages must have non-empty content"));
    } else {
      if (!said->is_array() || said->empty()) {
        return Invalid(absl::StrCat(place, ": messages must have non-empty content"));
      }
      for (size_t i = 0; i < said->size(); ++i) {
        absl::Status status = Block((*said)[i], role, absl::StrCat(place, ".content.", i), content);
        if (!status.ok()) return status;
      }
    }
    for (const std::string& id : open_calls_) {
      if (content.results.contains(id)) continue;
      return Invalid(
          absl::StrCat(place, ": `tool_use` ids were found without `tool_result` blocks immediately after: ", id, "."));
    }
    open_calls_ = content.calls;
    // A message of tool results alone says nothing itself.
    if (role == "assistant" || !content.answers_tools || !content.text.empty()) {
      reader_.Turn(role == "user" ? AskReader::Role::kUser : AskReader::Role::kAssistant, content.text,
                   content.attachments);
    }
    return absl::OkStatus();
  }

  absl::Status Tools(const Json& body) {
    if (const Json* const tools = Find(body, "tools")) {
      for (const Json& tool : *tools) {
        if (Find(tool, "cache_control") != nullptr) reader_.MarkCache();
        const std::string type = TextOf(tool, "type");
        if (!type.empty() && type != "custom") continue;  // a tool of the provider's own, which is never called here
        const Json* const schema = Find(tool, "input_schema");
        if (TextOf(tool, "name").empty()) return Invalid("tools.0.custom.name: Field required");
        if (schema == nullptr || TextOf(*schema, "type") != "object") {
          return Invalid("tools.0.custom.input_schema.type: Input should be 'object'");
        }
        reader_.OfferTool(TextOf(tool, "name"), TextOf(tool, "description"), *schema);
      }
    }
    const Json* const choice = Find(body, "tool_choice");
    if (choice == nullptr) return absl::OkStatus();
    if (Find(body, "tools") == nullptr) return Invalid("tool_choice may only be specified while providing tools.");
    const std::string type = TextOf(*choice, "type");
    if (type == "none") reader_.ForbidTools();
    if (type == "any") reader_.DemandAnyTool();
    if (type == "tool") reader_.DemandTool(TextOf(*choice, "name"));
    if (type != "none" && type != "any" && type != "tool" && type != "auto") {
      return Invalid(absl::StrCat("tool_choice: Input tag '", type, "' found using 'type' is not expected"));
    }
    forced_ = type == "any" || type == "tool";
    if (IsTrue(*choice, "disable_parallel_tool_use")) reader_.OneToolOnly();
    return absl::OkStatus();
  }

  // Structured output: output_config.format, and output_format as it was called first.
  absl::Status Output(const Json& body) {
    const Json* const config = Find(body, "output_config");
    const Json* const format = config != nullptr ? Find(*config, "format") : Find(body, "output_format");
    if (config != nullptr) effort_ = TextOf(*config, "effort");
    if (format == nullptr) return absl::OkStatus();
    const Json* const schema = Find(*format, "schema");
    if (TextOf(*format, "type") != "json_schema" || schema == nullptr) {
      return Invalid("output_config.format: expected {\"type\":\"json_schema\",\"schema\":{...}}");
    }
    reader_.DemandJson(*schema);
    return absl::OkStatus();
  }

  absl::Status Thinking(const Json& body, int64_t cap, Ask& ask) {
    const Json* const thinking = Find(body, "thinking");
    const std::string type = thinking == nullptr ? "disabled" : TextOf(*thinking, "type");
    if (type == "disabled") return absl::OkStatus();
    if (type == "adaptive") {
      reader_.Reason(effort_.empty() ? "high" : effort_);
    } else if (type == "enabled") {
      const absl::StatusOr<int64_t> budget = PositiveOr(*thinking, "budget_tokens", 0);
      if (!budget.ok() || *budget < kThinkingLeast) {
        return Invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024");
      }
      if (*budget >= cap) return Invalid("`max_tokens` must be greater than `thinking.budget_tokens`.");
      reader_.Reason(*budget <= 4 * kThinkingLeast ? "low" : *budget <= 12 * kThinkingLeast ? "medium" : "high");
    } else {
      return Invalid(absl::StrCat("thinking: Input tag '", type, "' found using 'type' does not match any of the ",
                                  "expected tags: 'adaptive', 'disabled', 'enabled'"));
    }
    if (forced_) return Invalid("Thinking may not be enabled when tool_choice forces tool use.");
    const Json* const temperature = Find(body, "temperature");
    if (temperature != nullptr && *temperature != 1) {
      return Invalid("`temperature` may only be set to 1 when thinking is enabled.");
    }
    ask.show_reasoning = true;
    return absl::OkStatus();
  }

  AskReader reader_;
  std::set<std::string> open_calls_;  // of the message before
  std::string effort_;
  bool forced_ = false;
};

// Input without what was read from or written to a cache, as Anthropic tells it.
OrderedJson UsageJson(const Usage& usage, int64_t output) {
  return {{"input_tokens", usage.input - usage.cached - usage.written},
          {"cache_creation_input_tokens", usage.written},
          {"cache_read_input_tokens", usage.cached},
          {"cache_creation", {{"ephemeral_5m_input_tokens", usage.written}, {"ephemeral_1h_input_tokens", 0}}},
          {"output_tokens", output},
          {"service_tier", "standard"}};
}

const char* StopReason(const Choice& choice) {
  if (choice.end == Choice::End::kLength) return "max_tokens";
  if (choice.end == Choice::End::kToolCalls) return "tool_use";
  return choice.stopped_at.empty() ? "end_turn" : "stop_sequence";
}

OrderedJson StopSequence(const Choice& choice) {
  return choice.stopped_at.empty() ? OrderedJson(nullptr) : OrderedJson(choice.stopped_at);
}

OrderedJson MessageJson(const Answer& answer) {
  return {{"id", absl::StrCat("msg_", answer.id)},
          {"type", "message"},
          {"role", "assistant"},
          {"model", answer.model},
          {"content", OrderedJson::array()}};
}

std::string Signature(const Answer& answer) { return absl::StrCat("sig-", answer.id, "=="); }

OrderedJson ToolUse(const ToolCall& call, OrderedJson input) {
  return {
      {"type", "tool_use"}, {"id", absl::StrCat("toolu_", call.id)}, {"name", call.name}, {"input", std::move(input)}};
}

class Messages : public Format {
 public:
  std::string_view name() const override { return "messages"; }

  absl::StatusOr<Ask> Read(const Target&, const Json& body) const override { return Reader().Read(body); }

  std::string Unary(const Ask& ask, const Answer& answer, UsageShown usage) const override {
    const Choice& choice = answer.choices[0];
    OrderedJson json = MessageJson(answer);
    if (ask.show_reasoning && !choice.thought.empty()) {
      json["content"].push_back({{"type", "thinking"}, {"thinking", choice.thought}, {"signature", Signature(answer)}});
    }
    if (choice.tool_calls.empty()) json["content"].push_back({{"type", "text"}, {"text", choice.text}});
    for (const ToolCall& call : choice.tool_calls) {
      json["content"].push_back(ToolUse(call, OrderedJson::parse(call.arguments)));
    }
    json["stop_reason"] = StopReason(choice);
    json["stop_sequence"] = StopSequence(choice);
    if (usage != UsageShown::kAbsent) {
      const Usage shown = usage == UsageShown::kZero ? Usage{} : answer.usage;
      json["usage"] = UsageJson(shown, shown.output);
    }
    return Dump(json);
  }

  std::vector<StreamEvent> Stream(const Ask& ask, const Answer& answer, int chunks, UsageShown usage) const override {
    const Usage shown = usage == UsageShown::kZero ? Usage{} : answer.usage;
    const bool tells = usage != UsageShown::kAbsent;
    const Choice& choice = answer.choices[0];
    std::vector<StreamEvent> events;
    int64_t tokens = 0;
    int64_t index = 0;
    const auto add = [&](const char* name, OrderedJson more, bool whole = false) {
      OrderedJson data = {{"type", name}};
      data.update(more);
      events.push_back({name, Dump(data), tokens, whole});
    };
    const auto delta = [&](OrderedJson what) {
      add("content_block_delta", {{"index", index}, {"delta", std::move(what)}});
    };
    OrderedJson message = MessageJson(answer);
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    if (tells) message["usage"] = UsageJson(shown, std::min<int64_t>(shown.output, 1));
    add("message_start", {{"message", std::move(message)}});
    if (ask.show_reasoning && !choice.thought.empty()) {
      add("content_block_start",
          {{"index", index}, {"content_block", {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}}});
      size_t sent = 0;
      for (const std::string& piece : SplitText(choice.thought, chunks)) {
        sent += piece.size();
        tokens = TokensOf(sent);
        delta({{"type", "thinking_delta"}, {"thinking", piece}});
      }
      delta({{"type", "signature_delta"}, {"signature", Signature(answer)}});
      add("content_block_stop", {{"index", index++}});
    }
    tokens = choice.reasoning_tokens;
    if (choice.tool_calls.empty()) {
      add("content_block_start", {{"index", index}, {"content_block", {{"type", "text"}, {"text", ""}}}});
      add("ping", OrderedJson::object());
      size_t sent = 0;
      for (const std::string& piece : SplitText(choice.text, chunks)) {
        sent += piece.size();
        tokens = choice.reasoning_tokens + TokensOf(sent);
        delta({{"type", "text_delta"}, {"text", piece}});
      }
      add("content_block_stop", {{"index", index++}});
    }
    for (const ToolCall& call : choice.tool_calls) {
      add("content_block_start", {{"index", index}, {"content_block", ToolUse(call, OrderedJson::object())}});
      delta({{"type", "input_json_delta"}, {"partial_json", ""}});
      for (const std::string& piece : SplitText(call.arguments, chunks)) {
        delta({{"type", "input_json_delta"}, {"partial_json", piece}});
      }
      tokens += TokensOf(call.name.size() + call.arguments.size());
      add("content_block_stop", {{"index", index++}});
    }
    tokens = choice.tokens;
    OrderedJson end = {{"delta", {{"stop_reason", StopReason(choice)}, {"stop_sequence", StopSequence(choice)}}}};
    if (tells) end["usage"] = UsageJson(shown, shown.output);
    add("message_delta", std::move(end), tells);
    add("message_stop", OrderedJson::object());
    return events;
  }

  ErrorReply Error(int status, std::string_view message, int64_t) const override {
    return {Dump(ErrorJson(status, message)), {{"request-id", "req_simulated"}}};
  }

  std::string ErrorEvent(const Target&) const override {
    return absl::StrCat("event: error\ndata: ", Dump(ErrorJson(529, "Overloaded")), "\n\n");
  }

 private:
  static OrderedJson ErrorJson(int status, std::string_view message) {
    const char* const type = status == 401   ? "authentication_error"
                             : status == 403 ? "permission_error"
                             : status == 404 ? "not_found_error"
                             : status == 413 ? "request_too_large"
                             : status == 429 ? "rate_limit_error"
                             : status == 529 ? "overloaded_error"
                             : status >= 500 ? "api_error"
                                             : "invalid_request_error";
    return {{"type", "error"},
            {"error", {{"type", type}, {"message", std::string(message)}}},
            {"request_id", "req_simulated"}};
  }
};

}  // namespace

const Format& MessagesFormat() {
  static const Messages format;
  return format;
}

}  // namespace signalbox::sim
