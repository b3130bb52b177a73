// Clients of Anthropic Messages before chat completions: the pieces MessagesClient() is made of. Included by this
// format's sources only. Requests go one way, answers, streams and errors the other. Pure.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

std::variant<std::string, BodyFault> ChatFromMessages(std::string_view body);

absl::StatusOr<std::string> MessagesFromChat(std::string_view chat_answer, const AnswerContext& context);
std::string MessagesErrorFromChat(int status, std::string_view chat_error);
std::unique_ptr<StreamTranslator> MessagesStreamFromChat(const AnswerContext& context);

// {"type":"error","error":{"type","message",…}}, with what the chat error said besides (code, param, provider_error).
Json MessagesErrorOf(int status, const Json& chat_error);
// {"input_tokens","output_tokens",…} of a chat completion's usage; `usage` null: zeros, since clients expect figures.
Json MessagesUsageOf(const Json* usage);
// Sets stop_reason and stop_sequence of a choice that ended.
void SetMessagesStop(const Json& choice, bool has_calls, Json& to);
std::string MessageId(std::string_view chat_id);
// {} with the members every message has; content is empty.
Json EmptyMessage(std::string id, std::string model);

}  // namespace signalbox
