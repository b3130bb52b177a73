#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/answer_message.h"
#include "dataplane/translate/claude_models.h"
#include "dataplane/translate/messages_wire.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

// Anthropic's events, as chunks. Each event stands for itself but for the block it belongs to.
class MessagesStreamTranslator : public StreamTranslator {
 public:
  explicit MessagesStreamTranslator(AnswerContext context) : context_(std::move(context)) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    absl::StatusOr<std::vector<SseEvent>> events = reader_.Feed(bytes);
    if (!events.ok()) return events.status();
    for (const SseEvent& event : *events) {
      if (ended_) break;  // what follows the end is nobody's
      if (absl::Status taken = Take(event); !taken.ok()) return taken;
    }
    return std::exchange(out_, std::string());
  }

  std::string Finish() override {
    TellUsage();
    return std::exchange(out_, std::string());
  }

 private:
  struct Block {
    std::string type;
    Json source;             // what has to be told whole, when it ends
    size_t call = 0;         // of tool_use: its place among tool_calls
    bool is_answer = false;  // of tool_use: its input is the content
    bool any_input = false;
    std::string input;  // as far as it came, of blocks that are told whole
  };

  absl::Status Take(const SseEvent& event) {
    const std::optional<Json> data = ParseJson(event.data);
    if (!data || !data->is_object()) {
      return absl::DataLossError("the provider's stream has an event that is not a JSON object");
    }
    const std::string type = StringAt(*data, "type", event.name);
    if (type == "message_start") TakeStart(*data);
    if (type == "content_block_start") TakeBlock(*data);
    if (type == "content_block_delta") TakeDelta(*data);
    if (type == "content_block_stop") TakeBlockEnd(*data);
    if (type == "message_delta") TakeMessageDelta(*data);
    if (type == "message_stop") TakeEnd();
    if (type == "error") TakeError(*data);
    return absl::OkStatus();  // ping, and events yet to be invented, say nothing
  }

  void TakeStart(const Json& data) {
    if (std::exchange(started_, true)) return;
    const Json* message = FindObject(data, "message");
    Json choice_usage;
    if (message != nullptr) {
      context_.id = StringAt(*message, "id", context_.id);
      context_.model = StringAt(*message, "model", context_.model);
      if (const Json* said = FindObject(*message, "usage"); said != nullptr && usage_.Take(*said)) {
        choice_usage = ChatUsageJson(usage_.Chat());
      }
    }
    // In the choice, where it counts as what is known so far: should the stream break, the input is known.
    Json choice = Choice({{"role", "assistant"}, {"content", ""}});
    if (!choice_usage.is_null()) choice["usage"] = std::move(choice_usage);
    Emit(std::move(choice));
  }

  void TakeBlock(const Json& data) {
    const Json* source = FindObject(data, "content_block");
    if (source == nullptr) return;
    Block& block = blocks_[CountAt(data, "index").value_or(0)];
    block = Block();
    block.type = StringAt(*source, "type");
    if (block.type == "tool_use") {
      StartCall(*source, block);
    } else if (block.type == "text") {
      if (std::string text = StringAt(*source, "text"); !text.empty()) EmitDelta({{"content", std::move(text)}});
    } else {
      block.source = *source;
      if (std::string thinking = StringAt(*source, "thinking"); !thinking.empty()) {
        EmitDelta({{"reasoning_content", std::move(thinking)}});
      }
    }
  }

  void StartCall(const Json& source, Block& block) {
    block.source = source;
    block.is_answer = StringAt(source, "name") == kAnswerTool;
    if (block.is_answer) {
      answered_by_tool_ = true;
      return;
    }
    block.call = calls_++;
    EmitDelta(CallStart(block.call, StringAt(source, "id"), StringAt(source, "name")));
  }

  void TakeDelta(const Json& data) {
    const Json* delta = FindObject(data, "delta");
    if (delta == nullptr) return;
    Block& block = blocks_[CountAt(data, "index").value_or(0)];
    const std::string type = StringAt(*delta, "type");
    if (type == "text_delta") EmitDelta({{"content", StringAt(*delta, "text")}});
    if (type == "input_json_delta") TakeInput(StringAt(*delta, "partial_json"), block);
    if (type == "thinking_delta") {
      const std::string thinking = StringAt(*delta, "thinking");
      if (block.source.is_object()) block.source["thinking"] = StringAt(block.source, "thinking") + thinking;
      EmitDelta({{"reasoning_content", thinking}});
    }
    if (type == "signature_delta" && block.source.is_object())
      block.source["signature"] = StringAt(*delta, "signature");
    if (type == "citations_delta") {
      if (const Json* citation = Find(*delta, "citation")) EmitDelta({{"citations", Json::array({*citation})}});
    }
  }

  void TakeInput(std::string part, Block& block) {
    if (part.empty()) return;
    block.any_input = true;
    if (block.type == "tool_use") {
      EmitInput(std::move(part), block);
    } else {
      block.input += part;
    }
  }

  void EmitInput(std::string part, const Block& block) {
    if (block.is_answer) return EmitDelta({{"content", std::move(part)}});
    EmitDelta(CallArguments(block.call, std::move(part)));
  }

  void TakeBlockEnd(const Json& data) {
    const auto found = blocks_.find(CountAt(data, "index").value_or(0));
    if (found == blocks_.end()) return;
    Block block = std::move(found->second);
    blocks_.erase(found);
    if (block.type == "tool_use") {
      // Some send the input whole, at the block's start; no input at all is an empty object.
      const Json* input = FindObject(block.source, "input");
      if (!block.any_input) EmitInput(input == nullptr ? "{}" : DumpJson(*input), block);
    } else if (block.type == "thinking" || block.type == "redacted_thinking") {
      EmitDelta({{"thinking_blocks", Json::array({std::move(block.source)})}});
    } else if (block.source.is_object()) {
      if (std::optional<Json> input = ParseJson(block.input)) block.source["input"] = *std::move(input);
      EmitDelta({{"provider_content", Json::array({std::move(block.source)})}});
    }
  }

  void TakeMessageDelta(const Json& data) {
    if (const Json* said = FindObject(data, "usage")) {
      usage_.Take(*said);
      if (const Json* tools = FindObject(*said, "server_tool_use")) server_tools_ = *tools;
    }
    const Json* delta = FindObject(data, "delta");
    if (delta == nullptr || Find(*delta, "stop_reason") == nullptr || std::exchange(finished_, true)) return;
    Json choice = Choice(Json::object());
    if (const Json* details = FindObject(*delta, "stop_details")) {
      if (std::string why = StringAt(*details, "explanation"); !why.empty())
        choice["delta"]["refusal"] = std::move(why);
    }
    SetStopReason(*delta, answered_by_tool_ && calls_ == 0, choice);
    Emit(std::move(choice));
  }

  void TakeEnd() {
    if (!std::exchange(finished_, true)) Emit(Choice(Json::object(), "stop"));
    TellUsage();
    out_ += kChatDone;
    ended_ = true;
  }

  void TakeError(const Json& data) {
    const Json* error = FindObject(data, "error");
    const int status = StatusOfErrorType(error == nullptr ? "" : StringAt(*error, "type"));
    out_ += FormatSse("", DumpJson(MessagesErrorJson(status, data, "the provider broke off with an error")));
    ended_ = true;
    usage_told_ = true;  // no more is said
  }

  // The whole answer's, once it said why it ended: before, what is known is a part.
  void TellUsage() {
    if (!finished_ || !usage_.input || !usage_.output || std::exchange(usage_told_, true)) return;
    Json chunk = ChatUsageJson(usage_.Chat());
    if (!server_tools_.is_null()) chunk["server_tool_use"] = server_tools_;
    out_ += ChatUsageChunk(context_, std::move(chunk));
  }

  static Json Choice(Json delta, Json finish_reason = nullptr) {
    return {{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", std::move(finish_reason)}};
  }
  void EmitDelta(Json delta) { Emit(Choice(std::move(delta))); }
  void Emit(Json choice) { out_ += ChatChoiceChunk(context_, std::move(choice)); }

  AnswerContext context_;
  SseReader reader_;
  std::string out_;
  std::map<int64_t, Block> blocks_;  // begun and not ended, by index
  size_t calls_ = 0;
  MessagesUsage usage_;
  Json server_tools_;
  bool started_ = false;
  bool answered_by_tool_ = false;
  bool finished_ = false;  // finish_reason was told
  bool usage_told_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<StreamTranslator> MessagesStream(const AnswerContext& context) {
  return std::make_unique<MessagesStreamTranslator>(context);
}

}  // namespace signalbox
