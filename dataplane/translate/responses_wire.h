// OpenAI's Responses between chat completions: the pieces ResponsesClient() is made of. Included by this format's
// sources only. A chat message becomes output items: reasoning, message, function_call, image_generation_call.
// Pure; functions without state.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "dataplane/provider/body_fault.h"
#include "dataplane/translate/chat_json.h"
#include "dataplane/translate/json_members.h"

namespace signalbox {

// Chat completions have no word for it: the reasoning item's encrypted_content holds the blocks as JSON, under this.
inline constexpr char kThinkingBlocks[] = "thinking_blocks";

std::variant<std::string, BodyFault> ResponsesRequest(std::string_view body);

// A whole response object but for its output; `status`: in_progress, completed, incomplete, failed.
Json ResponseHead(const AnswerContext& context, std::string_view status);
// What a finish_reason makes of a response: its status and incomplete_details.
void SetResponseStatus(std::string_view finish_reason, Json& response);
Json ResponsesUsage(const Json& chat_usage);

// Output items. `id` is the answer's, `index` the item's place in the output.
Json ReasoningItem(std::string_view id, size_t index, std::string_view status);
Json MessageItem(std::string_view id, size_t index, std::string_view status);
// `call` is a chat tool call.
Json FunctionCallItem(std::string_view id, size_t index, std::string_view status, const Json& call);
Json ImageItem(std::string_view id, size_t index, const Json& image);
Json OutputText(std::string_view text);
Json Annotations(const Json& chat_annotations);
// Where providers put their reasoning.
std::string ReasoningOf(const Json& message);
// Adds what `more` has to `extra`: objects member by member, arrays joined, anything else replaced.
void MergeExtra(const Json& more, Json& extra);

// An OpenAI-shaped error of an API that is not chat completions, with the original kept; `body` may be anything.
std::string OpenAiError(int status, std::string_view body);

std::unique_ptr<StreamTranslator> ResponsesStream(const AnswerContext& context);

}  // namespace signalbox
