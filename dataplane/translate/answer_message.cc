#include "dataplane/translate/answer_message.h"

#include <utility>

#include "dataplane/translate/claude_models.h"

namespace signalbox {

void AnswerMessage::AddText(std::string_view said) {
  has_text = true;
  text += said;
}

void AnswerMessage::AddCall(std::string id, std::string name, std::string arguments) {
  if (name == kAnswerTool) {
    answered_by_tool = true;
    return AddText(arguments);
  }
  calls.push_back(Json{{"id", std::move(id)},
                       {"type", "function"},
                       {"function", {{"name", std::move(name)}, {"arguments", std::move(arguments)}}}});
}

Json AnswerMessage::Message() && {
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

Json CallStart(size_t index, std::string id, std::string name) {
  return {{"tool_calls", Json::array({Json{{"index", index},
                                           {"id", std::move(id)},
                                           {"type", "function"},
                                           {"function", {{"name", std::move(name)}, {"arguments", ""}}}}})}};
}

Json CallArguments(size_t index, std::string part) {
  return {{"tool_calls", Json::array({Json{{"index", index}, {"function", {{"arguments", std::move(part)}}}}})}};
}

}  // namespace signalbox
