#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/messages_client_wire.h"

namespace signalbox {
namespace {

std::string_view ErrorType(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    case 408:
    case 504:
      return "timeout_error";
    default:
      return status >= 400 && status < 500 ? "invalid_request_error" : "api_error";
  }
}

void AddText(const Json& content, Json& blocks) {
  if (content.is_string() && !content.get_ref<const std::string&>().empty()) {
    blocks.push_back(Json{{"type", "text"}, {"text", content}, {"citations", nullptr}});
  }
  if (!content.is_array()) return;
  for (const Json& part : content) {
    if (const Json* text = Find(part, "text")) AddText(*text, blocks);
  }
}

Json ToolUse(const Json& call, std::string fallback_id) {
  const Json* function = FindObject(call, "function");
  const std::string arguments = function == nullptr ? "" : StringAt(*function, "arguments");
  std::optional<Json> input = arguments.empty() ? Json::object() : ParseJson(arguments);
  // A model may write arguments that are no object; the client still gets to see them.
  if (!input || !input->is_object()) input = Json{{"INVALID_JSON", arguments}};
  return {{"type", "tool_use"},
          {"id", StringAt(call, "id", fallback_id)},
          {"name", function == nullptr ? "" : StringAt(*function, "name")},
          {"input", *std::move(input)}};
}

Json Content(const Json& message, const AnswerContext& context) {
  Json blocks = Json::array();
  if (const Json* signed_blocks = FindArray(message, "thinking_blocks")) {
    blocks = *signed_blocks;
  } else if (std::string reasoning = StringAt(message, "reasoning_content", StringAt(message, "reasoning"));
             !reasoning.empty()) {
    blocks.push_back(Json{{"type", "thinking"}, {"thinking", std::move(reasoning)}, {"signature", ""}});
  }
  if (const Json* content = Find(message, "content")) AddText(*content, blocks);
  if (const Json* refusal = Find(message, "refusal")) AddText(*refusal, blocks);
  if (const Json* calls = FindArray(message, "tool_calls")) {
    for (size_t i = 0; i < calls->size(); ++i) {
      blocks.push_back(ToolUse((*calls)[i], absl::StrCat("toolu_", context.id, "_", i)));
    }
  }
  return blocks;
}

}  // namespace

std::string MessageId(std::string_view chat_id) {
  return chat_id.starts_with("msg_") ? std::string(chat_id) : absl::StrCat("msg_", std::string(chat_id));
}

Json EmptyMessage(std::string id, std::string model) {
  return {{"id", std::move(id)},       {"type", "message"},        {"role", "assistant"},
          {"model", std::move(model)}, {"content", Json::array()}, {"stop_reason", nullptr},
          {"stop_sequence", nullptr},  {"stop_details", nullptr},  {"usage", nullptr}};
}

Json MessagesUsageOf(const Json* usage) {
  const Json said = usage == nullptr ? Json::object() : *usage;
  const Json* input = FindObject(said, "prompt_tokens_details");
  const Json* output = FindObject(said, "completion_tokens_details");
  const int64_t prompt = CountAt(said, "prompt_tokens").value_or(0);
  int64_t cached = input == nullptr ? 0 : CountAt(*input, "cached_tokens").value_or(0);
  if (cached == 0) cached = CountAt(said, "prompt_cache_hit_tokens").value_or(0);
  cached = std::min(cached, prompt);
  int64_t written = input == nullptr ? 0 : CountAt(*input, "cache_write_tokens").value_or(0);
  written = std::min(written, prompt - cached);
  int64_t written_1h = input == nullptr ? 0 : CountAt(*input, "cache_write_1h_tokens").value_or(0);
  written_1h = std::min(written_1h, written);
  const int64_t reasoning = output == nullptr ? 0 : CountAt(*output, "reasoning_tokens").value_or(0);
  Json result = {{"input_tokens", prompt - cached - written},
                 {"cache_creation_input_tokens", written},
                 {"cache_read_input_tokens", cached},
                 {"cache_creation", nullptr},
                 {"output_tokens", CountAt(said, "completion_tokens").value_or(0)},
                 {"output_tokens_details", nullptr},
                 {"server_tool_use", nullptr},
                 {"service_tier", nullptr}};
  if (written > 0) {
    result["cache_creation"] = {{"ephemeral_5m_input_tokens", written - written_1h},
                                {"ephemeral_1h_input_tokens", written_1h}};
  }
  if (reasoning > 0) result["output_tokens_details"] = {{"thinking_tokens", reasoning}};
  if (const Json* tools = FindObject(said, "server_tool_use")) result["server_tool_use"] = *tools;
  return result;
}

void SetMessagesStop(const Json& choice, bool has_calls, Json& to) {
  const std::string finish = StringAt(choice, "finish_reason");
  std::string reason = "end_turn";
  if (finish == "length") reason = "max_tokens";
  if (finish == "content_filter") reason = "refusal";
  if (finish == "tool_calls" || finish == "function_call" || (finish == "stop" && has_calls)) reason = "tool_use";
  const std::string native = StringAt(choice, "native_finish_reason");
  for (const char* known : {"stop_sequence", "pause_turn", "refusal", "model_context_window_exceeded"}) {
    if (native == known) reason = native;
  }
  to["stop_reason"] = reason;
  to["stop_sequence"] = nullptr;
  if (std::string stop = StringAt(choice, "stop_sequence"); !stop.empty()) to["stop_sequence"] = std::move(stop);
}

absl::StatusOr<std::string> MessagesFromChat(std::string_view chat_answer, const AnswerContext& context) {
  const std::optional<Json> chat = ParseJson(chat_answer);
  const Json* choices = chat ? FindArray(*chat, "choices") : nullptr;
  if (choices == nullptr || choices->empty()) {
    return absl::DataLossError("the provider's answer is not a chat completion: it has no choices");
  }
  const Json& choice = (*choices)[0];
  const Json* message = FindObject(choice, "message");
  Json answer = EmptyMessage(MessageId(StringAt(*chat, "id", context.id)), StringAt(*chat, "model", context.model));
  bool has_calls = false;
  if (message != nullptr) {
    answer["content"] = Content(*message, context);
    const Json* calls = FindArray(*message, "tool_calls");
    has_calls = calls != nullptr && !calls->empty();
  }
  SetMessagesStop(choice, has_calls, answer);
  answer["usage"] = MessagesUsageOf(FindObject(*chat, "usage"));
  return DumpJson(answer);
}

Json MessagesErrorOf(int status, const Json& chat_error) {
  const Json* said = FindObject(chat_error, "error");
  Json error = {{"type", std::string(ErrorType(status))},
                {"message", said == nullptr ? absl::StrCat("the request failed with status ", status)
                                            : StringAt(*said, "message")}};
  for (const char* key : {"code", "param", "provider_error"}) {
    const Json* value = said == nullptr ? nullptr : Find(*said, key);
    if (value != nullptr) error[key] = *value;
  }
  return {{"type", "error"}, {"error", std::move(error)}, {"request_id", nullptr}};
}

std::string MessagesErrorFromChat(int status, std::string_view chat_error) {
  const std::optional<Json> parsed = ParseJson(chat_error);
  if (!parsed || FindObject(*parsed, "error") == nullptr) {
    return DumpJson(MessagesErrorOf(
        status, ChatError(status, ErrorSentence(status, chat_error), "", nullptr, OriginalError(chat_error))));
  }
  return DumpJson(MessagesErrorOf(status, *parsed));
}

}  // namespace signalbox
