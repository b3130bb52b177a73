// An answer that its provider tells in content blocks (Messages, Converse), as the one message of a chat completion;
// and the pieces of tool calls in a stream. Included by this folder's sources only. Pure.
#pragma once

#include <string>
#include <string_view>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

// Gathered block by block.
struct AnswerMessage {
  std::string text;
  std::string reasoning;
  Json thinking_blocks = Json::array();
  Json calls = Json::array();
  Json citations = Json::array();
  Json others = Json::array();  // what chat completions have no word for
  bool has_text = false;
  bool answered_by_tool = false;

  void AddText(std::string_view said);
  // The input of kAnswerTool is the content.
  void AddCall(std::string id, std::string name, std::string arguments);
  // {"role","content","refusal",…}; `others` stand in provider_content.
  Json Message() &&;
};

// {"tool_calls":[…]}: how a call begins, and more of its arguments.
Json CallStart(size_t index, std::string id, std::string name);
Json CallArguments(size_t index, std::string part);

}  // namespace signalbox
