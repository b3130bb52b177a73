// OpenAI chat completions, and what compatible providers make of their usage; Azure's deployments too.
#include <algorithm>

#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

constexpr int64_t kChoicesMax = 128;

OrderedJson UsageJson(const Usage& usage, UsageShape shape) {
  OrderedJson json = {{"prompt_tokens", usage.input},
                      {"completion_tokens", usage.output},
                      {"total_tokens", usage.input + usage.output}};
  const OrderedJson completion_details = {{"reasoning_tokens", usage.reasoning},
                                          {"audio_tokens", usage.audio_output},
                                          {"accepted_prediction_tokens", 0},
                                          {"rejected_prediction_tokens", 0}};
  switch (shape) {
    case UsageShape::kDeepSeek:
      json["prompt_cache_hit_tokens"] = usage.cached;
      json["prompt_cache_miss_tokens"] = usage.input - usage.cached;
      json["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning}};
      break;
    case UsageShape::kGroq:
      json["queue_time"] = 0.147255087;
      json["total_time"] = 0.040282516;
      break;
    case UsageShape::kLastChunk:
      break;
    case UsageShape::kMoonshot:
      json["cached_tokens"] = usage.cached;
      break;
    case UsageShape::kXai:
      json["completion_tokens"] = usage.output - usage.reasoning;
      json["prompt_tokens_details"] = {{"text_tokens", usage.input}, {"cached_tokens", usage.cached}};
      json["completion_tokens_details"] = completion_details;
      json["num_sources_used"] = 0;
      break;
    case UsageShape::kTotalOnly:
      json["completion_tokens"] = usage.output - usage.reasoning;
      break;
    case UsageShape::kOpenRouter:
      json["cost"] = 0.0137;
      json["prompt_tokens_details"] = {{"cached_tokens", usage.cached}, {"cache_write_tokens", usage.written}};
      json["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning}};
      break;
    case UsageShape::kCacheBeside:
      json["prompt_tokens"] = usage.input - usage.cached - usage.written;
      [[fallthrough]];
    case UsageShape::kCacheInside:
      json["cache_creation_input_tokens"] = usage.written;
      json["cache_read_input_tokens"] = usage.cached;
      break;
    case UsageShape::kNegative:
      json["prompt_tokens"] = -1;
      break;
    case UsageShape::kText:
      json["prompt_tokens"] = absl::StrCat(usage.input);
      json["completion_tokens"] = absl::StrCat(usage.output);
      break;
    case UsageShape::kOpenAi:
    case UsageShape::kEveryChunk:
    case UsageShape::kAudio:
      json["prompt_tokens_details"] = {{"cached_tokens", usage.cached}, {"audio_tokens", usage.audio_input}};
      json["completion_tokens_details"] = completion_details;
      break;
  }
  return json;
}

OrderedJson ToolCallJson(const ToolCall& call) {
  return {{"id", absl::StrCat("call_", call.id)},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

const char* FinishReason(const Choice& choice) {
  return choice.end == Choice::End::kLength ? "length" : choice.end == Choice::End::kToolCalls ? "tool_calls" : "stop";
}

std::string AnswerId(const Answer& answer) { return absl::StrCat("chatcmpl-", answer.id); }

class StreamWriter {
 public:
  StreamWriter(const Ask& ask, const Answer& answer, UsageShown usage)
      : answer_(answer),
        shown_(usage == UsageShown::kZero ? Usage{} : answer.usage),
        asked_(ask.include_usage && usage != UsageShown::kAbsent) {}

  // The last of all chunks with choices is `last`: where some providers put the usage.
  void Delta(int64_t index, OrderedJson delta, const std::string& finish_reason = "", bool last = false) {
    OrderedJson choice = {{"index", index}, {"delta", std::move(delta)}, {"logprobs", nullptr}};
    choice["finish_reason"] = finish_reason.empty() ? OrderedJson(nullptr) : OrderedJson(finish_reason);
    OrderedJson event = Head();
    bool tells = false;
    if (asked_ && answer_.shape == UsageShape::kEveryChunk) {
      Usage so_far = shown_;
      so_far.output = std::min(so_far.output, tokens);
      so_far.reasoning = std::min(so_far.reasoning, so_far.output);
      event["usage"] = UsageJson(so_far, answer_.shape);
      tells = last;
    } else if (asked_ && last && answer_.shape == UsageShape::kGroq) {
      event["x_groq"] = {{"id", "req_simulated"}, {"usage", UsageJson(shown_, answer_.shape)}};
      tells = true;
    } else if (asked_ && last && answer_.shape == UsageShape::kLastChunk) {
      event["usage"] = UsageJson(shown_, answer_.shape);
      tells = true;
    } else if (asked_ && last && answer_.shape == UsageShape::kMoonshot) {
      choice["usage"] = UsageJson(shown_, answer_.shape);
      tells = true;
    } else if (asked_) {
      event["usage"] = nullptr;
    }
    event["choices"] = OrderedJson::array({std::move(choice)});
    events.push_back({"", Dump(event), tokens, tells});
  }
  void UsageEvent() {
    const bool in_chunks = answer_.shape == UsageShape::kGroq || answer_.shape == UsageShape::kLastChunk ||
                           answer_.shape == UsageShape::kMoonshot || answer_.shape == UsageShape::kEveryChunk;
    if (!asked_ || in_chunks) return;
    OrderedJson event = Head();
    event["choices"] = OrderedJson::array();
    event["usage"] = UsageJson(shown_, answer_.shape);
    events.push_back({"", Dump(event), tokens, Readable(answer_.shape)});
  }

  std::vector<StreamEvent> events;
  int64_t tokens = 0;

 private:
  OrderedJson Head() const {
    return {{"id", AnswerId(answer_)}, {"object", "chat.completion.chunk"}, {"created", answer_.created},
            {"model", answer_.model},  {"service_tier", "default"},         {"system_fingerprint", "fp_simulated"}};
  }
  const Answer& answer_;
  const Usage shown_;
  bool asked_;
};

// Text of a message, and how many parts are something else.
absl::StatusOr<std::pair<std::string, int64_t>> ReadContent(const Json& message) {
  std::pair<std::string, int64_t> content{"", 0};
  const Json* const found = Find(message, "content");
  if (found == nullptr) return content;
  if (found->is_string()) {
    content.first = found->get<std::string>();
    return content;
  }
  if (!found->is_array()) {
    return Invalid("Invalid type for 'messages[].content': expected a string or an array of parts.");
  }
  for (const Json& part : *found) {
    if (!part.is_object()) return Invalid("Invalid type for 'messages[].content[]': expected an object.");
    content.first += TextOf(part, "text");
    content.second += IsString(part, "text") ? 0 : 1;
  }
  return content;
}

absl::Status ReadMessages(const Json& body, AskReader& reader) {
  const Json* const messages = Find(body, "messages");
  if (messages == nullptr) return Invalid("Missing required parameter: 'messages'.");
  if (!messages->is_array() || messages->empty()) return Invalid("Invalid 'messages': expected a non-empty array.");
  for (const Json& message : *messages) {
    if (!IsString(message, "role")) return Invalid("Missing required parameter: 'messages[].role'.");
    const std::string role = TextOf(message, "role");
    absl::StatusOr<std::pair<std::string, int64_t>> content = ReadContent(message);
    if (!content.ok()) return content.status();
    reader.Turn(role == "user"                         ? AskReader::Role::kUser
                : role == "assistant"                  ? AskReader::Role::kAssistant
                : role == "tool" || role == "function" ? AskReader::Role::kTool
                                                       : AskReader::Role::kSystem,
                content->first, content->second);
  }
  return absl::OkStatus();
}

absl::Status ReadTools(const Json& body, AskReader& reader) {
  const Json* const tools = Find(body, "tools");
  if (tools == nullptr) return absl::OkStatus();
  if (!tools->is_array()) return Invalid("Invalid type for 'tools': expected an array.");
  for (const Json& tool : *tools) {
    const Json* const function = Find(tool, "function");
    if (function == nullptr || !IsString(*function, "name")) {
      return Invalid("Missing required parameter: 'tools[].function.name'.");
    }
    const Json* const parameters = Find(*function, "parameters");
    reader.OfferTool(TextOf(*function, "name"), TextOf(*function, "description"),
                     parameters == nullptr ? Json() : *parameters);
  }
  if (const Json* const parallel = Find(body, "parallel_tool_calls"); parallel != nullptr && *parallel == false) {
    reader.OneToolOnly();
  }
  const Json* const choice = Find(body, "tool_choice");
  if (choice == nullptr) return absl::OkStatus();
  if (*choice == "none") reader.ForbidTools();
  if (*choice == "required") reader.DemandAnyTool();
  if (const Json* const function = Find(*choice, "function")) reader.DemandTool(TextOf(*function, "name"));
  return absl::OkStatus();
}

void ReadFormat(const Json& body, AskReader& reader) {
  const Json* const format = Find(body, "response_format");
  if (format == nullptr) return;
  if (TextOf(*format, "type") == "json_object") {
    reader.DemandJson({{"type", "object"}, {"properties", {{"answer", {{"type", "string"}}}}}});
  }
  const Json* const described = Find(*format, "json_schema");
  if (described == nullptr) return;
  const Json* const schema = Find(*described, "schema");
  reader.DemandJson(schema == nullptr ? Json::object() : *schema);
}

absl::Status ReadStops(const Json& body, AskReader& reader) {
  const Json* const stop = Find(body, "stop");
  if (stop == nullptr) return absl::OkStatus();
  if (!stop->is_string() && !stop->is_array())
    return Invalid("Invalid type for 'stop': expected a string or an array.");
  if (stop->is_string()) reader.Stop(stop->get<std::string>());
  for (const Json& one : stop->is_array() ? *stop : Json::array()) reader.Stop(one.get<std::string>());
  return absl::OkStatus();
}

absl::Status ReadStreaming(const Json& body, Ask& ask) {
  if (const Json* const stream = Find(body, "stream")) {
    if (!stream->is_boolean()) return Invalid("Invalid type for 'stream': expected a boolean.");
    ask.stream = *stream == true;
  }
  if (const Json* const options = Find(body, "stream_options")) {
    if (!ask.stream) return Invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (!options->is_object()) return Invalid("Invalid type for 'stream_options': expected an object.");
    ask.include_usage = IsTrue(*options, "include_usage");
  }
  return absl::OkStatus();
}

absl::Status ReadSizes(const Json& body, Ask& ask) {
  const absl::StatusOr<int64_t> choices = PositiveOr(body, "n", 1);
  if (!choices.ok()) return choices.status();
  if (*choices > kChoicesMax) return Invalid("Invalid 'n': integer above maximum value. Expected a value <= 128.");
  ask.choices = *choices;
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    const absl::StatusOr<int64_t> cap = PositiveOr(body, key, -1);
    if (!cap.ok()) return cap.status();
    if (*cap >= 0) ask.output_cap = ask.output_cap < 0 ? *cap : std::min(ask.output_cap, *cap);
  }
  return absl::OkStatus();
}

class Chat : public Format {
 public:
  std::string_view name() const override { return "chat"; }

  absl::StatusOr<Ask> Read(const Target& target, const Json& body) const override {
    Ask ask;
    AskReader reader;
    ask.model = IsString(body, "model") ? TextOf(body, "model") : target.model;
    if (ask.model.empty()) return Invalid("you must provide a model parameter");
    if (!target.model.empty() && QueryValue(target.query, "api-version").empty()) {
      return Invalid("Missing required query parameter: api-version");
    }
    for (const absl::Status& status : {ReadMessages(body, reader), ReadTools(body, reader), ReadStops(body, reader),
                                       ReadStreaming(body, ask), ReadSizes(body, ask)}) {
      if (!status.ok()) return status;
    }
    ReadFormat(body, reader);
    if (IsString(body, "prompt_cache_key")) reader.HintCache();
    reader.Reason(TextOf(body, "reasoning_effort"));
    return reader.Take(std::move(ask));
  }

  std::string Unary(const Ask&, const Answer& answer, UsageShown usage) const override {
    OrderedJson choices = OrderedJson::array();
    for (size_t i = 0; i < answer.choices.size(); ++i) {
      const Choice& choice = answer.choices[i];
      OrderedJson message = {{"role", "assistant"}};
      if (answer.shape == UsageShape::kDeepSeek && !choice.thought.empty()) {
        message["reasoning_content"] = choice.thought;
      }
      message["content"] = choice.tool_calls.empty() ? OrderedJson(choice.text) : OrderedJson(nullptr);
      for (const ToolCall& call : choice.tool_calls) message["tool_calls"].push_back(ToolCallJson(call));
      message["refusal"] = nullptr;
      message["annotations"] = OrderedJson::array();
      choices.push_back({{"index", i},
                         {"message", std::move(message)},
                         {"logprobs", nullptr},
                         {"finish_reason", FinishReason(choice)}});
    }
    OrderedJson json = {{"id", AnswerId(answer)},
                        {"object", "chat.completion"},
                        {"created", answer.created},
                        {"model", answer.model},
                        {"choices", std::move(choices)}};
    if (usage != UsageShown::kAbsent)
      json["usage"] = UsageJson(usage == UsageShown::kZero ? Usage{} : answer.usage, answer.shape);
    json["service_tier"] = "default";
    json["system_fingerprint"] = "fp_simulated";
    return Dump(json);
  }

  // Role, pieces of text (or the tool calls), finish reason for each choice, then usage where the shape puts it when
  // the request asked for it.
  std::vector<StreamEvent> Stream(const Ask& ask, const Answer& answer, int chunks, UsageShown usage) const override {
    StreamWriter writer(ask, answer, usage);
    for (size_t i = 0; i < answer.choices.size(); ++i) {
      StreamChoice(answer.choices[i], i, i + 1 == answer.choices.size(), chunks, answer.shape, writer);
    }
    writer.UsageEvent();
    writer.events.push_back({"", "[DONE]", writer.tokens});
    return std::move(writer.events);
  }

  ErrorReply Error(int status, std::string_view message, int64_t) const override {
    const char* const type = status == 429 ? "requests" : status >= 500 ? "server_error" : "invalid_request_error";
    OrderedJson error = {{"message", std::string(message)}, {"type", type}, {"param", nullptr}};
    error["code"] = status == 401   ? OrderedJson("invalid_api_key")
                    : status == 429 ? OrderedJson("rate_limit_exceeded")
                    : status >= 500 ? OrderedJson("server_error")
                                    : OrderedJson(nullptr);
    return {Dump({{"error", std::move(error)}}), {}};
  }

  std::string ErrorEvent(const Target&) const override {
    return absl::StrCat("data: ", Error(500, "The server had an error while processing your request.", -1).body,
                        "\n\n");
  }

 private:
  static void StreamChoice(const Choice& choice, size_t position, bool last, int chunks, UsageShape shape,
                           StreamWriter& writer) {
    const int64_t index = static_cast<int64_t>(position);
    const int64_t before = writer.tokens;
    writer.tokens = before + choice.reasoning_tokens;
    const int64_t base = writer.tokens;
    OrderedJson first = {{"role", "assistant"}};
    first["content"] = choice.tool_calls.empty() ? OrderedJson("") : OrderedJson(nullptr);
    first["refusal"] = nullptr;
    writer.Delta(index, std::move(first));
    if (shape == UsageShape::kDeepSeek) {
      for (const std::string& piece : SplitText(choice.thought, chunks)) {
        writer.Delta(index, {{"content", nullptr}, {"reasoning_content", piece}});
      }
    }
    size_t sent = 0;
    for (const std::string& piece : SplitText(choice.text, chunks)) {
      sent += piece.size();
      writer.tokens = base + TokensOf(sent);
      writer.Delta(index, {{"content", piece}});
    }
    for (size_t call = 0; call < choice.tool_calls.size(); ++call) {
      OrderedJson opening = ToolCallJson(choice.tool_calls[call]);
      opening["function"]["arguments"] = "";
      OrderedJson indexed = {{"index", call}};
      indexed.update(opening);
      writer.Delta(index, {{"tool_calls", OrderedJson::array({std::move(indexed)})}});
      for (const std::string& piece : SplitText(choice.tool_calls[call].arguments, chunks)) {
        OrderedJson part = {{"index", call}, {"function", {{"arguments", piece}}}};
        writer.Delta(index, {{"tool_calls", OrderedJson::array({std::move(part)})}});
      }
    }
    writer.tokens = before + choice.tokens;
    writer.Delta(index, OrderedJson::object(), FinishReason(choice), last);
  }
};

}  // namespace

std::string BilledChatError(std::string_view message, const Answer& answer) {
  OrderedJson error = {
      {"message", std::string(message)}, {"type", "server_error"}, {"param", nullptr}, {"code", nullptr}};
  return Dump({{"error", std::move(error)}, {"usage", UsageJson(answer.usage, answer.shape)}});
}

const Format& ChatFormat() {
  static const Chat format;
  return format;
}

}  // namespace signalbox::sim
