#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "dataplane/translate/claude_models.h"
#include "dataplane/translate/messages_wire.h"

namespace signalbox {
namespace {

// Peers' figures are added up: past this they are no figures.
constexpr int64_t kTokensMax = int64_t{1} << 48;

void TakeFigure(const Json& usage, std::string_view key, std::optional<int64_t>& figure) {
  if (const std::optional<int64_t> read = CountAt(usage, key); read && *read <= kTokensMax) figure = read;
}

// One answer's content, gathered block by block.
struct Content {
  std::string text;
  std::string reasoning;
  Json thinking_blocks = Json::array();
  Json calls = Json::array();
  Json citations = Json::array();
  Json others = Json::array();
  bool has_text = false;
  bool answered_by_tool = false;

  void Take(const Json& block) {
    const std::string type = StringAt(block, "type");
    if (type == "text") {
      has_text = true;
      text += StringAt(block, "text");
      if (const Json* cited = FindArray(block, "citations")) {
        for (const Json& citation : *cited) citations.push_back(citation);
      }
    } else if (type == "thinking" || type == "redacted_thinking") {
      reasoning += StringAt(block, "thinking");
      thinking_blocks.push_back(block);
    } else if (type == "tool_use") {
      TakeCall(block);
    } else {
      others.push_back(block);
    }
  }

  void TakeCall(const Json& block) {
    const Json* input = FindObject(block, "input");
    std::string arguments = input == nullptr ? "{}" : DumpJson(*input);
    if (StringAt(block, "name") == kAnswerTool) {
      has_text = answered_by_tool = true;
      text += arguments;
      return;
    }
    calls.push_back(Json{{"id", StringAt(block, "id")},
                         {"type", "function"},
                         {"function", {{"name", StringAt(block, "name")}, {"arguments", std::move(arguments)}}}});
  }

  // `provider_content` holds what chat completions have no word for (server tools and their results).
  Json Message() && {
    Json message = {{"role", "assistant"}, {"content", nullptr}};
    if (has_text || calls.empty()) message["content"] = std::move(text);
    message["refusal"] = nullptr;
    if (!reasoning.empty()) message["reasoning_content"] = std::move(reasoning);
    if (!thinking_blocks.empty()) message["thinking_blocks"] = std::move(thinking_blocks);
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    if (!citations.empty()) message["citations"] = std::move(citations);
    if (!others.empty()) message["provider_content"] = std::move(others);
    return message;
  }
};

}  // namespace

bool MessagesUsage::Take(const Json& usage) {
  TakeFigure(usage, "input_tokens", input);
  TakeFigure(usage, "output_tokens", output);
  TakeFigure(usage, "cache_read_input_tokens", cache_read);
  TakeFigure(usage, "cache_creation_input_tokens", cache_write);
  if (const Json* creation = FindObject(usage, "cache_creation")) {
    TakeFigure(*creation, "ephemeral_1h_input_tokens", cache_write_1h);
  }
  if (const Json* details = FindObject(usage, "output_tokens_details")) {
    TakeFigure(*details, "thinking_tokens", thinking);
  }
  return input.has_value() && output.has_value();
}

ChatUsage MessagesUsage::Chat() const {
  ChatUsage chat;
  chat.cached = cache_read.value_or(0);
  chat.cache_write = std::max(cache_write.value_or(0), cache_write_1h.value_or(0));
  chat.cache_write_1h = cache_write_1h.value_or(0);
  chat.prompt = input.value_or(0) + chat.cached + chat.cache_write;
  chat.completion = output.value_or(0);
  chat.reasoning = std::min(thinking.value_or(0), chat.completion);
  return chat;
}

void SetStopReason(const Json& source, bool answer_tool_only, Json& choice) {
  const std::string reason = StringAt(source, "stop_reason");
  std::string_view finish = "stop";
  if (reason == "max_tokens" || reason == "model_context_window_exceeded") finish = "length";
  if (reason == "tool_use" && !answer_tool_only) finish = "tool_calls";
  if (reason == "refusal") finish = "content_filter";
  choice["finish_reason"] = std::string(finish);
  const bool says_more = reason != "end_turn" && reason != "max_tokens" && reason != "tool_use" && !reason.empty();
  if (says_more) choice["native_finish_reason"] = reason;
  if (std::string stop = StringAt(source, "stop_sequence"); !stop.empty()) choice["stop_sequence"] = std::move(stop);
}

absl::StatusOr<std::string> MessagesAnswer(std::string_view body, const AnswerContext& context) {
  const std::optional<Json> source = ParseJson(body);
  const Json* blocks = source ? FindArray(*source, "content") : nullptr;
  if (blocks == nullptr) {
    return absl::DataLossError("the provider's answer is not a message of Anthropic's: it has no `content` array");
  }
  Content content;
  for (const Json& block : *blocks) content.Take(block);
  const bool answer_tool_only = content.answered_by_tool && content.calls.empty();
  Json answer = ChatCompletion({.id = StringAt(*source, "id", context.id),
                                .model = StringAt(*source, "model", context.model),
                                .created_s = context.created_s});
  Json choice = {{"index", 0}, {"message", std::move(content).Message()}, {"finish_reason", nullptr}};
  if (const Json* details = FindObject(*source, "stop_details")) {
    if (std::string why = StringAt(*details, "explanation"); !why.empty())
      choice["message"]["refusal"] = std::move(why);
  }
  SetStopReason(*source, answer_tool_only, choice);
  answer["choices"].push_back(std::move(choice));
  MessagesUsage usage;
  if (const Json* said = FindObject(*source, "usage"); said != nullptr && usage.Take(*said)) {
    answer["usage"] = ChatUsageJson(usage.Chat());
    if (const Json* tools = FindObject(*said, "server_tool_use")) answer["usage"]["server_tool_use"] = *tools;
  }
  return DumpJson(answer);
}

int StatusOfErrorType(std::string_view type) {
  if (type == "authentication_error") return 401;
  if (type == "billing_error") return 402;
  if (type == "permission_error") return 403;
  if (type == "not_found_error") return 404;
  if (type == "request_too_large") return 413;
  if (type == "rate_limit_error") return 429;
  if (type == "timeout_error") return 504;
  if (type == "overloaded_error") return 529;
  return type == "invalid_request_error" ? 400 : 500;
}

Json MessagesErrorJson(int status, const Json& body, std::string_view sentence) {
  const Json* error = FindObject(body, "error");
  const std::string type = error == nullptr ? "" : StringAt(*error, "type");
  return ChatError(status, error == nullptr ? std::string(sentence) : StringAt(*error, "message", sentence), "",
                   type.empty() ? Json(nullptr) : Json(type), body);
}

std::string MessagesError(int status, std::string_view body) {
  return DumpJson(MessagesErrorJson(status, OriginalError(body), ErrorSentence(status, body)));
}

}  // namespace signalbox
