#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/generate_content_wire.h"

namespace signalbox {
namespace {

// No answer of today's or tomorrow's models comes near; sums of such figures stay in range.
constexpr int64_t kTokensMax = 1'000'000'000'000;
// Ours, in the place of a finishReason: which reason stands in promptFeedback.
constexpr char kPromptBlocked[] = "PROMPT_BLOCKED";

// Missing is none; nullopt: there is something else than a count.
std::optional<int64_t> Tokens(const Json& usage, std::string_view key) {
  if (Find(usage, key) == nullptr) return 0;
  const std::optional<int64_t> count = CountAt(usage, key);
  return count && *count <= kTokensMax ? count : std::nullopt;
}

int64_t AudioTokens(const Json& usage, std::string_view key) {
  const Json* details = FindArray(usage, key);
  if (details == nullptr) return 0;
  int64_t tokens = 0;
  for (const Json& detail : *details) {
    if (StringAt(detail, "modality") == "AUDIO") tokens += Tokens(detail, "tokenCount").value_or(0);
    if (tokens > kTokensMax) return 0;
  }
  return tokens;
}

Json SignatureContent(const std::string& signature) { return {{"google", {{"thought_signature", signature}}}}; }

Json ChatCall(const Json& part, const Json& call, std::string id, size_t index) {
  const Json* arguments = Find(call, "args");
  if (id.empty()) id = "call";
  Json chat = {{"index", index},
               {"id", StringAt(call, "id", absl::StrCat("call_", id, "_", index))},
               {"type", "function"},
               {"function",
                {{"name", StringAt(call, "name")},
                 {"arguments", arguments == nullptr ? std::string("{}") : DumpJson(*arguments)}}}};
  const std::string signature = StringAt(part, "thoughtSignature");
  if (!signature.empty()) chat["extra_content"] = SignatureContent(signature);
  return chat;
}

Json ChatImage(const Json& part, const Json& data) {
  Json image = {
      {"type", "image_url"},
      {"image_url", {{"url", absl::StrCat("data:", StringAt(data, "mimeType"), ";base64,", StringAt(data, "data"))}}}};
  const std::string signature = StringAt(part, "thoughtSignature");
  if (!signature.empty()) image["extra_content"] = SignatureContent(signature);
  return image;
}

// google[...]: what a chat completion has no word for.
struct Extra {
  std::string signature;
  Json parts = Json::array();
  Json rest = Json::object();
};

void ReadPart(const Json& part, std::string_view id, size_t calls_before, Candidate& read, Extra& extra) {
  const bool thought = Find(part, "thought") != nullptr && *Find(part, "thought") == true;
  if (const Json* call = FindObject(part, "functionCall")) {
    const size_t at = calls_before + read.calls.size();
    read.calls.push_back(ChatCall(part, *call, absl::StrCat(std::string(id), "_", read.index), at));
    return;
  }
  const Json* text = Find(part, "text");
  if (text != nullptr && text->is_string()) {
    (thought ? read.thoughts : read.text) += text->get_ref<const std::string&>();
    read.has_text |= !thought;
    if (std::string signature = StringAt(part, "thoughtSignature"); !signature.empty()) extra.signature = signature;
    return;
  }
  const Json* data = FindObject(part, "inlineData");
  if (data != nullptr && !thought && StringAt(*data, "mimeType").starts_with("image/")) {
    read.images.push_back(ChatImage(part, *data));
  } else if (part.is_object() && !part.empty()) {
    extra.parts.push_back(part);
  }
}

// {"topCandidates":[{"candidates":[{"token","logProbability"}]}],"chosenCandidates":[...]}.
Json Logprobs(const Json& result) {
  const Json* chosen = FindArray(result, "chosenCandidates");
  const Json* tops = FindArray(result, "topCandidates");
  if (chosen == nullptr) return nullptr;
  const auto entry = [](const Json& candidate) {
    const std::string token = StringAt(candidate, "token");
    const Json* probability = Find(candidate, "logProbability");
    Json bytes = Json::array();
    for (const unsigned char byte : token) bytes.push_back(byte);
    return Json{{"token", token}, {"logprob", probability == nullptr ? Json(0) : *probability}, {"bytes", bytes}};
  };
  Json content = Json::array();
  for (size_t i = 0; i < chosen->size(); ++i) {
    Json token = entry((*chosen)[i]);
    token["top_logprobs"] = Json::array();
    const Json* top = tops != nullptr && i < tops->size() ? FindArray((*tops)[i], "candidates") : nullptr;
    for (size_t j = 0; top != nullptr && j < top->size(); ++j) token["top_logprobs"].push_back(entry((*top)[j]));
    content.push_back(std::move(token));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

bool IsFilter(std::string_view reason) {
  constexpr std::string_view kFilters[] = {kPromptBlocked,       "SAFETY", "RECITATION",   "BLOCKLIST",
                                           "PROHIBITED_CONTENT", "SPII",   "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
                                           "IMAGE_RECITATION"};
  return std::find(std::begin(kFilters), std::end(kFilters), reason) != std::end(kFilters);
}

class GenerateContentTranslator : public ProviderTranslator {
 public:
  std::variant<std::string, BodyFault> Request(std::string_view chat_body) const override {
    return GenerateContentRequest(chat_body);
  }

  absl::StatusOr<std::string> Answer(std::string_view body, const AnswerContext& context) const override {
    const std::optional<Json> answer = ParseJson(body);
    if (!answer || !answer->is_object()) {
      return absl::DataLossError("the provider's answer is not a JSON object: generateContent was expected");
    }
    const Json* candidates = FindArray(*answer, "candidates");
    std::optional<Candidate> blocked = ReadBlocked(*answer);
    const std::optional<ChatUsage> usage = ReadUsageMetadata(*answer);
    if (candidates == nullptr && !blocked && !usage) {
      return absl::DataLossError(
          "the provider's answer has neither candidates nor promptFeedback nor usageMetadata: generateContent was "
          "expected");
    }
    AnswerContext named = context;
    named.id = StringAt(*answer, "responseId", context.id);
    named.model = StringAt(*answer, "modelVersion", context.model);
    Json chat = ChatCompletion(named);
    for (size_t i = 0; candidates != nullptr && i < candidates->size(); ++i) {
      chat["choices"].push_back(Choice(ReadCandidate((*candidates)[i], i, named.id, 0)));
    }
    if (chat["choices"].empty()) chat["choices"].push_back(Choice(blocked ? *std::move(blocked) : Candidate()));
    if (usage) chat["usage"] = ChatUsageJson(*usage);
    return DumpJson(chat);
  }

  std::string Error(int status, std::string_view body) const override { return DumpJson(GoogleError(status, body)); }

  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return GenerateContentStream(context);
  }

 private:
  static Json Choice(Candidate candidate) {
    Json choice = {{"index", candidate.index}};
    const std::string finish = candidate.finish;
    const bool has_calls = !candidate.calls.empty();
    Json logprobs = std::move(candidate.logprobs);
    Json notes = std::move(candidate.notes);
    choice["message"] = ChatMessage(std::move(candidate), false);
    if (!notes.is_null()) choice["extra_content"] = std::move(notes);
    choice["logprobs"] = std::move(logprobs);
    SetFinish(finish, has_calls, choice);
    return choice;
  }
};

}  // namespace

Candidate ReadCandidate(const Json& candidate, size_t position, std::string_view id, size_t calls_before) {
  Candidate read;
  read.index = CountAt(candidate, "index").value_or(static_cast<int64_t>(position));
  read.finish = StringAt(candidate, "finishReason");
  if (read.finish == "FINISH_REASON_UNSPECIFIED") read.finish.clear();
  Extra extra;
  if (const Json* content = FindObject(candidate, "content")) {
    const Json* parts = FindArray(*content, "parts");
    for (size_t i = 0; parts != nullptr && i < parts->size(); ++i) {
      ReadPart((*parts)[i], id, calls_before, read, extra);
    }
  }
  if (const Json* result = FindObject(candidate, "logprobsResult")) read.logprobs = Logprobs(*result);
  if (!candidate.is_object()) return read;
  for (const auto& [name, value] : candidate.get_ref<const Json::object_t&>()) {
    if (name == "content" || name == "finishReason" || name == "index" || name == "logprobsResult" || value.is_null()) {
      continue;
    }
    AddMember(extra.rest, name, value);
  }
  if (!extra.rest.empty()) read.notes = {{"google", std::move(extra.rest)}};
  if (!extra.signature.empty()) read.extra["google"]["thought_signature"] = extra.signature;
  if (!extra.parts.empty()) read.extra["google"]["parts"] = std::move(extra.parts);
  return read;
}

Json ChatMessage(Candidate candidate, bool delta) {
  Json message = Json::object();
  if (!delta) message["role"] = "assistant";
  if (candidate.has_text && (!delta || !candidate.text.empty())) {
    message["content"] = std::move(candidate.text);
  } else if (!delta) {
    message["content"] = nullptr;
  }
  if (!candidate.thoughts.empty()) message["reasoning_content"] = std::move(candidate.thoughts);
  if (!candidate.calls.empty()) {
    if (!delta) {
      for (Json& call : candidate.calls) call.erase("index");
    }
    message["tool_calls"] = std::move(candidate.calls);
  }
  if (!candidate.images.empty()) message["images"] = std::move(candidate.images);
  if (!candidate.extra.is_null()) message["extra_content"] = std::move(candidate.extra);
  if (!delta) message["refusal"] = nullptr;
  return message;
}

void SetFinish(const std::string& reason, bool has_calls, Json& choice) {
  if (reason == "MAX_TOKENS") {
    choice["finish_reason"] = "length";
  } else if (IsFilter(reason)) {
    choice["finish_reason"] = "content_filter";
  } else {
    choice["finish_reason"] = has_calls ? "tool_calls" : "stop";
  }
  if (!reason.empty() && reason != "STOP" && reason != "MAX_TOKENS") choice["native_finish_reason"] = reason;
}

std::optional<Candidate> ReadBlocked(const Json& answer) {
  const Json* feedback = FindObject(answer, "promptFeedback");
  if (feedback == nullptr || Find(*feedback, "blockReason") == nullptr) return std::nullopt;
  Candidate blocked;
  blocked.finish = kPromptBlocked;
  blocked.notes = {{"google", {{"promptFeedback", *feedback}}}};
  return blocked;
}

std::optional<ChatUsage> ReadUsageMetadata(const Json& answer) {
  const Json* usage = FindObject(answer, "usageMetadata");
  if (usage == nullptr) return std::nullopt;
  const bool says_something = Find(*usage, "promptTokenCount") != nullptr ||
                              Find(*usage, "candidatesTokenCount") != nullptr ||
                              Find(*usage, "totalTokenCount") != nullptr;
  const std::optional<int64_t> prompt = Tokens(*usage, "promptTokenCount");
  const std::optional<int64_t> tools = Tokens(*usage, "toolUsePromptTokenCount");
  const std::optional<int64_t> candidates = Tokens(*usage, "candidatesTokenCount");
  const std::optional<int64_t> thoughts = Tokens(*usage, "thoughtsTokenCount");
  const std::optional<int64_t> total = Tokens(*usage, "totalTokenCount");
  if (!says_something || !prompt || !tools || !candidates || !thoughts || !total) return std::nullopt;
  // What only the total names was paid for too; it costs what thinking does.
  const int64_t unnamed = std::max<int64_t>(*total - *prompt - *tools - *candidates - *thoughts, 0);
  ChatUsage chat;
  chat.prompt = *prompt + *tools;
  chat.completion = *candidates + *thoughts + unnamed;
  chat.reasoning = *thoughts + unnamed;
  chat.cached = std::min(Tokens(*usage, "cachedContentTokenCount").value_or(0), chat.prompt);
  chat.audio_input = std::min(
      AudioTokens(*usage, "promptTokensDetails") + AudioTokens(*usage, "toolUsePromptTokensDetails"), chat.prompt);
  chat.audio_output = std::min(AudioTokens(*usage, "candidatesTokensDetails"), chat.completion);
  return chat;
}

Json GoogleError(int status, std::string_view body) {
  const Json original = OriginalError(body);
  // Without alt=sse a stream's error comes in an array.
  const Json& holder = original.is_array() && !original.empty() ? original.front() : original;
  const Json* error = FindObject(holder, "error");
  if (error == nullptr) return ChatError(status, ErrorSentence(status, body), "", nullptr, original);
  const std::string code = StringAt(*error, "status");
  return ChatError(status, StringAt(*error, "message"), "", code.empty() ? Json(nullptr) : Json(code), *error);
}

const ProviderTranslator& GenerateContentProvider() {
  static const GenerateContentTranslator kTranslator;
  return kTranslator;
}

}  // namespace signalbox
