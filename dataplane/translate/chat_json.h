// JSON as all translators read and build it, and the pieces of chat completions they give. Member order is kept (a
// model reads a schema in its order); nesting is bounded, so that recursion over what a peer sent ends.
// Pure; nothing here throws on peer input. Values live as long as their document.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/translate/translator.h"

namespace signalbox {

using Json = nlohmann::ordered_json;

// nullopt when `text` is not one valid JSON value. Of members with one name the last counts, as everywhere. Integers
// past 64 bits become floating, and half a surrogate pair U+FFFD.
std::optional<Json> ParseJson(std::string_view text);
// In one line.
std::string DumpJson(const Json& value);

// The member, or null when `object` is no object, has none of that name, or has a JSON null there.
const Json* Find(const Json& object, std::string_view key);
const Json* FindObject(const Json& object, std::string_view key);
const Json* FindArray(const Json& object, std::string_view key);
// Its text; `otherwise` when it is no string.
std::string StringAt(const Json& object, std::string_view key, std::string_view otherwise = "");
// Its value when it is a whole number that int64 holds, not negative (12.0 is 12); nullopt otherwise.
std::optional<int64_t> CountAt(const Json& object, std::string_view key);

// What an answer used, as chat completions count: prompt contains the cache, completion the reasoning.
struct ChatUsage {
  int64_t prompt = 0;
  int64_t completion = 0;
  int64_t cached = 0;
  int64_t cache_write = 0;     // all that was written
  int64_t cache_write_1h = 0;  // of it, what is to be kept for an hour
  int64_t reasoning = 0;
  int64_t audio_input = 0;
  int64_t audio_output = 0;
};
// {"prompt_tokens","completion_tokens","total_tokens","prompt_tokens_details":{"cached_tokens","cache_write_tokens",
// "cache_write_1h_tokens","audio_tokens"},"completion_tokens_details":{"reasoning_tokens","audio_tokens"}}.
Json ChatUsageJson(const ChatUsage& usage);

// {"id","object":"chat.completion","created","model","choices":[],"usage"?}; the caller adds choices.
Json ChatCompletion(const AnswerContext& context);
// "data: {chunk}\n\n" with one choice. `finish_reason` null: not finished.
std::string ChatChunk(const AnswerContext& context, Json delta, Json finish_reason = nullptr);
// The same with a choice that says more: {"index","delta","finish_reason",…}.
std::string ChatChoiceChunk(const AnswerContext& context, Json choice);
// The same without choices, with usage.
std::string ChatUsageChunk(const AnswerContext& context, const ChatUsage& usage);
std::string ChatUsageChunk(const AnswerContext& context, Json usage);
inline constexpr std::string_view kChatDone = "data: [DONE]\n\n";

// {"error":{"message","type","code","param":null,"provider_error"?}}. An empty `type` is made of the status;
// `original`: what the provider said (a discarded value: nothing).
Json ChatError(int status, std::string_view message, std::string_view type, const Json& code, const Json& original);
// OpenAI's type for a status: invalid_request_error, authentication_error, permission_error, not_found_error,
// rate_limit_error, server_error.
std::string_view ErrorTypeOf(int status);

// What a provider said, as it stands in an error: parsed, or its text; discarded when there is nothing.
Json OriginalError(std::string_view body);
// For an error whose body has no message: its first words, or the status.
std::string ErrorSentence(int status, std::string_view body);

// 400 unsupported_parameter: "`param` …why". `why` says what the format cannot do and what to do instead.
BodyFault Unsupported(std::string_view param, std::string_view why);
// 400 invalid_request.
BodyFault Invalid(std::string_view param, std::string_view why);

// "data:<media type>;base64,<data>" taken apart; nullopt when `url` is none of these. Views into `url`.
struct DataUrl {
  std::string_view media_type;
  std::string_view data;
};
std::optional<DataUrl> ParseDataUrl(std::string_view url);

}  // namespace signalbox
