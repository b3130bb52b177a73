// OpenAI Responses.
#include <algorithm>

#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

class Reader {
 public:
  absl::StatusOr<Ask> Read(const Json& body) {
    const std::string unknown = UnknownKey(body, {"model",
                                                  "input",
                                                  "instructions",
                                                  "stream",
                                                  "stream_options",
                                                  "max_output_tokens",
                                                  "temperature",
                                                  "top_p",
                                                  "tools",
                                                  "tool_choice",
                                                  "parallel_tool_calls",
                                                  "text",
                                                  "reasoning",
                                                  "metadata",
                                                  "store",
                                                  "previous_response_id",
                                                  "include",
                                                  "truncation",
                                                  "user",
                                                  "service_tier",
                                                  "prompt_cache_key",
                                                  "prompt_cache_retention",
                                                  "safety_identifier",
                                                  "background",
                                                  "conversation",
                                                  "max_tool_calls",
                                                  "prompt",
                                                  "top_logprobs"});
    if (!unknown.empty()) return Invalid(absl::StrCat("Unknown parameter: '", unknown, "'."));
    Ask ask;
    ask.model = TextOf(body, "model");
    if (ask.model.empty()) return Invalid("Missing required parameter: 'model'.");
    ask.stream = IsTrue(body, "stream");
    if (const std::string previous = TextOf(body, "previous_response_id"); !previous.empty()) {
      return Invalid(absl::StrCat("Previous response with id '", previous, "' not found."));
    }
    const absl::StatusOr<int64_t> cap = PositiveOr(body, "max_output_tokens", -1);
    if (!cap.ok()) return cap.status();
    ask.output_cap = *cap;
    if (IsString(body, "instructions")) reader_.Turn(AskReader::Role::kSystem, TextOf(body, "instructions"));
    for (const auto& read : {&Reader::Input, &Reader::Tools}) {
      if (absl::Status status = (this->*read)(body); !status.ok()) return status;
    }
    const Json* const text = Find(body, "text");
    const Json* const format = text == nullptr ? nullptr : Find(*text, "format");
    if (format != nullptr && TextOf(*format, "type") == "json_schema") {
      const Json* const schema = Find(*format, "schema");
      if (TextOf(*format, "name").empty()) return Invalid("Missing required parameter: 'text.format.name'.");
      if (schema == nullptr) return Invalid("Missing required parameter: 'text.format.schema'.");
      reader_.DemandJson(*schema);
    } else if (format != nullptr && TextOf(*format, "type") == "json_object") {
      reader_.DemandJson({{"type", "object"}, {"properties", {{"answer", {{"type", "string"}}}}}});
    }
    if (const Json* const reasoning = Find(body, "reasoning")) {
      reader_.Reason(TextOf(*reasoning, "effort"));
      ask.show_reasoning = IsString(*reasoning, "summary");
    }
    if (IsString(body, "prompt_cache_key")) reader_.HintCache();
    return reader_.Take(std::move(ask));
  }

 private:
  absl::Status Input(const Json& body) {
    const Json* const input = Find(body, "input");
    if (input == nullptr) return Invalid("Missing required parameter: 'input'.");
    if (input->is_string()) {
      reader_.Turn(AskReader::Role::kUser, input->get<std::string>());
      return absl::OkStatus();
    }
    if (!input->is_array() || input->empty()) {
      return Invalid("Invalid type for 'input': expected a string or a non-empty array.");
    }
    for (size_t i = 0; i < input->size(); ++i) {
      if (absl::Status status = Item((*input)[i], absl::StrCat("input[", i, "]")); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<std::string> Parts(const Json& content, const std::string& place, int64_t& attachments) {
    if (content.is_string()) return content.get<std::string>();
    if (!content.is_array()) return Invalid(absl::StrCat("Invalid type for '", place, "'."));
    std::string text;
    for (const Json& part : content) {
      const std::string type = TextOf(part, "type");
      if (type == "input_text" || type == "output_text" || type == "refusal") {
        text += TextOf(part, type == "refusal" ? "refusal" : "text");
      } else if (type == "input_image" || type == "input_file" || type == "input_audio") {
        ++attachments;
      } else {
        return Invalid(absl::StrCat("Invalid value: '", type, "'. Supported values are: 'input_text', 'input_image', ",
                                    "'output_text', 'refusal', 'input_file'. (", place, ")"));
      }
    }
    return text;
  }

  absl::Status Item(const Json& item, const std::string& place) {
    const std::string type = IsString(item, "type") ? TextOf(item, "type") : "message";
    int64_t attachments = 0;
    if (type == "function_call_output") {
      const std::string id = TextOf(item, "call_id");
      if (calls_.find("\n" + id + "\n") == std::string::npos) {
        return Invalid(absl::StrCat("No tool call found for function call output with call_id ", id, "."));
      }
      const Json* const output = Find(item, "output");
      const absl::StatusOr<std::string> text = Parts(output == nullptr ? Json("") : *output, place, attachments);
      if (!text.ok()) return text.status();
      reader_.Turn(AskReader::Role::kTool, *text, attachments);
    } else if (type == "function_call") {
      if (TextOf(item, "name").empty() || !IsString(item, "arguments")) {
        return Invalid(absl::StrCat("Missing required parameter: '", place, ".name' or '.arguments'."));
      }
      calls_ += "\n" + TextOf(item, "call_id") + "\n";
    } else if (type == "message") {
      const std::string role = TextOf(item, "role");
      const Json* const content = Find(item, "content");
      if (content == nullptr) return Invalid(absl::StrCat("Missing required parameter: '", place, ".content'."));
      const absl::StatusOr<std::string> text = Parts(*content, place + ".content", attachments);
      if (!text.ok()) return text.status();
      if (role != "user" && role != "assistant" && role != "system" && role != "developer") {
        return Invalid(absl::StrCat("Invalid value: '", role, "'. Supported values are: 'assistant', 'system', ",
                                    "'developer', and 'user'."));
      }
      reader_.Turn(role == "user"        ? AskReader::Role::kUser
                   : role == "assistant" ? AskReader::Role::kAssistant
                                         : AskReader::Role::kSystem,
                   *text, attachments);
    } else if (type != "reasoning" && type != "item_reference") {
      return Invalid(absl::StrCat("Invalid value: '", type, "' at '", place, ".type'."));
    }
    return absl::OkStatus();
  }

  absl::Status Tools(const Json& body) {
    if (const Json* const tools = Find(body, "tools")) {
      for (const Json& tool : *tools) {
        if (TextOf(tool, "type") != "function") continue;  // a tool of OpenAI's own, which is never called here
        if (TextOf(tool, "name").empty()) return Invalid("Missing required parameter: 'tools[0].name'.");
        const Json* const parameters = Find(tool, "parameters");
        reader_.OfferTool(TextOf(tool, "name"), TextOf(tool, "description"),
                          parameters == nullptr ? Json() : *parameters);
      }
    }
    const Json* const parallel = Find(body, "parallel_tool_calls");
    if (parallel != nullptr && *parallel == false) reader_.OneToolOnly();
    const Json* const choice = Find(body, "tool_choice");
    if (choice == nullptr) return absl::OkStatus();
    if (*choice == "none") reader_.ForbidTools();
    if (*choice == "required") reader_.DemandAnyTool();
    if (choice->is_object()) reader_.DemandTool(TextOf(*choice, "name"));
    return absl::OkStatus();
  }

  AskReader reader_;
  std::string calls_;
};

OrderedJson UsageJson(const Usage& usage) {
  return {{"input_tokens", usage.input},
          {"input_tokens_details", {{"cached_tokens", usage.cached}}},
          {"output_tokens", usage.output},
          {"output_tokens_details", {{"reasoning_tokens", usage.reasoning}}},
          {"total_tokens", usage.input + usage.output}};
}

std::string ItemId(const char* prefix, const Answer& answer, size_t index) {
  return absl::StrCat(prefix, answer.id, index);
}

OrderedJson TextPart(const std::string& text) {
  return {{"type", "output_text"},
          {"annotations", OrderedJson::array()},
          {"logprobs", OrderedJson::array()},
          {"text", text}};
}

OrderedJson MessageItem(const std::string& id, OrderedJson content, const char* status) {
  return {{"id", id}, {"type", "message"}, {"status", status}, {"content", std::move(content)}, {"role", "assistant"}};
}

OrderedJson CallItem(const std::string& id, const ToolCall& call, const std::string& arguments, const char* status) {
  return {{"id", id},
          {"type", "function_call"},
          {"status", status},
          {"arguments", arguments},
          {"call_id", absl::StrCat("call_", call.id)},
          {"name", call.name}};
}

OrderedJson ReasoningItem(const std::string& id, OrderedJson summary) {
  return {{"id", id}, {"type", "reasoning"}, {"summary", std::move(summary)}};
}

OrderedJson SummaryPart(const std::string& text) { return {{"type", "summary_text"}, {"text", text}}; }

OrderedJson Envelope(const Answer& answer, const char* status, OrderedJson output) {
  OrderedJson details = nullptr;
  if (std::string_view(status) == "incomplete") details = {{"reason", "max_output_tokens"}};
  return {{"id", absl::StrCat("resp_", answer.id)},
          {"object", "response"},
          {"created_at", answer.created},
          {"status", status},
          {"background", false},
          {"error", nullptr},
          {"incomplete_details", std::move(details)},
          {"instructions", nullptr},
          {"max_output_tokens", nullptr},
          {"metadata", OrderedJson::object()},
          {"model", answer.model},
          {"output", std::move(output)},
          {"parallel_tool_calls", true},
          {"previous_response_id", nullptr},
          {"temperature", 1.0},
          {"text", {{"format", {{"type", "text"}}}}},
          {"tool_choice", "auto"},
          {"tools", OrderedJson::array()},
          {"top_p", 1.0},
          {"truncation", "disabled"},
          {"usage", nullptr}};
}

const char* StatusOf(const Choice& choice) { return choice.end == Choice::End::kLength ? "incomplete" : "completed"; }

// The whole output, as the unary answer and the stream's last event have it.
OrderedJson Output(const Ask& ask, const Answer& answer) {
  const Choice& choice = answer.choices[0];
  OrderedJson output = OrderedJson::array();
  if (choice.reasoning_tokens > 0) {
    OrderedJson summary = OrderedJson::array();
    if (ask.show_reasoning) summary.push_back(SummaryPart(choice.thought));
    output.push_back(ReasoningItem(ItemId("rs_", answer, 0), std::move(summary)));
  }
  if (choice.tool_calls.empty()) {
    output.push_back(MessageItem(ItemId("msg_", answer, output.size()), OrderedJson::array({TextPart(choice.text)}),
                                 StatusOf(choice)));
  }
  for (const ToolCall& call : choice.tool_calls) {
    output.push_back(CallItem(ItemId("fc_", answer, output.size()), call, call.arguments, "completed"));
  }
  return output;
}

// One stream's events, numbered.
class Writer {
 public:
  Writer(const Ask& ask, const Answer& answer, int chunks) : ask_(ask), answer_(answer), chunks_(chunks) {}

  void Add(const char* type, OrderedJson more, bool tells = false) {
    OrderedJson data = {{"type", type}, {"sequence_number", events.size()}};
    data.update(more);
    events.push_back({type, Dump(data), tokens, tells});
  }

  void Reasoning(const Choice& choice) {
    const std::string id = ItemId("rs_", answer_, 0);
    Add("response.output_item.added", {{"output_index", index_}, {"item", ReasoningItem(id, OrderedJson::array())}});
    OrderedJson summary = OrderedJson::array();
    if (ask_.show_reasoning) {
      const OrderedJson place = {{"item_id", id}, {"output_index", index_}, {"summary_index", 0}};
      AddAt("response.reasoning_summary_part.added", place, {{"part", SummaryPart("")}});
      size_t sent = 0;
      for (const std::string& piece : SplitText(choice.thought, chunks_)) {
        sent += piece.size();
        tokens = TokensOf(sent);
        AddAt("response.reasoning_summary_text.delta", place, {{"delta", piece}});
      }
      AddAt("response.reasoning_summary_text.done", place, {{"text", choice.thought}});
      AddAt("response.reasoning_summary_part.done", place, {{"part", SummaryPart(choice.thought)}});
      summary.push_back(SummaryPart(choice.thought));
    }
    tokens = choice.reasoning_tokens;
    Add("response.output_item.done", {{"output_index", index_++}, {"item", ReasoningItem(id, std::move(summary))}});
  }

  void Text(const Choice& choice) {
    const std::string id = ItemId("msg_", answer_, index_);
    Add("response.output_item.added",
        {{"output_index", index_}, {"item", MessageItem(id, OrderedJson::array(), "in_progress")}});
    const OrderedJson place = {{"item_id", id}, {"output_index", index_}, {"content_index", 0}};
    AddAt("response.content_part.added", place, {{"part", TextPart("")}});
    const OrderedJson none = OrderedJson::array();
    size_t sent = 0;
    for (const std::string& piece : SplitText(choice.text, chunks_)) {
      sent += piece.size();
      tokens = choice.reasoning_tokens + TokensOf(sent);
      AddAt("response.output_text.delta", place, {{"delta", piece}, {"logprobs", none}});
    }
    AddAt("response.output_text.done", place, {{"text", choice.text}, {"logprobs", none}});
    AddAt("response.content_part.done", place, {{"part", TextPart(choice.text)}});
    OrderedJson content = OrderedJson::array({TextPart(choice.text)});
    Add("response.output_item.done",
        {{"output_index", index_++}, {"item", MessageItem(id, std::move(content), StatusOf(choice))}});
  }

  void Call(const ToolCall& call) {
    const std::string id = ItemId("fc_", answer_, index_);
    Add("response.output_item.added", {{"output_index", index_}, {"item", CallItem(id, call, "", "in_progress")}});
    const OrderedJson place = {{"item_id", id}, {"output_index", index_}};
    for (const std::string& piece : SplitText(call.arguments, chunks_)) {
      AddAt("response.function_call_arguments.delta", place, {{"delta", piece}});
    }
    AddAt("response.function_call_arguments.done", place, {{"name", call.name}, {"arguments", call.arguments}});
    tokens += TokensOf(call.name.size() + call.arguments.size());
    Add("response.output_item.done",
        {{"output_index", index_++}, {"item", CallItem(id, call, call.arguments, "completed")}});
  }

  std::vector<StreamEvent> events;
  int64_t tokens = 0;

 private:
  void AddAt(const char* type, const OrderedJson& place, const OrderedJson& more) {
    OrderedJson data = place;
    data.update(more);
    Add(type, std::move(data));
  }
  const Ask& ask_;
  const Answer& answer_;
  const int chunks_;
  size_t index_ = 0;
};

class Responses : public Format {
 public:
  std::string_view name() const override { return "responses"; }

  absl::StatusOr<Ask> Read(const Target&, const Json& body) const override { return Reader().Read(body); }

  std::string Unary(const Ask& ask, const Answer& answer, UsageShown usage) const override {
    return Dump(Whole(ask, answer, usage));
  }

  std::vector<StreamEvent> Stream(const Ask& ask, const Answer& answer, int chunks, UsageShown usage) const override {
    const Choice& choice = answer.choices[0];
    Writer writer(ask, answer, chunks);
    writer.Add("response.created", {{"response", Envelope(answer, "in_progress", OrderedJson::array())}});
    writer.Add("response.in_progress", {{"response", Envelope(answer, "in_progress", OrderedJson::array())}});
    if (choice.reasoning_tokens > 0) writer.Reasoning(choice);
    if (choice.tool_calls.empty()) writer.Text(choice);
    for (const ToolCall& call : choice.tool_calls) writer.Call(call);
    writer.tokens = choice.tokens;
    writer.Add(choice.end == Choice::End::kLength ? "response.incomplete" : "response.completed",
               {{"response", Whole(ask, answer, usage)}}, usage != UsageShown::kAbsent);
    return std::move(writer.events);
  }

  ErrorReply Error(int status, std::string_view message, int64_t retry_after_ms) const override {
    return ChatFormat().Error(status, message, retry_after_ms);
  }

  std::string ErrorEvent(const Target&) const override {
    const OrderedJson error = {{"type", "error"},
                               {"code", "server_error"},
                               {"message", "The server had an error while processing your request."},
                               {"param", nullptr},
                               {"sequence_number", 99}};
    return absl::StrCat("event: error\ndata: ", Dump(error), "\n\n");
  }

 private:
  static OrderedJson Whole(const Ask& ask, const Answer& answer, UsageShown usage) {
    OrderedJson json = Envelope(answer, StatusOf(answer.choices[0]), Output(ask, answer));
    if (usage != UsageShown::kAbsent) {
      json["usage"] = UsageJson(usage == UsageShown::kZero ? Usage{} : answer.usage);
    } else {
      json.erase("usage");
    }
    return json;
  }
};

}  // namespace

const Format& ResponsesFormat() {
  static const Responses format;
  return format;
}

}  // namespace signalbox::sim
