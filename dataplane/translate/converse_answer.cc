#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "dataplane/translate/answer_message.h"
#include "dataplane/translate/converse_wire.h"

namespace signalbox {
namespace {

// Peers' figures are added up: past this they are no figures.
constexpr int64_t kTokensMax = int64_t{1} << 48;

int64_t Figure(const Json& usage, std::string_view key) {
  return std::min(CountAt(usage, key).value_or(0), kTokensMax);
}

void TakeCited(const Json& cited, AnswerMessage& message) {
  if (const Json* parts = FindArray(cited, "content")) {
    for (const Json& part : *parts) message.AddText(StringAt(part, "text"));
  }
  if (const Json* sources = FindArray(cited, "citations")) {
    for (const Json& source : *sources) message.citations.push_back(source);
  }
}

void TakeBlock(const Json& block, AnswerMessage& message) {
  if (const Json* said = Find(block, "text"); said != nullptr && said->is_string()) {
    message.AddText(said->get_ref<const std::string&>());
  } else if (const Json* thought = FindObject(block, "reasoningContent")) {
    const Json* words = FindObject(*thought, "reasoningText");
    if (words != nullptr) message.reasoning += StringAt(*words, "text");
    message.thinking_blocks.push_back(ThinkingBlockOf(*thought));
  } else if (const Json* call = FindObject(block, "toolUse")) {
    const Json* input = Find(*call, "input");
    message.AddCall(StringAt(*call, "toolUseId"), StringAt(*call, "name"), input == nullptr ? "{}" : DumpJson(*input));
  } else if (const Json* cited = FindObject(block, "citationsContent")) {
    TakeCited(*cited, message);
  } else if (block.is_object()) {
    message.others.push_back(block);
  }
}

}  // namespace

Json ThinkingBlockOf(const Json& reasoning_content) {
  if (const Json* redacted = Find(reasoning_content, "redactedContent")) {
    return {{"type", "redacted_thinking"}, {"data", *redacted}};
  }
  const Json* words = FindObject(reasoning_content, "reasoningText");
  return {{"type", "thinking"},
          {"thinking", words == nullptr ? "" : StringAt(*words, "text")},
          {"signature", words == nullptr ? "" : StringAt(*words, "signature")}};
}

std::optional<ChatUsage> ReadConverseUsage(const Json& usage) {
  if (!CountAt(usage, "inputTokens") || !CountAt(usage, "outputTokens")) return std::nullopt;
  ChatUsage chat;
  const int64_t input = Figure(usage, "inputTokens");
  chat.completion = Figure(usage, "outputTokens");
  chat.cached = Figure(usage, "cacheReadInputTokens");
  chat.cache_write = Figure(usage, "cacheWriteInputTokens");
  if (const Json* details = FindArray(usage, "cacheDetails")) {
    for (const Json& detail : *details) {
      if (StringAt(detail, "ttl") == "1h") chat.cache_write_1h = Figure(detail, "inputTokens");
    }
  }
  chat.cache_write = std::max(chat.cache_write, chat.cache_write_1h);
  // What the cache gave and took stands beside the input.
  chat.prompt = input + chat.cached + chat.cache_write;
  return chat;
}

void SetConverseStop(const Json& source, bool answer_tool_only, Json& choice) {
  const std::string reason = StringAt(source, "stopReason");
  std::string_view finish = "stop";
  if (reason == "max_tokens" || reason == "model_context_window_exceeded") finish = "length";
  if (reason == "tool_use" && !answer_tool_only) finish = "tool_calls";
  if (reason == "guardrail_intervened" || reason == "content_filtered" || reason == "refusal") {
    finish = "content_filter";
  }
  choice["finish_reason"] = std::string(finish);
  const bool says_more = reason != "end_turn" && reason != "max_tokens" && reason != "tool_use" && !reason.empty();
  if (says_more) choice["native_finish_reason"] = reason;
  if (const Json* fields = FindObject(source, "additionalModelResponseFields")) {
    if (std::string stop = StringAt(*fields, "stop_sequence"); !stop.empty()) choice["stop_sequence"] = std::move(stop);
  }
}

absl::StatusOr<std::string> ConverseAnswer(std::string_view body, const AnswerContext& context) {
  const std::optional<Json> source = ParseJson(body);
  const Json* output = source ? FindObject(*source, "output") : nullptr;
  const Json* said = output == nullptr ? nullptr : FindObject(*output, "message");
  const Json* blocks = said == nullptr ? nullptr : FindArray(*said, "content");
  if (blocks == nullptr) {
    return absl::DataLossError("the provider's answer is not one of Converse: it has no `output.message.content`");
  }
  AnswerMessage message;
  for (const Json& block : *blocks) TakeBlock(block, message);
  const bool answer_tool_only = message.answered_by_tool && message.calls.empty();
  Json answer = ChatCompletion(context);
  Json choice = {{"index", 0}, {"message", std::move(message).Message()}, {"finish_reason", nullptr}};
  SetConverseStop(*source, answer_tool_only, choice);
  answer["choices"].push_back(std::move(choice));
  if (const Json* figures = FindObject(*source, "usage")) {
    if (const std::optional<ChatUsage> usage = ReadConverseUsage(*figures)) answer["usage"] = ChatUsageJson(*usage);
  }
  return DumpJson(answer);
}

int StatusOfException(std::string_view type) {
  const std::string name = absl::AsciiStrToLower(std::string(type));
  const auto has = [&](const char* word) { return absl::StrContains(name, word); };
  if (has("validation")) return 400;
  if (has("accessdenied")) return 403;
  if (has("notfound")) return 404;
  if (has("throttling") || has("quota")) return 429;
  return has("unavailable") || has("notready") ? 503 : 500;
}

Json ConverseErrorJson(int status, std::string_view type, const Json& body, std::string_view sentence) {
  std::string message = StringAt(body, "message", StringAt(body, "Message", sentence));
  // "com.amazon.coral.service#ThrottlingException" where it is in the body.
  std::string code = std::string(type.empty() ? StringAt(body, "__type") : std::string(type));
  code = code.substr(code.rfind('#') + 1);
  return ChatError(status, message, "", code.empty() ? Json(nullptr) : Json(code), body);
}

std::string ConverseError(int status, std::string_view body) {
  return DumpJson(ConverseErrorJson(status, "", OriginalError(body), ErrorSentence(status, body)));
}

}  // namespace signalbox
