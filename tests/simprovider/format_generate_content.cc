// Google Gemini: generateContent and streamGenerateContent.
#include <algorithm>

#include "tests/simprovider/format.h"

namespace signalbox::sim {
namespace {

const Json* Either(const Json& object, const char* camel, const char* snake) {
  const Json* const found = Find(object, camel);
  return found != nullptr ? found : Find(object, snake);
}

class Reader {
 public:
  absl::StatusOr<Ask> Read(const Target& target, const Json& body) {
    const std::string unknown =
        UnknownKey(body, {"contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config",
                          "safetySettings", "safety_settings", "generationConfig", "generation_config", "cachedContent",
                          "labels", "serviceTier", "store"});
    if (!unknown.empty()) return Unknown(unknown, "");
    Ask ask;
    ask.model = target.model;
    ask.stream = target.stream;
    if (IsString(body, "cachedContent")) reader_.HintCache();
    if (const Json* const system = Either(body, "systemInstruction", "system_instruction")) {
      std::string text;
      const Json* const parts = Find(*system, "parts");
      if (parts == nullptr || parts->empty())
        return Invalid("* GenerateContentRequest.system_instruction.parts: must not be empty.");
      if (parts->is_object()) text = TextOf(*parts, "text");
      for (const Json& part : parts->is_array() ? *parts : Json::array()) text += TextOf(part, "text");
      reader_.Turn(AskReader::Role::kSystem, text);
    }
    for (const auto& read : {&Reader::Contents, &Reader::Tools}) {
      if (absl::Status status = (this->*read)(body); !status.ok()) return status;
    }
    if (absl::Status status = Config(body, ask); !status.ok()) return status;
    return reader_.Take(std::move(ask));
  }

 private:
  static absl::Status Unknown(const std::string& key, const std::string& place) {
    return Invalid(absl::StrCat("Invalid JSON payload received. Unknown name \"", key, "\"",
                                place.empty() ? "" : absl::StrCat(" at '", place, "'"), ": Cannot find field."));
  }

  // The text a function answered, whichever key it was wrapped in.
  static std::string ResponseText(const Json& response) {
    if (response.is_object() && response.size() == 1 && response.begin()->is_string()) {
      return response.begin()->get<std::string>();
    }
    return response.dump();
  }

  absl::Status Contents(const Json& body) {
    const Json* const contents = Find(body, "contents");
    if (contents == nullptr || (contents->is_array() && contents->empty())) {
      return Invalid("* GenerateContentRequest.contents: contents is not specified");
    }
    for (size_t i = 0; i < contents->size(); ++i) {
      if (absl::Status status = Content((*contents)[i], absl::StrCat("contents[", i, "]")); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Content(const Json& content, const std::string& place) {
    const std::string unknown = UnknownKey(content, {"role", "parts"});
    if (!unknown.empty()) return Unknown(unknown, place);
    const std::string role = IsString(content, "role") ? TextOf(content, "role") : "user";
    if (role != "user" && role != "model" && role != "function") {
      return Invalid("Please use a valid role: user, model.");
    }
    const Json* const parts = Find(content, "parts");
    if (parts == nullptr || !parts->is_array() || parts->empty()) {
      return Invalid(absl::StrCat("* GenerateContentRequest.", place, ".parts: contents.parts must not be empty."));
    }
    std::string text;
    int64_t attachments = 0;
    size_t calls = 0, responses = 0;
    for (const Json& part : *parts) {
      const std::string odd =
          UnknownKey(part, {"text", "thought", "thoughtSignature", "thought_signature", "inlineData", "inline_data",
                            "fileData", "file_data", "functionCall", "functionResponse", "executableCode",
                            "codeExecutionResult", "videoMetadata", "mediaResolution"});
      if (!odd.empty()) return Unknown(odd, absl::StrCat(place, ".parts[0]"));
      if (const Json* const response = Find(part, "functionResponse")) {
        ++responses;
        if (TextOf(*response, "name").empty()) {
          return Invalid("* GenerateContentRequest." + place + ".function_response.name: Name cannot be empty.");
        }
        const Json* const value = Find(*response, "response");
        if (value != nullptr && !value->is_object()) {
          return Invalid("Invalid value at '" + place +
                         ".parts[0].function_response.response' (type.googleapis.com/"
                         "google.protobuf.Struct)");
        }
        reader_.Turn(AskReader::Role::kTool, value == nullptr ? "" : ResponseText(*value));
      } else if (const Json* const call = Find(part, "functionCall")) {
        ++calls;
        const Json* const args = Find(*call, "args");
        if (TextOf(*call, "name").empty() || (args != nullptr && !args->is_object())) {
          return Invalid("Invalid value at '" + place + ".parts[0].function_call'");
        }
      } else if (const Json* const blob = Either(part, "inlineData", "inline_data")) {
        if (Either(*blob, "mimeType", "mime_type") == nullptr || TextOf(*blob, "data").empty()) {
          return Invalid("* GenerateContentRequest." + place + ".inline_data: mimeType and data are required.");
        }
        ++attachments;
      } else if (Either(part, "fileData", "file_data") != nullptr) {
        ++attachments;
      } else if (!IsTrue(part, "thought")) {
        text += TextOf(part, "text");
      }
    }
    if (responses != (role == "model" ? 0 : open_calls_) && (responses > 0 || open_calls_ > 0)) {
      return Invalid(
          "Please ensure that the number of function response parts is equal to the number of function call "
          "parts of the function call turn.");
    }
    open_calls_ = role == "model" ? calls : 0;
    if (role == "model" || responses == 0 || !text.empty()) {
      reader_.Turn(role == "model" ? AskReader::Role::kAssistant : AskReader::Role::kUser, text, attachments);
    }
    return absl::OkStatus();
  }

  absl::Status Tools(const Json& body) {
    if (const Json* const tools = Find(body, "tools")) {
      for (const Json& tool : *tools) {
        const Json* const functions = Either(tool, "functionDeclarations", "function_declarations");
        for (const Json& function : functions == nullptr ? Json::array() : *functions) {
          const std::string unknown = UnknownKey(function, {"name", "description", "parameters", "parametersJsonSchema",
                                                            "response", "responseJsonSchema", "behavior"});
          if (!unknown.empty()) return Unknown(unknown, "tools[0].function_declarations[0]");
          const Json* const schema = Either(function, "parameters", "parametersJsonSchema");
          if (Find(function, "parameters") != nullptr && schema->contains("additionalProperties")) {
            return Unknown("additionalProperties", "tools[0].function_declarations[0].parameters");
          }
          reader_.OfferTool(TextOf(function, "name"), TextOf(function, "description"),
                            schema == nullptr ? Json() : *schema);
        }
      }
    }
    const Json* const config = Either(body, "toolConfig", "tool_config");
    const Json* const calling =
        config == nullptr ? nullptr : Either(*config, "functionCallingConfig", "function_calling_config");
    if (calling == nullptr) return absl::OkStatus();
    const std::string mode = TextOf(*calling, "mode");
    if (mode != "AUTO" && mode != "ANY" && mode != "NONE" && mode != "VALIDATED" && !mode.empty()) {
      return Invalid("Invalid value at 'tool_config.function_calling_config.mode'");
    }
    const Json* const allowed = Either(*calling, "allowedFunctionNames", "allowed_function_names");
    if (mode == "NONE") reader_.ForbidTools();
    if (mode != "ANY") return absl::OkStatus();
    if (allowed != nullptr && allowed->size() == 1) {
      reader_.DemandTool((*allowed)[0].get<std::string>());
    } else {
      reader_.DemandAnyTool();
    }
    return absl::OkStatus();
  }

  absl::Status Config(const Json& body, Ask& ask) {
    const Json* const config = Either(body, "generationConfig", "generation_config");
    if (config == nullptr) return absl::OkStatus();
    const std::string unknown = UnknownKey(*config, {"temperature",
                                                     "topP",
                                                     "topK",
                                                     "candidateCount",
                                                     "maxOutputTokens",
                                                     "stopSequences",
                                                     "responseMimeType",
                                                     "responseSchema",
                                                     "responseJsonSchema",
                                                     "_responseJsonSchema",
                                                     "presencePenalty",
                                                     "frequencyPenalty",
                                                     "seed",
                                                     "responseLogprobs",
                                                     "logprobs",
                                                     "thinkingConfig",
                                                     "responseModalities",
                                                     "speechConfig",
                                                     "mediaResolution",
                                                     "enableEnhancedCivicAnswers",
                                                     "imageConfig"});
    if (!unknown.empty()) return Unknown(unknown, "generation_config");
    const absl::StatusOr<int64_t> cap = PositiveOr(*config, "maxOutputTokens", -1);
    const absl::StatusOr<int64_t> choices = PositiveOr(*config, "candidateCount", 1);
    if (!cap.ok()) return Invalid("* GenerateContentRequest.generation_config.max_output_tokens: must be positive.");
    if (!choices.ok() || *choices > 8) return Invalid("The specified candidate_count is not in range [1, 8].");
    ask.output_cap = *cap;
    ask.choices = *choices;
    if (const Json* const stops = Find(*config, "stopSequences")) {
      if (stops->size() > 5) return Invalid("* GenerateContentRequest.generation_config.stop_sequences: at most 5.");
      for (const Json& stop : *stops) reader_.Stop(stop.get<std::string>());
    }
    const Json* schema = Find(*config, "responseSchema");
    if (schema == nullptr) schema = Either(*config, "responseJsonSchema", "_responseJsonSchema");
    const bool json = TextOf(*config, "responseMimeType") == "application/json";
    if (schema != nullptr && !json) {
      return Invalid(
          "* GenerateContentRequest.generation_config.response_schema: only allowed with the response mime "
          "type application/json.");
    }
    if (json) {
      reader_.DemandJson(
          schema != nullptr ? *schema : Json{{"type", "object"}, {"properties", {{"answer", {{"type", "string"}}}}}});
    }
    const Json* const thinking = Find(*config, "thinkingConfig");
    if (thinking != nullptr) Thinking(*thinking, ask);
    return absl::OkStatus();
  }

  void Thinking(const Json& thinking, Ask& ask) {
    std::string level = TextOf(thinking, "thinkingLevel");
    std::transform(level.begin(), level.end(), level.begin(), [](unsigned char c) { return std::tolower(c); });
    const Json* const budget = Find(thinking, "thinkingBudget");
    if (budget != nullptr && budget->is_number_integer()) {
      const int64_t tokens = budget->get<int64_t>();
      level = tokens == 0 ? "" : tokens < 0 ? "medium" : tokens <= 4'096 ? "low" : tokens <= 12'288 ? "medium" : "high";
    }
    reader_.Reason(level);
    ask.show_reasoning = IsTrue(thinking, "includeThoughts");
  }

  AskReader reader_;
  size_t open_calls_ = 0;
};

OrderedJson UsageJson(const Usage& usage) {
  OrderedJson json = {{"promptTokenCount", usage.input},
                      {"candidatesTokenCount", usage.output - usage.reasoning},
                      {"totalTokenCount", usage.input + usage.output}};
  if (usage.cached > 0) json["cachedContentTokenCount"] = usage.cached;
  if (usage.reasoning > 0) json["thoughtsTokenCount"] = usage.reasoning;
  json["promptTokensDetails"] = OrderedJson::array({{{"modality", "TEXT"}, {"tokenCount", usage.input}}});
  return json;
}

const char* FinishReason(const Choice& choice) {
  return choice.end == Choice::End::kLength ? "MAX_TOKENS" : "STOP";  // after a function call too
}

OrderedJson CallPart(const ToolCall& call, const Choice& choice, const Answer& answer) {
  OrderedJson part = {{"functionCall", {{"name", call.name}, {"args", OrderedJson::parse(call.arguments)}}}};
  if (choice.reasoning_tokens > 0) part["thoughtSignature"] = absl::StrCat("c2ln", answer.id);
  return part;
}

OrderedJson Envelope(const Answer& answer, OrderedJson candidates) {
  return {{"candidates", std::move(candidates)}, {"modelVersion", answer.model}, {"responseId", answer.id}};
}

OrderedJson Candidate(OrderedJson parts, size_t index, const char* finish) {
  OrderedJson candidate = {{"content", {{"parts", std::move(parts)}, {"role", "model"}}}};
  if (finish != nullptr) candidate["finishReason"] = finish;
  candidate["index"] = index;
  return candidate;
}

class GenerateContent : public Format {
 public:
  std::string_view name() const override { return "generate_content"; }

  absl::StatusOr<Ask> Read(const Target& target, const Json& body) const override {
    return Reader().Read(target, body);
  }

  std::string Unary(const Ask& ask, const Answer& answer, UsageShown usage) const override {
    OrderedJson candidates = OrderedJson::array();
    for (size_t i = 0; i < answer.choices.size(); ++i) {
      const Choice& choice = answer.choices[i];
      OrderedJson parts = OrderedJson::array();
      if (ask.show_reasoning && !choice.thought.empty()) {
        parts.push_back({{"text", choice.thought}, {"thought", true}});
      }
      if (choice.tool_calls.empty()) parts.push_back({{"text", choice.text}});
      for (const ToolCall& call : choice.tool_calls) parts.push_back(CallPart(call, choice, answer));
      candidates.push_back(Candidate(std::move(parts), i, FinishReason(choice)));
    }
    OrderedJson json = Envelope(answer, std::move(candidates));
    if (usage != UsageShown::kAbsent) {
      json["usageMetadata"] = UsageJson(usage == UsageShown::kZero ? Usage{} : answer.usage);
    }
    return Dump(json);
  }

  // Every chunk says what was used so far, the last one the whole.
  std::vector<StreamEvent> Stream(const Ask& ask, const Answer& answer, int chunks, UsageShown usage) const override {
    std::vector<StreamEvent> events;
    int64_t done = 0, reasoned = 0;
    const auto add = [&](OrderedJson candidate, int64_t tokens, bool last) {
      OrderedJson json = Envelope(answer, OrderedJson::array({std::move(candidate)}));
      if (usage != UsageShown::kAbsent) {
        Usage so_far = usage == UsageShown::kZero ? Usage{} : answer.usage;
        so_far.output = std::min(so_far.output, tokens);
        so_far.reasoning = std::min({so_far.reasoning, so_far.output, reasoned});
        json["usageMetadata"] = UsageJson(so_far);
      }
      events.push_back({"", Dump(json), tokens, last && usage != UsageShown::kAbsent});
    };
    for (size_t i = 0; i < answer.choices.size(); ++i) {
      const Choice& choice = answer.choices[i];
      const bool last = i + 1 == answer.choices.size();
      reasoned += choice.reasoning_tokens;
      const int64_t base = done + choice.reasoning_tokens;
      for (const std::string& piece : SplitText(ask.show_reasoning ? choice.thought : "", chunks)) {
        add(Candidate(OrderedJson::array({{{"text", piece}, {"thought", true}}}), i, nullptr), base, false);
      }
      size_t sent = 0;
      std::vector<std::string> pieces = SplitText(choice.text, chunks);
      if (pieces.empty() && choice.tool_calls.empty()) pieces.push_back("");
      for (size_t p = 0; p < pieces.size(); ++p) {
        sent += pieces[p].size();
        const bool ends = p + 1 == pieces.size();
        add(Candidate(OrderedJson::array({{{"text", pieces[p]}}}), i, ends ? FinishReason(choice) : nullptr),
            ends ? done + choice.tokens : base + TokensOf(sent), ends && last);
      }
      for (size_t c = 0; c < choice.tool_calls.size(); ++c) {
        const bool ends = c + 1 == choice.tool_calls.size();
        add(Candidate(OrderedJson::array({CallPart(choice.tool_calls[c], choice, answer)}), i,
                      ends ? FinishReason(choice) : nullptr),
            done + choice.tokens, ends && last);
      }
      done += choice.tokens;
    }
    return events;
  }

  // Google ends lines with CR LF; without alt=sse the stream is one JSON array.
  std::string Wire(const Target& target, const StreamEvent& event, bool first, bool last) const override {
    if (target.sse) return absl::StrCat("data: ", event.data, "\r\n\r\n");
    return absl::StrCat(first ? "[" : ",\r\n", event.data, last ? "]" : "");
  }
  std::string_view StreamType(const Target& target) const override {
    return target.sse ? "text/event-stream" : "application/json; charset=UTF-8";
  }

  ErrorReply Error(int status, std::string_view message, int64_t retry_after_ms) const override {
    return {Dump(ErrorJson(status, message, retry_after_ms)), {}};
  }

  std::string ErrorEvent(const Target& target) const override {
    const std::string error = Dump(ErrorJson(503, "The model is overloaded. Please try again later.", -1));
    return target.sse ? absl::StrCat("data: ", error, "\r\n\r\n") : absl::StrCat(",\r\n", error, "]");
  }

 private:
  static OrderedJson ErrorJson(int status, std::string_view message, int64_t retry_after_ms) {
    const char* const name = status == 400   ? "INVALID_ARGUMENT"
                             : status == 401 ? "UNAUTHENTICATED"
                             : status == 403 ? "PERMISSION_DENIED"
                             : status == 404 ? "NOT_FOUND"
                             : status == 409 ? "ABORTED"
                             : status == 429 ? "RESOURCE_EXHAUSTED"
                             : status == 503 ? "UNAVAILABLE"
                             : status == 504 ? "DEADLINE_EXCEEDED"
                             : status >= 500 ? "INTERNAL"
                                             : "FAILED_PRECONDITION";
    OrderedJson error = {{"code", status}, {"message", std::string(message)}, {"status", name}};
    if (retry_after_ms >= 0) {
      error["details"] =
          OrderedJson::array({{{"@type", "type.googleapis.com/google.rpc.RetryInfo"},
                               {"retryDelay", absl::StrCat(static_cast<double>(retry_after_ms) / 1'000, "s")}}});
    }
    return {{"error", std::move(error)}};
  }
};

}  // namespace

const Format& GenerateContentFormat() {
  static const GenerateContent format;
  return format;
}

}  // namespace signalbox::sim
