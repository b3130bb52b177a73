#include <map>
#include <utility>

#include "dataplane/translate/generate_content_wire.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

// Every event is an answer of its own, with what is new. Usage runs along, and a finishReason may stand in more than
// the last event: both are said at the end only. A stream has no end marker; it ended well when a candidate said why.
class GenerateContentStreamTranslator : public StreamTranslator {
 public:
  explicit GenerateContentStreamTranslator(const AnswerContext& context) : context_(context) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    absl::StatusOr<std::vector<SseEvent>> events = reader_.Feed(bytes);
    if (!events.ok()) return events.status();
    std::string out;
    for (const SseEvent& event : *events) {
      if (failed_) break;
      const std::optional<Json> json = ParseJson(event.data);
      if (!json || !json->is_object()) {
        return absl::DataLossError("the provider sent a stream event that is not a JSON object");
      }
      TakeEvent(*json, out);
    }
    return out;
  }

  std::string Finish() override {
    if (failed_ || std::exchange(ended_, true)) return "";
    std::string out;
    bool finished = false;
    for (const auto& [index, choice] : choices_) {
      if (choice.finish.empty()) continue;
      finished = true;
      Json last = {{"index", index}, {"delta", Json::object()}};
      SetFinish(choice.finish, choice.calls > 0, last);
      out += ChatChoiceChunk(context_, std::move(last));
    }
    if (finished) {
      if (usage_) out += ChatUsageChunk(context_, *usage_);
      out += kChatDone;
    } else if (usage_) {
      // Only what it was up to then.
      out += ChatChoiceChunk(
          context_,
          {{"index", 0}, {"delta", Json::object()}, {"finish_reason", nullptr}, {"usage", ChatUsageJson(*usage_)}});
    }
    return out;
  }

 private:
  struct Choice {
    bool began = false;
    size_t calls = 0;
    std::string finish;
  };

  void TakeEvent(const Json& event, std::string& out) {
    if (FindObject(event, "error") != nullptr) {
      failed_ = true;
      const int64_t code = CountAt(*FindObject(event, "error"), "code").value_or(500);
      out += FormatSse(
          "", DumpJson(GoogleError(code >= 400 && code < 600 ? static_cast<int>(code) : 500, DumpJson(event))));
      return;
    }
    if (!named_) {
      named_ = true;
      context_.id = StringAt(event, "responseId", context_.id);
      context_.model = StringAt(event, "modelVersion", context_.model);
    }
    Json first_usage;
    if (std::optional<ChatUsage> usage = ReadUsageMetadata(event)) {
      if (!usage_) first_usage = ChatUsageJson(*usage);
      usage_ = usage;
    }
    const Json* candidates = FindArray(event, "candidates");
    for (size_t i = 0; candidates != nullptr && i < candidates->size(); ++i) {
      const int64_t index = CountAt((*candidates)[i], "index").value_or(static_cast<int64_t>(i));
      TakeCandidate(ReadCandidate((*candidates)[i], i, context_.id, choices_[index].calls), first_usage, out);
      first_usage = nullptr;
    }
    if (std::optional<Candidate> blocked = ReadBlocked(event)) TakeCandidate(*std::move(blocked), nullptr, out);
  }

  // `usage` stands in the choice, where it counts as what is known so far: should the stream break, the input is known.
  void TakeCandidate(Candidate candidate, Json usage, std::string& out) {
    Choice& choice = choices_[candidate.index];
    choice.calls += candidate.calls.size();
    if (!candidate.finish.empty()) choice.finish = candidate.finish;
    Json written = {{"index", candidate.index}};
    Json logprobs = std::move(candidate.logprobs);
    Json notes = std::move(candidate.notes);
    Json delta = ChatMessage(std::move(candidate), true);
    if (!std::exchange(choice.began, true)) {
      delta["role"] = "assistant";
    } else if (delta.empty() && logprobs.is_null() && notes.is_null()) {
      return;
    }
    written["delta"] = std::move(delta);
    if (!logprobs.is_null()) written["logprobs"] = std::move(logprobs);
    if (!notes.is_null()) written["extra_content"] = std::move(notes);
    written["finish_reason"] = nullptr;
    if (!usage.is_null()) written["usage"] = std::move(usage);
    out += ChatChoiceChunk(context_, std::move(written));
  }

  AnswerContext context_;
  SseReader reader_;
  std::map<int64_t, Choice> choices_;
  std::optional<ChatUsage> usage_;
  bool named_ = false;
  bool failed_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<StreamTranslator> GenerateContentStream(const AnswerContext& context) {
  return std::make_unique<GenerateContentStreamTranslator>(context);
}

}  // namespace signalbox
