// Anthropic Messages between chat completions: the pieces MessagesProvider() is made of. Included by this format's
// sources only. Requests go one way, answers, streams and errors the other. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

std::variant<std::string, BodyFault> MessagesRequest(std::string_view chat_body);

absl::StatusOr<std::string> MessagesAnswer(std::string_view body, const AnswerContext& context);
std::string MessagesError(int status, std::string_view body);
std::unique_ptr<StreamTranslator> MessagesStream(const AnswerContext& context);

// Takes the figures that `usage` has over those of before: a stream tells some at its start and the rest at its end.
// False when it has none.
struct MessagesUsage {
  std::optional<int64_t> input, output, cache_read, cache_write, cache_write_1h, thinking;
  bool Take(const Json& usage);
  ChatUsage Chat() const;
};

// `finish_reason`, and `native_finish_reason` and `stop_sequence` beside it where those say more. `answer_tool_only`:
// the one tool called was kAnswerTool.
void SetStopReason(const Json& source, bool answer_tool_only, Json& choice);

// {"type":"error","error":{"type","message"}} as {"error":{...}}.
Json MessagesErrorJson(int status, const Json& body, std::string_view sentence);
int StatusOfErrorType(std::string_view type);

}  // namespace signalbox
