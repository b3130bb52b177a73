#include "tests/simprovider/answer.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/simprovider/read_json.h"
#include "tests/simprovider/schema_example.h"

namespace signalbox::sim {
namespace {

constexpr size_t kBytesPerToken = 4;
constexpr int64_t kAttachmentTokens = 85;
constexpr int64_t kCacheBlock = 128;
constexpr int64_t kCachedFrom = 1024;  // prompts this long are half cached, as are those that hint at a cache

// One or two paragraphs for a website, drawn from a few stock sentences by hash.
std::string Words(const Ask& ask, int64_t choice) {
  static constexpr std::string_view kOpenings[] = {
      "Meet the site your visitors will remember.", "A calm, fast home for your idea.",
      "Everything you need to launch, on one page.", "Built for people who would rather be building."};
  static constexpr std::string_view kMiddles[] = {
      "A bold headline states the promise, three short cards explain it, and one button starts the trial.",
      "The landing page opens with a full-width picture and a single line that says what you do.",
      "Clear pricing, honest answers to common questions and a sign-up that takes ten seconds.",
      "Warm colours, generous spacing and type that reads well on a telephone in the sun."};
  static constexpr std::string_view kEndings[] = {
      "Add your own words and publish.", "Your first customers can find you tonight.",
      "It loads in under a second, everywhere.", "Change anything later; nothing here is set in stone."};
  uint64_t hash = HashOf(ask.prompt, HashOf(ask.model)) + static_cast<uint64_t>(choice);
  const auto pick = [&hash](const auto& from) {
    hash = hash * 6364136223846793005ULL + 1442695040888963407ULL;
    return from[(hash >> 33) % std::size(from)];
  };
  const std::string_view opening = pick(kOpenings), middle = pick(kMiddles), ending = pick(kEndings);
  std::string subject = ask.tool_result.empty() ? ask.prompt.substr(0, 60) : ask.tool_result.substr(0, 60);
  // Not half a character at the end, nor line breaks in the middle.
  while (!subject.empty() && (static_cast<unsigned char>(subject.back()) & 0xC0) == 0x80) subject.pop_back();
  if (!subject.empty() && static_cast<unsigned char>(subject.back()) >= 0xC0) subject.pop_back();
  std::replace_if(
      subject.begin(), subject.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return absl::StrCat(std::string(opening), " ", std::string(middle), " ", std::string(ending), " (", ask.model,
                      ask.tool_result.empty() ? " on: " : " read: ", subject, ")");
}

// At most `bytes` of `text`, ending between two characters.
std::string Truncate(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

// What it thought, as long as its tokens say.
std::string Thought(const Ask& ask, int64_t tokens) {
  const size_t bytes = static_cast<size_t>(tokens) * kBytesPerToken;
  std::string thought = tokens == 0 ? "" : absl::StrCat("They ask ", ask.model, ": ");
  while (thought.size() < bytes) thought += "what do visitors want to know first, and what can wait? ";
  return Truncate(thought, bytes);
}

void CutAtStop(const Ask& ask, Choice& choice) {
  size_t end = std::string::npos;
  for (const std::string& stop : ask.stops) {
    const size_t at = choice.text.find(stop);
    if (at >= end) continue;
    end = at;
    choice.stopped_at = stop;
  }
  if (end != std::string::npos) choice.text.resize(end);
}

Choice ComposeChoice(const Ask& ask, int64_t index) {
  Choice choice;
  choice.tool_calls = ask.tool_calls;
  choice.end = ask.tool_calls.empty() ? Choice::End::kStop : Choice::End::kToolCalls;
  choice.reasoning_tokens = ask.reasoning_tokens;
  choice.tokens = ask.reasoning_tokens;
  for (const ToolCall& call : choice.tool_calls) choice.tokens += TokensOf(call.name.size() + call.arguments.size());
  if (choice.tool_calls.empty()) {
    choice.text = ask.structured.empty() ? Words(ask, index) : ask.structured;
    CutAtStop(ask, choice);
    choice.tokens += TokensOf(choice.text.size());
  }
  if (ask.output_cap >= 0 && choice.tokens > ask.output_cap) {
    const int64_t left = std::max<int64_t>(ask.output_cap - ask.reasoning_tokens, 0);
    choice.text = Truncate(choice.text, static_cast<size_t>(left) * kBytesPerToken);
    choice.tool_calls.clear();
    choice.stopped_at.clear();
    choice.end = Choice::End::kLength;
    choice.reasoning_tokens = std::min(ask.reasoning_tokens, ask.output_cap);
    choice.tokens = choice.reasoning_tokens + TokensOf(choice.text.size());
  }
  choice.thought = Thought(ask, choice.reasoning_tokens);
  return choice;
}

constexpr std::pair<std::string_view, UsageShape> kShapes[] = {
    {"openai", UsageShape::kOpenAi},
    {"deepseek", UsageShape::kDeepSeek},
    {"groq", UsageShape::kGroq},
    {"last_chunk", UsageShape::kLastChunk},
    {"moonshot", UsageShape::kMoonshot},
    {"every_chunk", UsageShape::kEveryChunk},
    {"xai", UsageShape::kXai},
    {"total_only", UsageShape::kTotalOnly},
    {"openrouter", UsageShape::kOpenRouter},
    {"cache_inside", UsageShape::kCacheInside},
    {"cache_beside", UsageShape::kCacheBeside},
    {"audio", UsageShape::kAudio},
    {"negative", UsageShape::kNegative},
    {"text", UsageShape::kText},
};

// What this provider has, its bill has too: no cache where its answers know none.
void FitToShape(UsageShape shape, Usage& usage) {
  switch (shape) {
    case UsageShape::kGroq:
    case UsageShape::kLastChunk:
    case UsageShape::kTotalOnly:
      usage.cached = 0;
      break;
    case UsageShape::kOpenRouter:
    case UsageShape::kCacheInside:
    case UsageShape::kCacheBeside:
      usage.cached = usage.input / 2;
      usage.written = usage.input / 5;
      break;
    case UsageShape::kAudio:
      usage.audio_input = (usage.input - usage.cached) / 3;
      usage.audio_output = usage.output / 2;
      break;
    default:
      break;
  }
}

}  // namespace

int64_t TokensOf(size_t bytes) { return static_cast<int64_t>((bytes + kBytesPerToken - 1) / kBytesPerToken); }

std::vector<std::string> SplitText(const std::string& text, int pieces) {
  std::vector<std::string> parts;
  const size_t length =
      std::max<size_t>(1, (text.size() + static_cast<size_t>(pieces) - 1) / static_cast<size_t>(pieces));
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.size(), at + length);
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    parts.push_back(text.substr(at, end - at));
    at = end;
  }
  return parts;
}

absl::StatusOr<UsageShape> ParseUsageShape(std::string_view name) {
  for (const auto& [known, shape] : kShapes) {
    if (known == name) return shape;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown usage shape \"", std::string(name),
                                                 "\" (known: ", absl::StrJoin(UsageShapeNames(), ", "), ")"));
}

std::vector<std::string> UsageShapeNames() {
  std::vector<std::string> names;
  for (const auto& [name, shape] : kShapes) names.emplace_back(name);
  return names;
}

bool Readable(UsageShape shape) { return shape != UsageShape::kNegative && shape != UsageShape::kText; }

void AskReader::Turn(Role role, const std::string& text, int64_t attachments) {
  bytes_ += text.size();
  attachments_ += attachments;
  tool_result_ = role == Role::kTool ? text : "";
  if (role == Role::kUser) prompt_ = text;
}

void AskReader::OfferTool(const std::string& name, const std::string& description, const Json& schema) {
  tools_.push_back({name, schema});
  bytes_ += name.size() + description.size() + SchemaBytes(schema);
}

void AskReader::DemandJson(const Json& schema) {
  json_ = true;
  json_schema_ = schema;
}

void AskReader::Stop(const std::string& text) {
  if (!text.empty()) stops_.push_back(text);
}

void AskReader::Reason(std::string_view effort) {
  reasoning_tokens_ = effort == "low" ? 64 : effort == "medium" ? 128 : effort == "high" ? 256 : 0;
}

// A request gets a call when it demands one or its last user message names the function.
Ask AskReader::Take(Ask ask) {
  ask.prompt = prompt_;
  ask.tool_result = tool_result_;
  ask.stops = stops_;
  ask.reasoning_tokens = reasoning_tokens_;
  ask.input_tokens = std::max<int64_t>(TokensOf(bytes_) + attachments_ * kAttachmentTokens, 1);
  if (hinted_ || marked_) {
    ask.cached_tokens = ask.input_tokens / 2;
  } else if (ask.input_tokens >= kCachedFrom) {
    ask.cached_tokens = ask.input_tokens / 2 / kCacheBlock * kCacheBlock;
  }
  if (marked_) ask.written_tokens = ask.input_tokens / 5;
  if (json_) ask.structured = Dump(ExampleOf(json_schema_, "answer", prompt_));
  for (const Tool& tool : forbidden_ ? std::vector<Tool>() : tools_) {
    const bool mentioned = demanded_.empty() && tool_result_.empty() && prompt_.find(tool.name) != std::string::npos;
    if (tool.name != demanded_ && !any_ && !mentioned) continue;
    const OrderedJson arguments =
        tool.schema.is_object() ? ExampleOf(tool.schema, tool.name, prompt_) : OrderedJson::object();
    ask.tool_calls.push_back({absl::StrFormat("%016x", HashOf(tool.name + prompt_)), tool.name, Dump(arguments)});
    if (!mentioned || one_) break;
  }
  return ask;
}

Answer Compose(const Ask& ask) {
  Answer answer;
  const uint64_t hash = HashOf(ask.prompt, HashOf(ask.model));
  answer.id = absl::StrFormat("%016x", hash);
  answer.created = 1'767'225'600 + static_cast<int64_t>(hash % 1'000'000);
  answer.model = ask.model;
  answer.usage.input = ask.input_tokens;
  answer.usage.cached = ask.cached_tokens;
  answer.usage.written = ask.written_tokens;
  for (int64_t i = 0; ask.inputs.empty() && i < ask.choices; ++i) {
    answer.choices.push_back(ComposeChoice(ask, i));
    answer.usage.output += answer.choices.back().tokens;
    answer.usage.reasoning += answer.choices.back().reasoning_tokens;
  }
  answer.shape = ask.shape;
  FitToShape(ask.shape, answer.usage);
  return answer;
}

std::vector<float> Embed(const std::string& text, int64_t dimensions) {
  std::vector<float> numbers(static_cast<size_t>(dimensions));
  uint64_t hash = HashOf(text);
  double squares = 0;
  for (float& number : numbers) {
    hash = hash * 6364136223846793005ULL + 1442695040888963407ULL;
    number = static_cast<float>(static_cast<int64_t>(hash >> 40) - (1 << 23)) / (1 << 23);
    squares += static_cast<double>(number) * number;
  }
  const double length = std::sqrt(squares);
  for (float& number : numbers) number = length == 0 ? 0 : static_cast<float>(number / length);
  return numbers;
}

}  // namespace signalbox::sim
