// Bedrock's Converse between chat completions: the pieces ConverseProvider() is made of. Included by this format's
// sources only. Requests go one way, answers, streams and errors the other. The model and whether to stream are in the
// path, not in the body. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

std::variant<std::string, BodyFault> ConverseRequest(std::string_view chat_body);

absl::StatusOr<std::string> ConverseAnswer(std::string_view body, const AnswerContext& context);
std::string ConverseError(int status, std::string_view body);
std::unique_ptr<StreamTranslator> ConverseStream(const AnswerContext& context);

// nullopt when `usage` has no figures, or such that are none.
std::optional<ChatUsage> ReadConverseUsage(const Json& usage);
// `finish_reason`, and `native_finish_reason` and `stop_sequence` beside it where those say more. `source` has
// stopReason and additionalModelResponseFields. `answer_tool_only`: the one tool called was kAnswerTool.
void SetConverseStop(const Json& source, bool answer_tool_only, Json& choice);
// Anthropic's block for a reasoningContent: what thinking_blocks hold whoever served the model.
Json ThinkingBlockOf(const Json& reasoning_content);

// {"message"} of an error or exception as {"error":{...}}; `type`: ThrottlingException …, empty: not said.
Json ConverseErrorJson(int status, std::string_view type, const Json& body, std::string_view sentence);
int StatusOfException(std::string_view type);

}  // namespace signalbox
