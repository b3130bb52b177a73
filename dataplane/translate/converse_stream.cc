#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/answer_message.h"
#include "dataplane/translate/aws_event_stream.h"
#include "dataplane/translate/claude_models.h"
#include "dataplane/translate/converse_wire.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

// ConverseStream's events, as chunks. messageStop says why it ended, metadata comes last and tells usage.
class ConverseStreamTranslator : public StreamTranslator {
 public:
  explicit ConverseStreamTranslator(AnswerContext context) : context_(std::move(context)) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    absl::StatusOr<std::vector<AwsEvent>> events = reader_.Feed(bytes);
    if (!events.ok()) return events.status();
    for (const AwsEvent& event : *events) {
      if (ended_) break;
      if (absl::Status taken = Take(event); !taken.ok()) return taken;
    }
    return std::exchange(out_, std::string());
  }

  // Without its usage an answer is still whole once it said why it ended, unless a message is cut.
  std::string Finish() override {
    if (finished_ && reader_.at_boundary()) End();
    return std::exchange(out_, std::string());
  }

 private:
  struct Block {
    bool tool = false;
    bool is_answer = false;  // a tool whose input is the content
    bool any_input = false;
    size_t call = 0;
    bool thinking = false;
    std::string thought, signature, redacted;
  };

  absl::Status Take(const AwsEvent& event) {
    const std::string_view kind = event.header(":message-type");
    const std::optional<Json> payload = event.payload.empty() ? Json::object() : ParseJson(event.payload);
    if (kind == "exception" || kind == "error") {
      TakeError(event, payload ? *payload : OriginalError(event.payload));
      return absl::OkStatus();
    }
    if (!payload || !payload->is_object()) {
      return absl::DataLossError("the provider's stream has an event that is not a JSON object");
    }
    const std::string_view type = event.header(":event-type");
    if (type == "messageStart") EmitDelta({{"role", "assistant"}, {"content", ""}});
    if (type == "contentBlockStart") TakeBlock(*payload);
    if (type == "contentBlockDelta") TakeDelta(*payload);
    if (type == "contentBlockStop") TakeBlockEnd(*payload);
    if (type == "messageStop") TakeStop(*payload);
    if (type == "metadata") TakeMetadata(*payload);
    return absl::OkStatus();  // an event yet to be invented says nothing
  }

  Block& BlockOf(const Json& payload) { return blocks_[CountAt(payload, "contentBlockIndex").value_or(0)]; }

  void TakeBlock(const Json& payload) {
    Block& block = BlockOf(payload);
    block = Block();
    const Json* start = FindObject(payload, "start");
    if (start == nullptr) return;
    if (const Json* call = FindObject(*start, "toolUse")) {
      StartCall(*call, block);
    } else if (!start->empty()) {
      EmitDelta({{"provider_content", Json::array({*start})}});
    }
  }

  void StartCall(const Json& call, Block& block) {
    block.tool = true;
    block.is_answer = StringAt(call, "name") == kAnswerTool;
    if (block.is_answer) {
      answered_by_tool_ = true;
      return;
    }
    block.call = calls_++;
    EmitDelta(CallStart(block.call, StringAt(call, "toolUseId"), StringAt(call, "name")));
  }

  void TakeDelta(const Json& payload) {
    const Json* delta = FindObject(payload, "delta");
    if (delta == nullptr) return;
    Block& block = BlockOf(payload);
    if (const Json* text = Find(*delta, "text")) {
      if (text->is_string()) EmitDelta({{"content", *text}});
    } else if (const Json* call = FindObject(*delta, "toolUse")) {
      EmitInput(StringAt(*call, "input"), block);
    } else if (const Json* thought = FindObject(*delta, "reasoningContent")) {
      TakeThought(*thought, block);
    } else if (const Json* citation = FindObject(*delta, "citation")) {
      EmitDelta({{"citations", Json::array({*citation})}});
    } else if (!delta->empty()) {
      EmitDelta({{"provider_content", Json::array({*delta})}});
    }
  }

  void EmitInput(std::string part, Block& block) {
    if (part.empty()) return;
    block.any_input = true;
    if (block.is_answer) return EmitDelta({{"content", std::move(part)}});
    EmitDelta(CallArguments(block.call, std::move(part)));
  }

  void TakeThought(const Json& thought, Block& block) {
    block.thinking = true;
    block.signature += StringAt(thought, "signature");
    block.redacted += StringAt(thought, "redactedContent");
    std::string text = StringAt(thought, "text");
    if (text.empty()) return;
    block.thought += text;
    EmitDelta({{"reasoning_content", std::move(text)}});
  }

  void TakeBlockEnd(const Json& payload) {
    const auto found = blocks_.find(CountAt(payload, "contentBlockIndex").value_or(0));
    if (found == blocks_.end()) return;
    Block block = std::move(found->second);
    blocks_.erase(found);
    if (block.tool && !block.any_input) EmitInput("{}", block);
    if (!block.thinking) return;
    Json whole = block.redacted.empty() ? Json{{"type", "thinking"},
                                               {"thinking", std::move(block.thought)},
                                               {"signature", std::move(block.signature)}}
                                        : Json{{"type", "redacted_thinking"}, {"data", std::move(block.redacted)}};
    EmitDelta({{"thinking_blocks", Json::array({std::move(whole)})}});
  }

  void TakeStop(const Json& payload) {
    if (std::exchange(finished_, true)) return;
    Json choice = Choice(Json::object());
    SetConverseStop(payload, answered_by_tool_ && calls_ == 0, choice);
    out_ += ChatChoiceChunk(context_, std::move(choice));
  }

  void TakeMetadata(const Json& payload) {
    if (const Json* said = FindObject(payload, "usage")) usage_ = ReadConverseUsage(*said);
    if (finished_) End();
  }

  void End() {
    if (std::exchange(ended_, true)) return;
    if (usage_) out_ += ChatUsageChunk(context_, *usage_);
    out_ += kChatDone;
  }

  void TakeError(const AwsEvent& event, const Json& payload) {
    ended_ = true;
    const bool exception = event.header(":message-type") == "exception";
    const std::string type(event.header(exception ? ":exception-type" : ":error-code"));
    const std::string_view said = event.header(":error-message");
    out_ += FormatSse("", DumpJson(ConverseErrorJson(StatusOfException(type), type, payload,
                                                     said.empty() ? "the provider broke off with an error" : said)));
  }

  static Json Choice(Json delta) { return {{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", nullptr}}; }
  void EmitDelta(Json delta) { out_ += ChatChoiceChunk(context_, Choice(std::move(delta))); }

  const AnswerContext context_;
  AwsEventReader reader_;
  std::string out_;
  std::map<int64_t, Block> blocks_;  // begun and not ended, by index
  size_t calls_ = 0;
  std::optional<ChatUsage> usage_;
  bool answered_by_tool_ = false;
  bool finished_ = false;  // finish_reason was told
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<StreamTranslator> ConverseStream(const AnswerContext& context) {
  return std::make_unique<ConverseStreamTranslator>(context);
}

}  // namespace signalbox
