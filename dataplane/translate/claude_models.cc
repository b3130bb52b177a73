#include "dataplane/translate/claude_models.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace signalbox {
namespace {

constexpr int kNewest = 1'000;
constexpr int64_t kThinkingBudgetMin = 1'024;

// The number of one or two digits at `at`, which moves past it and its separator; -1 when there is none (dates have
// more digits).
int TakeNumber(std::string_view text, size_t& at) {
  size_t end = at;
  while (end < text.size() && absl::ascii_isdigit(text[end])) ++end;
  if (end == at || end - at > 2) return -1;
  int number = 0;
  for (; at < end; ++at) number = number * 10 + (text[at] - '0');
  at = std::min(at + 1, text.size());
  return number;
}

int64_t BudgetOf(std::string_view effort) {
  if (effort == "minimal") return kThinkingBudgetMin;
  if (effort == "low") return 4'096;
  if (effort == "medium") return 8'192;
  if (effort == "high") return 16'384;
  return 32'768;
}

}  // namespace

ClaudeModel ReadClaudeModel(std::string_view model) {
  ClaudeModel read;
  read.generation = kNewest;
  const size_t name = model.find("claude");
  if (name == std::string_view::npos) return read;
  read.is_claude = true;
  size_t at = name;
  while (at < model.size()) {
    at = model.find('-', at);
    if (at == std::string_view::npos) break;
    ++at;
    const int major = TakeNumber(model, at);
    if (major < 0) continue;
    const int minor = TakeNumber(model, at);
    read.generation = major * 10 + std::clamp(minor, 0, 9);
    break;
  }
  return read;
}

int64_t DefaultMaxTokens(const ClaudeModel& model) {
  return model.reasons() && model.generation < kNewest ? 32'000 : 4'096;
}

Thinking ThinkingFor(const ClaudeModel& model, std::string_view effort, std::optional<int64_t> cap, bool& fits) {
  Thinking asked;
  fits = true;
  if (effort.empty()) return asked;
  if (effort == "none") {
    if (model.adaptive()) asked.thinking = {{"type", "disabled"}};
    return asked;
  }
  if (model.adaptive()) {
    asked.thinking = {{"type", "adaptive"}};
    // From here on what was thought is only told when asked for.
    if (model.is_claude && model.generation >= 47) asked.thinking["display"] = "summarized";
    asked.effort = effort == "minimal" ? "low" : std::string(effort);
    return asked;
  }
  asked.budget = BudgetOf(effort);
  if (cap) asked.budget = std::min(asked.budget, *cap - 1);
  if (asked.budget < kThinkingBudgetMin) {
    fits = false;
    asked.budget = 0;
    return asked;
  }
  asked.thinking = {{"type", "enabled"}, {"budget_tokens", asked.budget}};
  return asked;
}

}  // namespace signalbox
