#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "dataplane/translate/answer_message.h"
#include "dataplane/translate/messages_wire.h"

namespace signalbox {
namespace {

// Peers' figures are added up: past this they are no figures.
constexpr int64_t kTokensMax = int64_t{1} << 48;

void TakeFigure(const Json& usage, std::string_view key, std::optional<int64_t>& figure) {
  if (const std::optional<int64_t> read = CountAt(usage, key); read && *read <= kTokensMax) figure = read;
}

void TakeBlock(const Json& block, AnswerMessage& message) {
  const std::string type = StringAt(block, "type");
  if (type == "text") {
    message.AddText(StringAt(block, "text"));
    if (const Json* cited = FindArray(block, "citations")) {
      for (const Json& citation : *cited) message.citations.push_back(citation);
    }
  } else if (type == "thinking" || type == "redacted_thinking") {
    message.reasoning += StringAt(block, "thinking");
    message.thinking_blocks.push_back(block);
  } else if (type == "tool_use") {
    const Json* input = FindObject(block, "input");
    message.AddCall(StringAt(block, "id"), StringAt(block, "name"), input == nullptr ? "{}" : DumpJson(*input));
  } else {
    message.others.push_back(block);  // server tools and their results
  }
}

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
  AnswerMessage message;
  for (const Json& block : *blocks) TakeBlock(block, message);
  const bool answer_tool_only = message.answered_by_tool && message.calls.empty();
  Json answer = ChatCompletion({.id = StringAt(*source, "id", context.id),
                                .model = StringAt(*source, "model", context.model),
                                .created_s = context.created_s});
  Json choice = {{"index", 0}, {"message", std::move(message).Message()}, {"finish_reason", nullptr}};
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
