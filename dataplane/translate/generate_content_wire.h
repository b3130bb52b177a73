// Google's generateContent between chat completions: the pieces GenerateContentProvider() is made of. Included by this
// format's sources only. Requests go one way (contents, tools, configuration), answers and their chunks the other.
// Pure; nothing here keeps state but ContentsWriter, which is one request's.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/provider/body_fault.h"
#include "dataplane/translate/chat_json.h"
#include "dataplane/translate/json_members.h"

namespace signalbox {

using Fault = std::optional<BodyFault>;

// Whether the model is told how long to think by a level (Gemini 3 and later) or by a budget of tokens.
bool ThinksInLevels(std::string_view model);
// A fault naming the first member of `object` that is neither null nor known. `path`: where `object` stands.
Fault RefuseUnknown(const Json& object, std::initializer_list<std::string_view> known, const std::string& path);

// Turns messages into systemInstruction and contents. System messages go together to the front, wherever they stood:
// the format has one place for them.
class ContentsWriter {
 public:
  explicit ContentsWriter(std::string_view model) : signatures_checked_(ThinksInLevels(model)) {}
  Fault Add(const Json& message, size_t position);
  // After the last message. `config` takes the images' resolution.
  Fault Finish(Json& body, Json& config);

 private:
  enum class Turn { kNone, kUser, kModel, kResults };
  // The parts of the turn that goes on, or of a new one: neighbours of one kind are one turn.
  Json& Parts(Turn turn);
  Fault AddContent(const Json& message, const std::string& path, Json& parts);
  Fault AddPart(const Json& part, const std::string& path, Json& parts);
  Fault AddImage(const Json& part, const std::string& path, Json& parts);
  Fault AddAssistant(const Json& message, const std::string& path);
  Fault AddCall(const Json& call, const std::string& path, bool first, Json& parts);
  Fault AddResult(const Json& message, const std::string& path);

  const bool signatures_checked_;
  Turn last_ = Turn::kNone;
  Json contents_ = Json::array();
  Json system_parts_ = Json::array();
  std::map<std::string, std::string> names_;  // of functions, by the id of their call
  std::optional<std::string> detail_;         // of every image so far
};

std::variant<std::string, BodyFault> GenerateContentRequest(std::string_view chat_body);

// tools -> functionDeclarations; tool_choice -> toolConfig.
Fault AddTools(const Json& chat, Json& body);
// What Gemini refuses in a JSON schema is put in words it takes; everything else stays.
Json GeminiSchema(const Json& schema);

// One candidate of an answer or of a chunk, read.
struct Candidate {
  int64_t index = 0;
  std::string text;
  bool has_text = false;
  std::string thoughts;
  Json calls = Json::array();   // chat tool calls
  Json images = Json::array();  // as image_url parts
  Json extra;                   // of the message: {"google":{...}}: what has to come back in the next turn; null: none
  Json notes;                   // of the choice: {"google":{...}}: what else Google says of it; null: nothing
  std::string finish;           // Google's reason; empty: none yet
  Json logprobs;                // null: none
};
// `calls_before`: of this candidate in earlier chunks. `id`: of the answer; ids of calls without one are made of it.
Candidate ReadCandidate(const Json& candidate, size_t position, std::string_view id, size_t calls_before);
// A message or a delta, but for its role.
Json ChatMessage(Candidate candidate, bool delta);
// finish_reason, and native_finish_reason where that says more.
void SetFinish(const std::string& reason, bool has_calls, Json& choice);
// The choice that says the prompt was blocked; nullopt when it was not.
std::optional<Candidate> ReadBlocked(const Json& answer);
// nullopt when usageMetadata is missing or not to be believed.
std::optional<ChatUsage> ReadUsageMetadata(const Json& answer);
// A Google error as an OpenAI one; `body` may be anything.
Json GoogleError(int status, std::string_view body);

std::unique_ptr<StreamTranslator> GenerateContentStream(const AnswerContext& context);

}  // namespace signalbox
