#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/messages_client_wire.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

// Chunks, as Anthropic's events: one block is open at a time and its events carry its index; message_delta and
// message_stop come when the chunks said they are done, since usage comes after the reason they ended.
class MessagesEvents : public StreamTranslator {
 public:
  explicit MessagesEvents(AnswerContext context) : context_(std::move(context)) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    absl::StatusOr<std::vector<SseEvent>> events = reader_.Feed(bytes);
    if (!events.ok()) return events.status();
    for (const SseEvent& event : *events) {
      if (ended_) break;
      if (absl::Status taken = Take(event); !taken.ok()) return taken;
    }
    return std::exchange(out_, std::string());
  }

  std::string Finish() override { return std::exchange(out_, std::string()); }

 private:
  enum class Open { kNone, kText, kThinking, kTool };
  struct Call {
    int64_t block = -1;  // -1: its name did not come yet
    std::string id, name;
    std::string waiting;  // arguments until then
  };

  absl::Status Take(const SseEvent& event) {
    if (event.data == "[DONE]") {
      End();
      return absl::OkStatus();
    }
    const std::optional<Json> chunk = ParseJson(event.data);
    if (!chunk || !chunk->is_object()) {
      return absl::DataLossError("the provider's stream has an event that is not a JSON object");
    }
    if (const Json* error = Find(*chunk, "error")) {
      TakeError(*chunk, *error);
      return absl::OkStatus();
    }
    Start(*chunk);
    if (const Json* usage = FindObject(*chunk, "usage")) usage_ = *usage;
    if (const Json* choices = FindArray(*chunk, "choices")) {
      for (const Json& choice : *choices) {
        if (CountAt(choice, "index").value_or(0) == 0) TakeChoice(choice);
      }
    }
    return absl::OkStatus();
  }

  void Start(const Json& chunk) {
    if (std::exchange(started_, true)) return;
    Json message =
        EmptyMessage(MessageId(StringAt(chunk, "id", context_.id)), StringAt(chunk, "model", context_.model));
    // Some say at the start what the input was.
    const Json* choices = FindArray(chunk, "choices");
    const Json* usage = choices == nullptr || choices->empty() ? nullptr : FindObject((*choices)[0], "usage");
    message["usage"] = MessagesUsageOf(usage);
    if (usage != nullptr) usage_ = *usage;
    Emit("message_start", {{"message", std::move(message)}});
  }

  void TakeChoice(const Json& choice) {
    if (const Json* delta = FindObject(choice, "delta")) TakeDelta(*delta);
    if (Find(choice, "finish_reason") == nullptr) return;
    finished_ = true;
    SetMessagesStop(choice, !calls_.empty(), stop_);
  }

  void TakeDelta(const Json& delta) {
    // Some send the same reasoning under both names.
    TakeThinking(StringAt(delta, "reasoning_content", StringAt(delta, "reasoning")));
    if (const Json* blocks = FindArray(delta, "thinking_blocks")) {
      for (const Json& block : *blocks) TakeThinkingBlock(block);
    }
    TakeText(StringAt(delta, "content"));
    TakeText(StringAt(delta, "refusal"));
    if (const Json* calls = FindArray(delta, "tool_calls")) {
      for (const Json& call : *calls) TakeCall(call);
    }
  }

  void TakeText(const std::string& text) {
    if (text.empty()) return;
    if (open_ != Open::kText) OpenBlock(Open::kText, {{"type", "text"}, {"text", ""}, {"citations", nullptr}});
    Delta(index_, {{"type", "text_delta"}, {"text", text}});
  }

  void TakeThinking(const std::string& thinking) {
    if (thinking.empty()) return;
    if (open_ != Open::kThinking) {
      OpenBlock(Open::kThinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
    }
    Delta(index_, {{"type", "thinking_delta"}, {"thinking", thinking}});
  }

  // A whole block behind the text it was streamed as: what is new is its signature.
  void TakeThinkingBlock(const Json& block) {
    if (StringAt(block, "type") == "redacted_thinking") {
      OpenBlock(Open::kThinking, block);
    } else {
      if (open_ != Open::kThinking) TakeThinking(StringAt(block, "thinking"));
      if (open_ != Open::kThinking) {
        OpenBlock(Open::kThinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
      }
      Delta(index_, {{"type", "signature_delta"}, {"signature", StringAt(block, "signature")}});
    }
    CloseBlock();
  }

  void TakeCall(const Json& delta) {
    const int64_t place = CountAt(delta, "index").value_or(0);
    Call& call = calls_[place];
    if (std::string id = StringAt(delta, "id"); !id.empty()) call.id = std::move(id);
    const Json* function = FindObject(delta, "function");
    if (function == nullptr) return;
    if (std::string name = StringAt(*function, "name"); !name.empty()) call.name = std::move(name);
    call.waiting += StringAt(*function, "arguments");
    if (call.name.empty()) return;
    if (call.block < 0) StartCall(place, call);
    if (call.waiting.empty()) return;
    Delta(call.block, {{"type", "input_json_delta"}, {"partial_json", std::exchange(call.waiting, std::string())}});
  }

  void StartCall(int64_t place, Call& call) {
    if (call.id.empty()) call.id = absl::StrCat("toolu_", context_.id, "_", place);
    OpenBlock(Open::kTool, {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", Json::object()}});
    call.block = index_;
  }

  void OpenBlock(Open kind, Json block) {
    CloseBlock();
    open_ = kind;
    ++index_;
    Emit("content_block_start", {{"index", index_}, {"content_block", std::move(block)}});
  }

  void CloseBlock() {
    if (std::exchange(open_, Open::kNone) == Open::kNone) return;
    Emit("content_block_stop", {{"index", index_}});
  }

  void Delta(int64_t block, Json delta) {
    Emit("content_block_delta", {{"index", block}, {"delta", std::move(delta)}});
  }

  void End() {
    ended_ = true;
    if (!started_) return;  // nothing was said: clients see a stream without a message
    CloseBlock();
    Json delta = finished_ ? std::move(stop_) : Json{{"stop_reason", "end_turn"}, {"stop_sequence", nullptr}};
    delta["stop_details"] = nullptr;
    Emit("message_delta",
         {{"delta", std::move(delta)}, {"usage", MessagesUsageOf(usage_.is_null() ? nullptr : &usage_)}});
    Emit("message_stop", Json::object());
  }

  void TakeError(const Json& chunk, const Json& error) {
    ended_ = true;
    const std::string type = StringAt(error, "type");
    int status = 500;
    for (const int known : {400, 401, 403, 404, 429}) {
      if (type == ErrorTypeOf(known)) status = known;
    }
    const Json event =
        MessagesErrorOf(status, error.is_object() ? chunk : Json{{"error", {{"message", DumpJson(error)}}}});
    out_ += FormatSse("error", DumpJson(event));
  }

  void Emit(std::string_view type, Json members) {
    Json event = {{"type", std::string(type)}};
    for (auto& [key, value] : members.items()) event[key] = std::move(value);
    out_ += FormatSse(type, DumpJson(event));
  }

  const AnswerContext context_;
  SseReader reader_;
  std::string out_;
  Open open_ = Open::kNone;
  int64_t index_ = -1;  // of the last block
  std::map<int64_t, Call> calls_;
  Json usage_;
  Json stop_ = Json::object();
  bool started_ = false;
  bool finished_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<StreamTranslator> MessagesStreamFromChat(const AnswerContext& context) {
  return std::make_unique<MessagesEvents>(context);
}

}  // namespace signalbox
