#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/generate_content_wire.h"

namespace signalbox {
namespace {

// What Google maps the words to in its own compatible API.
struct Effort {
  std::string_view word;
  const char* level;
  int64_t budget;
};
constexpr Effort kEfforts[] = {
    {"minimal", "MINIMAL", 1024}, {"low", "LOW", 1024}, {"medium", "MEDIUM", 8192}, {"high", "HIGH", 24576}};

// Chat's name and generationConfig's, the value taken as it is.
constexpr std::pair<std::string_view, const char*> kPlain[] = {
    {"temperature", "temperature"},
    {"top_p", "topP"},
    {"top_k", "topK"},
    {"seed", "seed"},
    {"n", "candidateCount"},
    {"presence_penalty", "presencePenalty"},
    {"frequency_penalty", "frequencyPenalty"},
    {"logprobs", "responseLogprobs"},
    {"top_logprobs", "logprobs"},
};

// OpenAI's parameters without a counterpart, refused unless they ask for what happens anyway.
struct Refused {
  std::string_view name;
  const char* harmless;  // JSON
};
constexpr Refused kRefused[] = {
    {"parallel_tool_calls", "true"},
    {"logit_bias", "{}"},
    {"store", "false"},
    {"verbosity", "\"medium\""},
    {"user", "\"\""},
    {"safety_identifier", "\"\""},
    {"prompt_cache_key", "\"\""},
    {"prompt_cache_retention", "\"\""},
    {"prediction", ""},
    {"audio", ""},
    {"web_search_options", ""},
    {"functions", "[]"},
    {"function_call", "\"\""},
    {"moderation", ""},
};

// In the body for the gateway's sake, or said by the URL; the others are handled by name.
constexpr std::string_view kHandled[] = {"model",
                                         "stream",
                                         "stream_options",
                                         "metadata",
                                         "messages",
                                         "max_tokens",
                                         "max_completion_tokens",
                                         "stop",
                                         "tools",
                                         "tool_choice",
                                         "reasoning_effort",
                                         "response_format",
                                         "modalities",
                                         "service_tier",
                                         "extra_body"};

template <typename Table>
bool Contains(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

// Google takes generationConfig and generation_config alike.
std::string Normal(std::string_view name) {
  std::string normal = absl::AsciiStrToLower(std::string(name));
  std::erase(normal, '_');
  return normal;
}

std::set<std::string> NormalNames(const Json& object) {
  std::set<std::string> names;
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) names.insert(Normal(name));
  return names;
}

Fault AddEffort(const Json& chat, Json& config) {
  const Json* effort = Find(chat, "reasoning_effort");
  if (effort == nullptr) return std::nullopt;
  const bool levels = ThinksInLevels(StringAt(chat, "model"));
  if (*effort == "none") {
    config["thinkingConfig"] = {{"thinkingBudget", 0}};
    return std::nullopt;
  }
  for (const Effort& known : kEfforts) {
    if (*effort != std::string(known.word)) continue;
    Json thinking = {{"includeThoughts", true}};
    if (levels) {
      thinking["thinkingLevel"] = known.level;
    } else {
      thinking["thinkingBudget"] = known.budget;
    }
    config["thinkingConfig"] = std::move(thinking);
    return std::nullopt;
  }
  return Unsupported("reasoning_effort", "must be none, minimal, low, medium or high: Gemini thinks no harder");
}

Fault AddResponseFormat(const Json& chat, Json& config) {
  const Json* format = Find(chat, "response_format");
  if (format == nullptr) return std::nullopt;
  const std::string type = StringAt(*format, "type");
  if (type == "text") return std::nullopt;
  if (type != "json_object" && type != "json_schema") {
    return Unsupported("response_format.type", "must be text, json_object or json_schema");
  }
  config["responseMimeType"] = "application/json";
  if (type == "json_object") return std::nullopt;
  const Json* named = FindObject(*format, "json_schema");
  if (named == nullptr) return Invalid("response_format.json_schema", "is missing");
  const Json* schema = Find(*named, "schema");
  if (schema == nullptr) return std::nullopt;
  Json cleaned = GeminiSchema(*schema);
  const Json* description = Find(*named, "description");
  if (description != nullptr && cleaned.is_object() && !cleaned.contains("description")) {
    cleaned["description"] = *description;
  }
  config["responseJsonSchema"] = std::move(cleaned);
  return std::nullopt;
}

Fault AddModalities(const Json& chat, Json& config) {
  const Json* modalities = Find(chat, "modalities");
  if (modalities == nullptr) return std::nullopt;
  if (!modalities->is_array()) return Invalid("modalities", "is not an array");
  Json named = Json::array();
  for (const Json& modality : *modalities) {
    if (modality != "text" && modality != "image") {
      return Unsupported("modalities", "may name text and image: other output has no counterpart here");
    }
    named.push_back(modality == "text" ? "TEXT" : "IMAGE");
  }
  if (named != Json::array({"TEXT"})) config["responseModalities"] = std::move(named);
  return std::nullopt;
}

Fault AddServiceTier(const Json& chat, Json& body) {
  const Json* tier = Find(chat, "service_tier");
  if (tier == nullptr || *tier == "auto") return std::nullopt;
  if (*tier != "default" && *tier != "flex" && *tier != "priority") {
    return Unsupported("service_tier", "must be auto, default, flex or priority");
  }
  body["serviceTier"] = *tier == "default" ? Json("standard") : *tier;
  return std::nullopt;
}

// {"google":{"thinking_config":{...},"cached_content":"..."}}, as Google's own compatible API takes it.
Fault AddExtraBody(const Json& chat, Json& body, Json& config) {
  const Json* extra = Find(chat, "extra_body");
  if (extra == nullptr) return std::nullopt;
  if (!extra->is_object()) return Invalid("extra_body", "is not an object");
  if (Fault fault = RefuseUnknown(*extra, {"google"}, "extra_body")) return fault;
  const Json* google = FindObject(*extra, "google");
  if (google == nullptr) return std::nullopt;
  if (Fault fault = RefuseUnknown(*google, {"thinking_config", "cached_content"}, "extra_body.google")) return fault;
  if (const Json* cached = Find(*google, "cached_content")) body["cachedContent"] = *cached;
  const Json* thinking = FindObject(*google, "thinking_config");
  if (thinking == nullptr) return std::nullopt;
  const std::string path = "extra_body.google.thinking_config";
  if (Fault fault = RefuseUnknown(*thinking, {"thinking_budget", "thinking_level", "include_thoughts"}, path)) {
    return fault;
  }
  if (config.contains("thinkingConfig")) {
    return Unsupported(path, "cannot stand beside reasoning_effort, which says the same: send one of them");
  }
  Json written = Json::object();
  if (const Json* value = Find(*thinking, "thinking_budget")) written["thinkingBudget"] = *value;
  if (const Json* value = Find(*thinking, "thinking_level")) written["thinkingLevel"] = *value;
  if (const Json* value = Find(*thinking, "include_thoughts")) written["includeThoughts"] = *value;
  config["thinkingConfig"] = std::move(written);
  return std::nullopt;
}

Fault AddConfig(const Json& chat, Json& config) {
  for (const auto& [name, written] : kPlain) {
    if (const Json* value = Find(chat, name)) config[written] = *value;
  }
  const std::optional<int64_t> completion = CountAt(chat, "max_completion_tokens");
  const std::optional<int64_t> cap = CountAt(chat, "max_tokens");
  if (completion || cap) {
    constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
    config["maxOutputTokens"] = std::min(completion.value_or(kNone), cap.value_or(kNone));
  }
  if (const Json* stop = Find(chat, "stop")) {
    config["stopSequences"] = stop->is_array() ? *stop : Json::array({*stop});
  }
  if (Fault fault = AddEffort(chat, config)) return fault;
  if (Fault fault = AddResponseFormat(chat, config)) return fault;
  return AddModalities(chat, config);
}

Fault RefuseKnown(const Json& chat) {
  for (const Refused& refused : kRefused) {
    const Json* value = Find(chat, refused.name);
    if (value == nullptr || DumpJson(*value) == refused.harmless) continue;
    return Unsupported(refused.name,
                       "has no counterpart in Gemini's generateContent: leave it out, or set it to null in the "
                       "parameters of the route's model element");
  }
  return std::nullopt;
}

// The client's own generationConfig adds to what was made of chat parameters; it cannot replace it, for the output cap
// and the number of choices were reckoned with.
Fault MergeConfig(const Json& own, Json& config) {
  if (!own.is_object()) return Invalid("generationConfig", "is not an object");
  std::set<std::string> said = NormalNames(config);
  said.insert({"maxoutputtokens", "candidatecount"});
  for (const auto& [name, value] : own.get_ref<const Json::object_t&>()) {
    if (!said.insert(Normal(name)).second) {
      return Unsupported(absl::StrCat("generationConfig.", name), "is said by a parameter of chat completions here");
    }
    AddMember(config, name, value);
  }
  return std::nullopt;
}

// Google's own fields, and what nobody knows: Google refuses that by name.
Fault PassUnknown(const Json& chat, Json& body, Json& config) {
  std::set<std::string> said = NormalNames(body);
  said.insert({"contents", "systeminstruction", "tools"});
  for (const auto& [name, value] : chat.get_ref<const Json::object_t&>()) {
    const auto same_name = [&name = name](const auto& entry) { return entry.first == name; };
    const auto refused_name = [&name = name](const Refused& entry) { return entry.name == name; };
    if (value.is_null() || Contains(kHandled, name) || std::any_of(std::begin(kPlain), std::end(kPlain), same_name) ||
        std::any_of(std::begin(kRefused), std::end(kRefused), refused_name)) {
      continue;
    }
    const std::string normal = Normal(name);
    if (!said.insert(normal).second) {
      return Unsupported(name, "is made of the chat completion here: say it there");
    }
    if (normal == "generationconfig") {
      if (Fault fault = MergeConfig(value, config)) return fault;
    } else {
      AddMember(body, name, value);
    }
  }
  return std::nullopt;
}

Fault Write(const Json& chat, Json& body) {
  const Json* messages = FindArray(chat, "messages");
  if (messages == nullptr) return Invalid("messages", "is missing, or not an array");
  if (Fault fault = RefuseKnown(chat)) return fault;
  Json config = Json::object();
  ContentsWriter contents(StringAt(chat, "model"));
  for (size_t i = 0; i < messages->size(); ++i) {
    if (Fault fault = contents.Add((*messages)[i], i)) return fault;
  }
  if (Fault fault = contents.Finish(body, config)) return fault;
  if (Fault fault = AddTools(chat, body)) return fault;
  if (Fault fault = AddServiceTier(chat, body)) return fault;
  if (Fault fault = AddConfig(chat, config)) return fault;
  if (Fault fault = AddExtraBody(chat, body, config)) return fault;
  if (Fault fault = PassUnknown(chat, body, config)) return fault;
  if (!config.empty()) body["generationConfig"] = std::move(config);
  return std::nullopt;
}

}  // namespace

std::variant<std::string, BodyFault> GenerateContentRequest(std::string_view chat_body) {
  const std::optional<Json> chat = ParseJson(chat_body);
  if (!chat || !chat->is_object()) return BodyFault{400, "invalid_json", "the body is not a JSON object", ""};
  Json body = Json::object();
  if (Fault fault = Write(*chat, body)) return *std::move(fault);
  return DumpJson(body);
}

}  // namespace signalbox
