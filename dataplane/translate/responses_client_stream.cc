#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/responses_wire.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

// Chunks become the events of output items. A reasoning or message item is open while its deltas come, and is closed
// when another kind begins; calls stay open to the end, for their arguments may come interleaved. Invariant: what was
// added is done exactly once, in the order added, before response.completed or response.incomplete.
class ResponsesStreamTranslator : public StreamTranslator {
 public:
  explicit ResponsesStreamTranslator(const AnswerContext& context) : context_(context) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    absl::StatusOr<std::vector<SseEvent>> events = reader_.Feed(bytes);
    if (!events.ok()) return events.status();
    out_.clear();
    for (const SseEvent& event : *events) {
      if (ended_) break;
      if (event.data == "[DONE]") {
        End();
        break;
      }
      const std::optional<Json> chunk = ParseJson(event.data);
      if (!chunk || !chunk->is_object()) {
        return absl::DataLossError("the provider sent a stream event that is not a JSON object");
      }
      TakeChunk(*chunk);
    }
    return std::move(out_);
  }

  std::string Finish() override { return ""; }  // all was said at [DONE]

 private:
  enum class Kind { kReasoning, kMessage, kCall, kImage };
  struct Item {
    Kind kind;
    Json json;  // as it will be when done
    bool done = false;
    bool has_text = false;  // of kMessage: its text part was added; of kReasoning: its summary part
    size_t text_part = 0;
    std::string text;
    Json logprobs = Json::array();
    Json annotations = Json::array();
    bool has_refusal = false;
    size_t refusal_part = 0;
    std::string refusal;
    Json thinking_blocks = Json::array();
    Json extra = Json::object();
  };

  void Emit(std::string_view type, Json event) {
    event["type"] = std::string(type);
    event["sequence_number"] = sequence_++;
    out_ += FormatSse(type, DumpJson(event));
  }

  Json Response(std::string_view status) const { return ResponseHead(context_, status); }

  void Begin(const Json& chunk) {
    if (std::exchange(began_, true)) return;
    context_.id = StringAt(chunk, "id", context_.id);
    context_.model = StringAt(chunk, "model", context_.model);
    context_.created_s = CountAt(chunk, "created").value_or(context_.created_s);
    Emit("response.created", {{"response", Response("in_progress")}});
    Emit("response.in_progress", {{"response", Response("in_progress")}});
  }

  void TakeChunk(const Json& chunk) {
    if (const Json* error = FindObject(chunk, "error")) return Fail(*error);
    Begin(chunk);
    if (const Json* usage = FindObject(chunk, "usage")) usage_ = ResponsesUsage(*usage);
    if (const Json* tier = Find(chunk, "service_tier")) tier_ = *tier;
    const Json* choices = FindArray(chunk, "choices");
    if (choices == nullptr || choices->empty()) return;
    const Json& choice = choices->front();
    if (CountAt(choice, "index").value_or(0) != 0) return;  // a response has one
    if (std::string reason = StringAt(choice, "finish_reason"); !reason.empty()) finish_ = std::move(reason);
    if (const Json* extra = FindObject(choice, "extra_content")) MergeExtra(*extra, extra_);
    const Json* delta = FindObject(choice, "delta");
    if (delta == nullptr) return;
    TakeReasoning(*delta);
    TakeText(*delta, FindObject(choice, "logprobs"));
    const Json* images = FindArray(*delta, "images");
    for (size_t i = 0; images != nullptr && i < images->size(); ++i) TakeImage((*images)[i]);
    const Json* calls = FindArray(*delta, "tool_calls");
    for (size_t i = 0; calls != nullptr && i < calls->size(); ++i) TakeCall((*calls)[i], i);
  }

  Item& Add(Kind kind, Json json) {
    items_.push_back(Item{kind, std::move(json)});
    Emit("response.output_item.added", {{"output_index", items_.size() - 1}, {"item", items_.back().json}});
    return items_.back();
  }

  // The last item when it is of that kind and open, else a new one.
  size_t Open(Kind kind) {
    if (open_ && items_[*open_].kind == kind) return *open_;
    CloseOpen();
    const size_t at = items_.size();
    Add(kind, kind == Kind::kReasoning ? ReasoningItem(context_.id, at, "in_progress")
                                       : MessageItem(context_.id, at, "in_progress"));
    open_ = at;
    return at;
  }

  Json Where(size_t at) const { return {{"item_id", items_[at].json["id"]}, {"output_index", at}}; }
  Json PartOf(size_t at, const char* index_name, size_t index) const {
    Json where = Where(at);
    where[index_name] = index;
    return where;
  }

  void TakeReasoning(const Json& delta) {
    const std::string text = ReasoningOf(delta);
    const Json* blocks = FindArray(delta, kThinkingBlocks);
    if (text.empty() && (blocks == nullptr || blocks->empty())) return;
    const size_t at = Open(Kind::kReasoning);
    for (size_t i = 0; blocks != nullptr && i < blocks->size(); ++i) items_[at].thinking_blocks.push_back((*blocks)[i]);
    if (text.empty()) return;
    if (!std::exchange(items_[at].has_text, true)) {
      Json event = PartOf(at, "summary_index", 0);
      event["part"] = {{"type", "summary_text"}, {"text", ""}};
      Emit("response.reasoning_summary_part.added", std::move(event));
    }
    items_[at].text += text;
    Json event = PartOf(at, "summary_index", 0);
    event["delta"] = text;
    Emit("response.reasoning_summary_text.delta", std::move(event));
  }

  void AddPart(size_t at, size_t part, Json json) {
    Json event = PartOf(at, "content_index", part);
    event["part"] = std::move(json);
    Emit("response.content_part.added", std::move(event));
  }

  void TakeText(const Json& delta, const Json* logprobs) {
    const std::string text = StringAt(delta, "content");
    const std::string refusal = StringAt(delta, "refusal");
    const Json* notes = FindArray(delta, "annotations");
    const Json* extra = FindObject(delta, "extra_content");
    const bool has_notes = notes != nullptr && !notes->empty();
    if (text.empty() && refusal.empty() && extra == nullptr && !has_notes) return;
    const size_t at = Open(Kind::kMessage);
    Item& item = items_[at];
    if (extra != nullptr) MergeExtra(*extra, item.extra);
    if ((!text.empty() || has_notes) && !std::exchange(item.has_text, true)) {
      item.text_part = item.has_refusal ? 1 : 0;
      AddPart(at, item.text_part, OutputText(""));
    }
    if (!text.empty()) {
      item.text += text;
      const Json* tokens = logprobs == nullptr ? nullptr : FindArray(*logprobs, "content");
      if (tokens != nullptr) MergeExtra(*tokens, item.logprobs);
      Json event = PartOf(at, "content_index", item.text_part);
      event["delta"] = text;
      event["logprobs"] = tokens == nullptr ? Json::array() : *tokens;
      Emit("response.output_text.delta", std::move(event));
    }
    if (has_notes) {
      for (Json& note : Annotations(*notes)) {
        Json event = PartOf(at, "content_index", item.text_part);
        event["annotation_index"] = item.annotations.size();
        event["annotation"] = note;
        Emit("response.output_text.annotation.added", std::move(event));
        item.annotations.push_back(std::move(note));
      }
    }
    if (refusal.empty()) return;
    if (!std::exchange(item.has_refusal, true)) {
      item.refusal_part = item.has_text ? 1 : 0;
      AddPart(at, item.refusal_part, {{"type", "refusal"}, {"refusal", ""}});
    }
    item.refusal += refusal;
    Json event = PartOf(at, "content_index", item.refusal_part);
    event["delta"] = refusal;
    Emit("response.refusal.delta", std::move(event));
  }

  void TakeImage(const Json& image) {
    CloseOpen();
    Json whole = ImageItem(context_.id, items_.size(), image);
    Json begun = whole;
    begun["status"] = "in_progress";
    begun["result"] = nullptr;
    Item& item = Add(Kind::kImage, std::move(begun));
    item.json = std::move(whole);
    Done(items_.size() - 1);
  }

  void TakeCall(const Json& call, size_t position) {
    // Some providers leave the index out and send each call whole.
    const int64_t index = CountAt(call, "index").value_or(static_cast<int64_t>(position));
    auto found = calls_.find(index);
    if (found == calls_.end()) {
      CloseOpen();
      Json json = FunctionCallItem(context_.id, items_.size(), "in_progress", call);
      json["arguments"] = "";
      found = calls_.emplace(index, items_.size()).first;
      Add(Kind::kCall, std::move(json));
    }
    const size_t at = found->second;
    if (const Json* extra = FindObject(call, "extra_content")) MergeExtra(*extra, items_[at].extra);
    const Json* function = FindObject(call, "function");
    const std::string arguments = function == nullptr ? std::string() : StringAt(*function, "arguments");
    if (arguments.empty()) return;
    items_[at].text += arguments;
    Json event = Where(at);
    event["delta"] = arguments;
    Emit("response.function_call_arguments.delta", std::move(event));
  }

  void DoneParts(size_t at) {
    Item& item = items_[at];
    if (item.has_text) {
      Json text = OutputText(item.text);
      text["annotations"] = item.annotations;
      text["logprobs"] = item.logprobs;
      Json event = PartOf(at, "content_index", item.text_part);
      event["text"] = item.text;
      event["logprobs"] = item.logprobs;
      Emit("response.output_text.done", std::move(event));
      DonePart(at, item.text_part, text);
    }
    if (item.has_refusal) {
      Json event = PartOf(at, "content_index", item.refusal_part);
      event["refusal"] = item.refusal;
      Emit("response.refusal.done", std::move(event));
      DonePart(at, item.refusal_part, {{"type", "refusal"}, {"refusal", item.refusal}});
    }
  }

  void DonePart(size_t at, size_t part, Json json) {
    Json& content = items_[at].json["content"];
    while (content.size() <= part) content.push_back(nullptr);
    content[part] = json;
    Json event = PartOf(at, "content_index", part);
    event["part"] = std::move(json);
    Emit("response.content_part.done", std::move(event));
  }

  void DoneReasoning(size_t at) {
    Item& item = items_[at];
    if (!item.thinking_blocks.empty()) {
      item.json["encrypted_content"] = DumpJson({{kThinkingBlocks, item.thinking_blocks}});
    }
    if (!item.has_text) return;
    Json event = PartOf(at, "summary_index", 0);
    event["text"] = item.text;
    Emit("response.reasoning_summary_text.done", std::move(event));
    const Json part = {{"type", "summary_text"}, {"text", item.text}};
    event = PartOf(at, "summary_index", 0);
    event["part"] = part;
    Emit("response.reasoning_summary_part.done", std::move(event));
    item.json["summary"].push_back(part);
  }

  void Done(size_t at) {
    Item& item = items_[at];
    if (std::exchange(item.done, true)) return;
    if (item.kind == Kind::kReasoning) DoneReasoning(at);
    if (item.kind == Kind::kMessage) DoneParts(at);
    if (item.kind == Kind::kCall) {
      item.json["arguments"] = item.text;
      Json event = Where(at);
      event["name"] = item.json["name"];
      event["arguments"] = item.text;
      Emit("response.function_call_arguments.done", std::move(event));
    }
    item.json["status"] = "completed";
    if (!item.extra.empty()) item.json["extra_content"] = item.extra;
    Emit("response.output_item.done", {{"output_index", at}, {"item", item.json}});
  }

  void CloseOpen() {
    if (open_) Done(*open_);
    open_.reset();
  }

  Json Whole(std::string_view status) const {
    Json response = Response(status);
    for (const Item& item : items_) response["output"].push_back(item.json);
    response["usage"] = usage_;
    if (!tier_.is_null()) response["service_tier"] = tier_;
    if (!extra_.is_null()) response["extra_content"] = extra_;
    return response;
  }

  void End() {
    ended_ = true;
    Begin(Json::object());
    if (items_.empty()) {
      items_[Open(Kind::kMessage)].has_text = true;
      AddPart(0, 0, OutputText(""));
    }
    for (size_t at = 0; at < items_.size(); ++at) Done(at);
    Json response = Whole("completed");
    SetResponseStatus(finish_, response);
    const std::string type = absl::StrCat("response.", StringAt(response, "status"));
    Emit(type, {{"response", std::move(response)}});
  }

  // `error` is what the official clients throw on; response.failed is what ends a response that was begun.
  void Fail(const Json& error) {
    ended_ = true;
    const std::string message = StringAt(error, "message");
    if (began_) {
      Json response = Whole("failed");
      const bool limited = StringAt(error, "type") == "rate_limit_error";
      response["error"] = {{"code", limited ? "rate_limit_exceeded" : "server_error"}, {"message", message}};
      Emit("response.failed", {{"response", std::move(response)}});
    }
    const auto member = [&](std::string_view name) {
      const Json* found = Find(error, name);
      return found == nullptr ? Json(nullptr) : *found;
    };
    Emit("error", {{"code", member("code")}, {"message", message}, {"param", member("param")}, {"error", error}});
  }

  AnswerContext context_;
  SseReader reader_;
  std::string out_;
  std::vector<Item> items_;
  std::optional<size_t> open_;       // of items_: the reasoning or message that goes on
  std::map<int64_t, size_t> calls_;  // by the provider's index
  Json usage_;
  Json tier_;
  Json extra_;  // what the provider says besides
  std::string finish_;
  uint64_t sequence_ = 0;
  bool began_ = false;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<StreamTranslator> ResponsesStream(const AnswerContext& context) {
  return std::make_unique<ResponsesStreamTranslator>(context);
}

}  // namespace signalbox
