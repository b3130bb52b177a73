// What Claude models want that their API does not tell: reasoning and structured output are asked for differently by
// generation. Read from the model's name, wherever it is served (claude-sonnet-4-5, us.anthropic.claude-3-haiku-…:0).
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "dataplane/translate/chat_json.h"

namespace signalbox {

struct ClaudeModel {
  bool is_claude = false;
  int generation = 0;  // 35 for 3.5, 40 for 4; a name without a number counts as newer than all

  bool reasons() const { return generation >= 37; }
  // Decides itself how long to think; before, a budget of tokens was given.
  bool adaptive() const { return generation >= 46; }
  bool structured_output() const { return generation >= 45; }
};
ClaudeModel ReadClaudeModel(std::string_view model);

// max_tokens where the client names none, since Messages demands one: what models of that age can give at least.
int64_t DefaultMaxTokens(const ClaudeModel& model);

// `thinking` and `output_config.effort` for a reasoning_effort; null values: none.
struct Thinking {
  Json thinking;
  Json effort;
  int64_t budget = 0;  // tokens of max_tokens that go into it
};
// `cap`: the client's; a budget stays below it. Where none fits (a budget is at least 1,024) there is no thinking and
// `fits` is false.
Thinking ThinkingFor(const ClaudeModel& model, std::string_view effort, std::optional<int64_t> cap, bool& fits);

// The tool by which a model gives its JSON where the format has no other way: its input is the answer's content.
inline constexpr std::string_view kAnswerTool = "signalbox_json_answer";
inline constexpr std::string_view kAnswerToolDescription =
    "Gives the final answer. Always answer by calling this tool, with the whole answer as its input.";

}  // namespace signalbox
