#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/responses_wire.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

// nullopt when there is none, or it is not to be believed.
std::optional<ChatUsage> ReadResponseUsage(const Json& response) {
  const Json* usage = FindObject(response, "usage");
  if (usage == nullptr) return std::nullopt;
  const std::optional<int64_t> input = CountAt(*usage, "input_tokens");
  const std::optional<int64_t> output = CountAt(*usage, "output_tokens");
  if (!input || !output) return std::nullopt;
  ChatUsage chat;
  chat.prompt = *input;
  chat.completion = *output;
  if (const Json* details = FindObject(*usage, "input_tokens_details")) {
    chat.cached = CountAt(*details, "cached_tokens").value_or(0);
    chat.cache_write = CountAt(*details, "cache_write_tokens").value_or(0);
    chat.audio_input = CountAt(*details, "audio_tokens").value_or(0);
  }
  if (const Json* details = FindObject(*usage, "output_tokens_details")) {
    chat.reasoning = CountAt(*details, "reasoning_tokens").value_or(0);
    chat.audio_output = CountAt(*details, "audio_tokens").value_or(0);
  }
  return chat;
}

std::string FinishReason(const Json& response, bool has_calls) {
  if (StringAt(response, "status") == "incomplete") {
    const Json* details = FindObject(response, "incomplete_details");
    const bool filtered = details != nullptr && StringAt(*details, "reason") == "content_filter";
    return filtered ? "content_filter" : "length";
  }
  return has_calls ? "tool_calls" : "stop";
}

// The texts of an item's parts, joined.
std::string Texts(const Json& item, std::string_view list, std::string_view type, std::string_view key) {
  std::string text;
  const Json* parts = FindArray(item, list);
  for (size_t i = 0; parts != nullptr && i < parts->size(); ++i) {
    if (StringAt((*parts)[i], "type") == type) text += StringAt((*parts)[i], key);
  }
  return text;
}

Json Message(const Json& output) {
  std::string text, refusal, reasoning;
  bool has_message = false;
  Json calls = Json::array();
  for (const Json& item : output) {
    const std::string type = StringAt(item, "type");
    if (type == "message") {
      has_message = true;
      text += Texts(item, "content", "output_text", "text");
      refusal += Texts(item, "content", "refusal", "refusal");
    } else if (type == "reasoning") {
      reasoning += Texts(item, "summary", "summary_text", "text") + Texts(item, "content", "reasoning_text", "text");
    } else if (type == "function_call" || type == "custom_tool_call") {
      const char* arguments = type == "function_call" ? "arguments" : "input";
      calls.push_back({{"id", StringAt(item, "call_id")},
                       {"type", "function"},
                       {"function", {{"name", StringAt(item, "name")}, {"arguments", StringAt(item, arguments)}}}});
    }
  }
  Json message = {{"role", "assistant"}, {"content", has_message ? Json(std::move(text)) : Json(nullptr)}};
  if (!reasoning.empty()) message["reasoning_content"] = std::move(reasoning);
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  message["refusal"] = refusal.empty() ? Json(nullptr) : Json(std::move(refusal));
  return message;
}

// An error of a response or of a stream's error event, flat or under "error".
Json ErrorOf(const Json& holder) {
  const Json* nested = FindObject(holder, "error");
  const Json& error = nested == nullptr ? holder : *nested;
  const Json* code = Find(error, "code");
  const bool limited = code != nullptr && *code == "rate_limit_exceeded";
  Json chat = ChatError(limited ? 429 : 500, StringAt(error, "message", "the provider's response failed"), "",
                        code == nullptr ? Json(nullptr) : *code, error);
  if (const Json* param = Find(error, "param")) chat["error"]["param"] = *param;
  return chat;
}

// Events that say what the answer costs or holds; all others (a native stream has dozens) say nothing here.
class ResponsesStreamReader : public StreamTranslator {
 public:
  explicit ResponsesStreamReader(const AnswerContext& context) : context_(context) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    absl::StatusOr<std::vector<SseEvent>> events = reader_.Feed(bytes);
    if (!events.ok()) return events.status();
    std::string out;
    for (const SseEvent& event : *events) {
      if (ended_) break;
      const std::optional<Json> json = ParseJson(event.data);
      if (!json || !json->is_object()) {
        return absl::DataLossError("the provider sent a stream event that is not a JSON object");
      }
      Take(StringAt(*json, "type", event.name), *json, out);
    }
    return out;
  }

  std::string Finish() override { return ""; }  // all was said at the last event

 private:
  void Take(const std::string& type, const Json& event, std::string& out) {
    if (type == "response.created") {
      if (const Json* response = FindObject(event, "response")) {
        context_.id = StringAt(*response, "id", context_.id);
        context_.model = StringAt(*response, "model", context_.model);
      }
      out += ChatChunk(context_, {{"role", "assistant"}});
    } else if (type == "response.output_text.delta") {
      out += ChatChunk(context_, {{"content", StringAt(event, "delta")}});
    } else if (type == "response.refusal.delta") {
      out += ChatChunk(context_, {{"refusal", StringAt(event, "delta")}});
    } else if (type == "response.reasoning_summary_text.delta" || type == "response.reasoning_text.delta") {
      out += ChatChunk(context_, {{"reasoning_content", StringAt(event, "delta")}});
    } else if (type == "response.output_item.added") {
      BeginCall(event, out);
    } else if (type == "response.function_call_arguments.delta" || type == "response.custom_tool_call_input.delta") {
      const auto call = calls_.find(CountAt(event, "output_index").value_or(-1));
      if (call != calls_.end()) {
        out += CallChunk({{"index", call->second}, {"function", {{"arguments", StringAt(event, "delta")}}}});
      }
    } else if (type == "response.completed" || type == "response.incomplete" || type == "response.failed") {
      End(type, event, out);
    } else if (type == "error" || FindObject(event, "error") != nullptr) {
      ended_ = true;
      out += FormatSse("", DumpJson(ErrorOf(event)));
    }
  }

  std::string CallChunk(Json call) const {
    return ChatChunk(context_, {{"tool_calls", Json::array({std::move(call)})}});
  }

  void BeginCall(const Json& event, std::string& out) {
    const Json* item = FindObject(event, "item");
    const std::string type = item == nullptr ? std::string() : StringAt(*item, "type");
    if (type != "function_call" && type != "custom_tool_call") return;
    const int64_t place = CountAt(event, "output_index").value_or(static_cast<int64_t>(calls_.size()));
    const auto [call, added] = calls_.emplace(place, calls_.size());
    if (!added) return;
    out += CallChunk({{"index", call->second},
                      {"id", StringAt(*item, "call_id")},
                      {"type", "function"},
                      {"function", {{"name", StringAt(*item, "name")}, {"arguments", ""}}}});
  }

  void End(const std::string& type, const Json& event, std::string& out) {
    ended_ = true;
    const Json* found = FindObject(event, "response");
    const Json response = found == nullptr ? Json::object() : *found;
    const bool failed = type == "response.failed";
    if (!failed) out += ChatChunk(context_, Json::object(), FinishReason(response, !calls_.empty()));
    if (const std::optional<ChatUsage> usage = ReadResponseUsage(response)) out += ChatUsageChunk(context_, *usage);
    out += failed ? FormatSse("", DumpJson(ErrorOf(response))) : std::string(kChatDone);
  }

  AnswerContext context_;
  SseReader reader_;
  std::map<int64_t, size_t> calls_;  // by the item's place in the output
  bool ended_ = false;
};

class ResponsesAnswersTranslator : public AnswerTranslator {
 public:
  absl::StatusOr<std::string> Answer(std::string_view body, const AnswerContext& context) const override {
    const std::optional<Json> response = ParseJson(body);
    const Json* output = response ? FindArray(*response, "output") : nullptr;
    if (output == nullptr) {
      return absl::DataLossError("the provider's answer has no output: an OpenAI response was expected");
    }
    AnswerContext named = context;
    named.id = StringAt(*response, "id", context.id);
    named.model = StringAt(*response, "model", context.model);
    named.created_s = CountAt(*response, "created_at").value_or(context.created_s);
    Json chat = ChatCompletion(named);
    Json message = Message(*output);
    std::string reason = FinishReason(*response, message.contains("tool_calls"));
    chat["choices"].push_back({{"index", 0}, {"message", std::move(message)}, {"finish_reason", std::move(reason)}});
    if (const std::optional<ChatUsage> usage = ReadResponseUsage(*response)) chat["usage"] = ChatUsageJson(*usage);
    return DumpJson(chat);
  }

  std::string Error(int status, std::string_view body) const override { return OpenAiError(status, body); }

  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return std::make_unique<ResponsesStreamReader>(context);
  }
};

}  // namespace

std::string OpenAiError(int status, std::string_view body) {
  const std::optional<Json> parsed = ParseJson(body);
  const Json* error = parsed ? FindObject(*parsed, "error") : nullptr;
  if (error == nullptr) {
    return DumpJson(ChatError(status, ErrorSentence(status, body), "", nullptr, OriginalError(body)));
  }
  const Json* code = Find(*error, "code");
  Json chat = ChatError(status, StringAt(*error, "message"), StringAt(*error, "type"),
                        code == nullptr ? Json(nullptr) : *code, *error);
  if (const Json* param = Find(*error, "param")) chat["error"]["param"] = *param;
  return DumpJson(chat);
}

const AnswerTranslator& ResponsesAnswers() {
  static const ResponsesAnswersTranslator kTranslator;
  return kTranslator;
}

}  // namespace signalbox
