#include "tests/simprovider/answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace signalbox::sim {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int64_t kBytesPerToken = 4;
constexpr int64_t kImageTokens = 85;
constexpr int64_t kCacheBlock = 128;
constexpr int64_t kCachedFrom = 1024;  // prompts this long are half cached, as are those with a prompt_cache_key
constexpr int64_t kChoicesMax = 128;

int64_t Tokens(size_t bytes) { return (static_cast<int64_t>(bytes) + kBytesPerToken - 1) / kBytesPerToken; }

// FNV-1a: the same on every machine, unlike std::hash.
uint64_t Hash(std::string_view text, uint64_t hash = 14695981039346656037ULL) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

std::string Dump(const OrderedJson& json) { return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace); }

absl::Status Invalid(std::string_view message) { return absl::InvalidArgumentError(std::string(message)); }

// Text of a message, and what its parts count.
struct Content {
  std::string text;
  int64_t tokens = 0;
};

absl::StatusOr<Content> ReadContent(const Json& message) {
  Content content;
  const auto found = message.find("content");
  if (found == message.end() || found->is_null()) return content;
  if (found->is_string()) {
    content.text = found->get<std::string>();
  } else if (found->is_array()) {
    for (const Json& part : *found) {
      if (!part.is_object()) return Invalid("Invalid type for 'messages[].content[]': expected an object.");
      const auto text = part.find("text");
      if (text != part.end() && text->is_string()) {
        content.text += text->get_ref<const std::string&>();
      } else {
        content.tokens += kImageTokens;
      }
    }
  } else {
    return Invalid("Invalid type for 'messages[].content': expected a string or an array of parts.");
  }
  content.tokens += Tokens(content.text.size());
  return content;
}

// An argument object that satisfies a function's JSON schema, as far as one needs to.
OrderedJson ExampleOf(const Json& schema, const std::string& name, const std::string& prompt) {
  if (!schema.is_object()) return prompt;
  if (const auto values = schema.find("enum"); values != schema.end() && values->is_array() && !values->empty()) {
    return OrderedJson::parse((*values)[0].dump());
  }
  const std::string type = schema.value("type", Json("string")).is_string() ? schema.value("type", "string") : "string";
  if (type == "integer" || type == "number") return static_cast<int64_t>(1 + Hash(name + prompt) % 9);
  if (type == "boolean") return true;
  if (type == "array") return OrderedJson::array();
  if (type == "object") {
    OrderedJson object = OrderedJson::object();
    if (const auto properties = schema.find("properties"); properties != schema.end() && properties->is_object()) {
      for (const auto& [key, value] : properties->items()) object[key] = ExampleOf(value, key, prompt);
    }
    return object;
  }
  return absl::StrCat("example ", name);
}

ToolCall CallOf(const Json& function, const std::string& prompt) {
  const std::string name = function.value("name", "");
  const auto parameters = function.find("parameters");
  const OrderedJson arguments =
      parameters == function.end() ? OrderedJson::object() : ExampleOf(*parameters, name, prompt);
  return {absl::StrFormat("call_%016x", Hash(name + prompt)), name, Dump(arguments)};
}

bool IsString(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string();
}

// A request gets a call when it demands one (tool_choice) or its last user message names the function.
absl::Status ChooseTools(const Json& body, ChatRequest& request) {
  const auto tools = body.find("tools");
  if (tools == body.end() || tools->is_null()) return absl::OkStatus();
  if (!tools->is_array()) return Invalid("Invalid type for 'tools': expected an array.");
  std::string demanded;
  bool any = false;
  if (const auto choice = body.find("tool_choice"); choice != body.end()) {
    if (choice->is_object() && choice->contains("function") && (*choice)["function"].is_object() &&
        IsString((*choice)["function"], "name")) {
      demanded = (*choice)["function"]["name"].get<std::string>();
    } else if (*choice == "none") {
      return absl::OkStatus();
    } else {
      any = *choice == "required";
    }
  }
  for (const Json& tool : *tools) {
    if (!tool.is_object() || !tool.contains("function") || !tool["function"].is_object() ||
        !IsString(tool["function"], "name")) {
      return Invalid("Missing required parameter: 'tools[].function.name'.");
    }
    const Json& function = tool["function"];
    const std::string name = function["name"].get<std::string>();
    const bool mentioned =
        demanded.empty() && request.tool_result.empty() && request.prompt.find(name) != std::string::npos;
    if (name == demanded || any || mentioned) {
      request.tool_calls.push_back(CallOf(function, request.prompt));
      if (!mentioned) break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> PositiveOr(const Json& body, const char* key, int64_t fallback) {
  const auto found = body.find(key);
  if (found == body.end() || found->is_null()) return fallback;
  if (!found->is_number_integer() || found->get<int64_t>() < 1) {
    return Invalid(absl::StrCat("Invalid value for '", key, "': expected an integer of at least 1."));
  }
  return found->get<int64_t>();
}

absl::Status ReadMessages(const Json& body, ChatRequest& request) {
  const auto messages = body.find("messages");
  if (messages == body.end()) return Invalid("Missing required parameter: 'messages'.");
  if (!messages->is_array() || messages->empty()) return Invalid("Invalid 'messages': expected a non-empty array.");
  for (const Json& message : *messages) {
    if (!message.is_object() || !IsString(message, "role"))
      return Invalid("Missing required parameter: 'messages[].role'.");
    absl::StatusOr<Content> content = ReadContent(message);
    if (!content.ok()) return content.status();
    request.input_tokens += content->tokens;
    request.tool_result.clear();
    if (message["role"] == "user") request.prompt = content->text;
    if (message["role"] == "tool") request.tool_result = content->text;
  }
  if (const auto tools = body.find("tools"); tools != body.end()) request.input_tokens += Tokens(tools->dump().size());
  request.input_tokens = std::max<int64_t>(request.input_tokens, 1);
  return absl::OkStatus();
}

int64_t ReasoningTokens(const Json& body) {
  const std::string effort = IsString(body, "reasoning_effort") ? body["reasoning_effort"].get<std::string>() : "none";
  if (effort == "low") return 64;
  if (effort == "medium") return 128;
  if (effort == "high") return 256;
  return 0;
}

// One or two paragraphs for a website, drawn from a few stock sentences by hash.
std::string Words(const ChatRequest& request, int64_t choice) {
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
  uint64_t hash = Hash(request.prompt, Hash(request.model)) + static_cast<uint64_t>(choice);
  const auto pick = [&hash](const auto& from) {
    hash = hash * 6364136223846793005ULL + 1442695040888963407ULL;
    return from[(hash >> 33) % std::size(from)];
  };
  const std::string_view opening = pick(kOpenings), middle = pick(kMiddles), ending = pick(kEndings);
  std::string subject = request.tool_result.empty() ? request.prompt.substr(0, 60) : request.tool_result.substr(0, 60);
  // Not half a character at the end, nor line breaks in the middle.
  while (!subject.empty() && (static_cast<unsigned char>(subject.back()) & 0xC0) == 0x80) subject.pop_back();
  if (!subject.empty() && static_cast<unsigned char>(subject.back()) >= 0xC0) subject.pop_back();
  std::replace_if(
      subject.begin(), subject.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return absl::StrCat(std::string(opening), " ", std::string(middle), " ", std::string(ending), " (", request.model,
                      request.tool_result.empty() ? " on: " : " read: ", subject, ")");
}

// At most `bytes` of `text`, ending between two characters.
std::string Truncate(const std::string& text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

Choice ComposeChoice(const ChatRequest& request, int64_t index) {
  Choice choice;
  choice.finish_reason = request.tool_calls.empty() ? "stop" : "tool_calls";
  choice.tool_calls = request.tool_calls;
  choice.tokens = request.reasoning_tokens;
  for (const ToolCall& call : choice.tool_calls) choice.tokens += Tokens(call.name.size() + call.arguments.size());
  if (choice.tool_calls.empty()) {
    choice.text = Words(request, index);
    choice.tokens += Tokens(choice.text.size());
  }
  if (request.output_cap >= 0 && choice.tokens > request.output_cap) {
    const int64_t left = std::max<int64_t>(request.output_cap - request.reasoning_tokens, 0);
    choice.text = Truncate(choice.text, static_cast<size_t>(left * kBytesPerToken));
    choice.tool_calls.clear();
    choice.finish_reason = "length";
    choice.tokens = std::min(request.reasoning_tokens, request.output_cap) + Tokens(choice.text.size());
  }
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

OrderedJson UsageJson(const Usage& usage, UsageShape shape) {
  OrderedJson json = {{"prompt_tokens", usage.input},
                      {"completion_tokens", usage.output},
                      {"total_tokens", usage.input + usage.output}};
  const OrderedJson completion_details = {{"reasoning_tokens", usage.reasoning},
                                          {"audio_tokens", usage.audio_output},
                                          {"accepted_prediction_tokens", 0},
                                          {"rejected_prediction_tokens", 0}};
  switch (shape) {
    case UsageShape::kDeepSeek:
      json["prompt_cache_hit_tokens"] = usage.cached;
      json["prompt_cache_miss_tokens"] = usage.input - usage.cached;
      json["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning}};
      break;
    case UsageShape::kGroq:
      json["queue_time"] = 0.147255087;
      json["total_time"] = 0.040282516;
      break;
    case UsageShape::kLastChunk:
      break;
    case UsageShape::kMoonshot:
      json["cached_tokens"] = usage.cached;
      break;
    case UsageShape::kXai:
      json["completion_tokens"] = usage.output - usage.reasoning;
      json["prompt_tokens_details"] = {{"text_tokens", usage.input}, {"cached_tokens", usage.cached}};
      json["completion_tokens_details"] = completion_details;
      json["num_sources_used"] = 0;
      break;
    case UsageShape::kTotalOnly:
      json["completion_tokens"] = usage.output - usage.reasoning;
      break;
    case UsageShape::kOpenRouter:
      json["cost"] = 0.0137;
      json["prompt_tokens_details"] = {{"cached_tokens", usage.cached}, {"cache_write_tokens", usage.written}};
      json["completion_tokens_details"] = {{"reasoning_tokens", usage.reasoning}};
      break;
    case UsageShape::kCacheBeside:
      json["prompt_tokens"] = usage.input - usage.cached - usage.written;
      [[fallthrough]];
    case UsageShape::kCacheInside:
      json["cache_creation_input_tokens"] = usage.written;
      json["cache_read_input_tokens"] = usage.cached;
      break;
    case UsageShape::kNegative:
      json["prompt_tokens"] = -1;
      break;
    case UsageShape::kText:
      json["prompt_tokens"] = absl::StrCat(usage.input);
      json["completion_tokens"] = absl::StrCat(usage.output);
      break;
    case UsageShape::kOpenAi:
    case UsageShape::kEveryChunk:
    case UsageShape::kAudio:
      json["prompt_tokens_details"] = {{"cached_tokens", usage.cached}, {"audio_tokens", usage.audio_input}};
      json["completion_tokens_details"] = completion_details;
      break;
  }
  return json;
}

OrderedJson ToolCallJson(const ToolCall& call) {
  return {{"id", call.id}, {"type", "function"}, {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

// Cuts text into at most `pieces` parts of about equal length, between characters.
std::vector<std::string> Split(const std::string& text, int pieces) {
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

class StreamWriter {
 public:
  StreamWriter(const ChatRequest& request, const Answer& answer, UsageShown usage)
      : answer_(answer),
        shown_(usage == UsageShown::kZero ? Usage{} : answer.usage),
        asked_(request.include_usage && usage != UsageShown::kAbsent) {}

  // The last of all chunks with choices is `last`: where some providers put the usage.
  void Delta(int64_t index, OrderedJson delta, const std::string& finish_reason = "", bool last = false) {
    OrderedJson choice = {{"index", index}, {"delta", std::move(delta)}, {"logprobs", nullptr}};
    choice["finish_reason"] = finish_reason.empty() ? OrderedJson(nullptr) : OrderedJson(finish_reason);
    OrderedJson event = Head();
    bool tells = false;
    if (asked_ && answer_.shape == UsageShape::kEveryChunk) {
      Usage so_far = shown_;
      so_far.output = std::min(so_far.output, tokens);
      so_far.reasoning = std::min(so_far.reasoning, so_far.output);
      event["usage"] = UsageJson(so_far, answer_.shape);
      tells = last;
    } else if (asked_ && last && answer_.shape == UsageShape::kGroq) {
      event["x_groq"] = {{"id", "req_simulated"}, {"usage", UsageJson(shown_, answer_.shape)}};
      tells = true;
    } else if (asked_ && last && answer_.shape == UsageShape::kLastChunk) {
      event["usage"] = UsageJson(shown_, answer_.shape);
      tells = true;
    } else if (asked_ && last && answer_.shape == UsageShape::kMoonshot) {
      choice["usage"] = UsageJson(shown_, answer_.shape);
      tells = true;
    } else if (asked_) {
      event["usage"] = nullptr;
    }
    event["choices"] = OrderedJson::array({std::move(choice)});
    events.push_back({Dump(event), tokens, tells});
  }
  void UsageEvent() {
    const bool in_chunks = answer_.shape == UsageShape::kGroq || answer_.shape == UsageShape::kLastChunk ||
                           answer_.shape == UsageShape::kMoonshot || answer_.shape == UsageShape::kEveryChunk;
    if (!asked_ || in_chunks) return;
    OrderedJson event = Head();
    event["choices"] = OrderedJson::array();
    event["usage"] = UsageJson(shown_, answer_.shape);
    events.push_back({Dump(event), tokens, Readable(answer_.shape)});
  }

  std::vector<StreamEvent> events;
  int64_t tokens = 0;

 private:
  OrderedJson Head() const {
    return {{"id", answer_.id},       {"object", "chat.completion.chunk"}, {"created", answer_.created},
            {"model", answer_.model}, {"service_tier", "default"},         {"system_fingerprint", "fp_simulated"}};
  }
  const Answer& answer_;
  const Usage shown_;
  bool asked_;
};

}  // namespace

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

std::string RenderBilledError(std::string_view message, const Answer& answer) {
  OrderedJson error = {
      {"message", std::string(message)}, {"type", "server_error"}, {"param", nullptr}, {"code", nullptr}};
  return Dump({{"error", std::move(error)}, {"usage", UsageJson(answer.usage, answer.shape)}});
}

absl::StatusOr<ChatRequest> ParseChatRequest(std::string_view body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Invalid("We could not parse the JSON body of your request.");
  if (!IsString(json, "model")) return Invalid("you must provide a model parameter");
  ChatRequest request;
  request.model = json["model"].get<std::string>();
  if (absl::Status status = ReadMessages(json, request); !status.ok()) return status;
  if (const auto stream = json.find("stream"); stream != json.end()) {
    if (!stream->is_boolean() && !stream->is_null()) return Invalid("Invalid type for 'stream': expected a boolean.");
    request.stream = *stream == true;
  }
  if (const auto options = json.find("stream_options"); options != json.end() && !options->is_null()) {
    if (!request.stream) return Invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (!options->is_object()) return Invalid("Invalid type for 'stream_options': expected an object.");
    request.include_usage = options->contains("include_usage") && (*options)["include_usage"] == true;
  }
  const absl::StatusOr<int64_t> choices = PositiveOr(json, "n", 1);
  if (!choices.ok()) return choices.status();
  if (*choices > kChoicesMax) return Invalid("Invalid 'n': integer above maximum value. Expected a value <= 128.");
  request.choices = *choices;
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    const absl::StatusOr<int64_t> cap = PositiveOr(json, key, -1);
    if (!cap.ok()) return cap.status();
    if (*cap >= 0) request.output_cap = request.output_cap < 0 ? *cap : std::min(request.output_cap, *cap);
  }
  if (request.input_tokens >= kCachedFrom) {
    request.cached_tokens = request.input_tokens / 2 / kCacheBlock * kCacheBlock;
  } else if (IsString(json, "prompt_cache_key")) {
    request.cached_tokens = request.input_tokens / 2;
  }
  request.reasoning_tokens = ReasoningTokens(json);
  if (absl::Status status = ChooseTools(json, request); !status.ok()) return status;
  return request;
}

Answer Compose(const ChatRequest& request) {
  Answer answer;
  const uint64_t hash = Hash(request.prompt, Hash(request.model));
  answer.id = absl::StrFormat("chatcmpl-%016x", hash);
  answer.created = 1'767'225'600 + static_cast<int64_t>(hash % 1'000'000);
  answer.model = request.model;
  answer.usage.input = request.input_tokens;
  answer.usage.cached = request.cached_tokens;
  for (int64_t i = 0; i < request.choices; ++i) {
    answer.choices.push_back(ComposeChoice(request, i));
    answer.usage.output += answer.choices.back().tokens;
    answer.usage.reasoning += std::min(request.reasoning_tokens, answer.choices.back().tokens);
  }
  answer.shape = request.shape;
  FitToShape(request.shape, answer.usage);
  return answer;
}

std::string RenderUnary(const Answer& answer, UsageShown usage) {
  OrderedJson choices = OrderedJson::array();
  for (size_t i = 0; i < answer.choices.size(); ++i) {
    const Choice& choice = answer.choices[i];
    OrderedJson message = {{"role", "assistant"}};
    message["content"] = choice.tool_calls.empty() ? OrderedJson(choice.text) : OrderedJson(nullptr);
    for (const ToolCall& call : choice.tool_calls) message["tool_calls"].push_back(ToolCallJson(call));
    message["refusal"] = nullptr;
    message["annotations"] = OrderedJson::array();
    choices.push_back({{"index", i},
                       {"message", std::move(message)},
                       {"logprobs", nullptr},
                       {"finish_reason", choice.finish_reason}});
  }
  OrderedJson json = {{"id", answer.id},
                      {"object", "chat.completion"},
                      {"created", answer.created},
                      {"model", answer.model},
                      {"choices", std::move(choices)}};
  if (usage != UsageShown::kAbsent)
    json["usage"] = UsageJson(usage == UsageShown::kZero ? Usage{} : answer.usage, answer.shape);
  json["service_tier"] = "default";
  json["system_fingerprint"] = "fp_simulated";
  return Dump(json);
}

std::vector<StreamEvent> RenderStream(const ChatRequest& request, const Answer& answer, int chunks, UsageShown usage) {
  StreamWriter writer(request, answer, usage);
  for (size_t i = 0; i < answer.choices.size(); ++i) {
    const Choice& choice = answer.choices[i];
    const int64_t index = static_cast<int64_t>(i);
    const int64_t before = writer.tokens;
    writer.tokens = before + std::min(request.reasoning_tokens, choice.tokens);
    const int64_t base = writer.tokens;
    OrderedJson first = {{"role", "assistant"}};
    first["content"] = choice.tool_calls.empty() ? OrderedJson("") : OrderedJson(nullptr);
    first["refusal"] = nullptr;
    writer.Delta(index, std::move(first));
    size_t sent = 0;
    for (const std::string& piece : Split(choice.text, chunks)) {
      sent += piece.size();
      writer.tokens = base + Tokens(sent);
      writer.Delta(index, {{"content", piece}});
    }
    for (size_t call = 0; call < choice.tool_calls.size(); ++call) {
      OrderedJson opening = ToolCallJson(choice.tool_calls[call]);
      opening["function"]["arguments"] = "";
      OrderedJson indexed = {{"index", call}};
      indexed.update(opening);
      writer.Delta(index, {{"tool_calls", OrderedJson::array({std::move(indexed)})}});
      for (const std::string& piece : Split(choice.tool_calls[call].arguments, chunks)) {
        OrderedJson part = {{"index", call}, {"function", {{"arguments", piece}}}};
        writer.Delta(index, {{"tool_calls", OrderedJson::array({std::move(part)})}});
      }
    }
    writer.tokens = before + choice.tokens;
    writer.Delta(index, OrderedJson::object(), choice.finish_reason, i + 1 == answer.choices.size());
  }
  writer.UsageEvent();
  writer.events.push_back({"[DONE]", writer.tokens});
  return std::move(writer.events);
}

std::string RenderError(std::string_view message, std::string_view type, std::string_view code) {
  OrderedJson error = {{"message", std::string(message)}, {"type", std::string(type)}, {"param", nullptr}};
  error["code"] = code.empty() ? OrderedJson(nullptr) : OrderedJson(std::string(code));
  return Dump({{"error", std::move(error)}});
}

}  // namespace signalbox::sim
