#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/translate/responses_wire.h"

namespace signalbox {
namespace {

std::string ItemId(std::string_view kind, std::string_view id, size_t index) {
  return absl::StrCat(std::string(kind), "_", std::string(id), "_", index);
}

void AddMessageItem(const Json& message, const Json* logprobs, std::string_view id, Json& output) {
  const std::string text = StringAt(message, "content");
  const std::string refusal = StringAt(message, "refusal");
  const Json* extra = FindObject(message, "extra_content");
  const bool silent = text.empty() && refusal.empty();
  // An answer of calls only has no message, unless there is something to keep; one of nothing has an empty message.
  const Json* calls = FindArray(message, "tool_calls");
  if (silent && extra == nullptr && calls != nullptr && !calls->empty()) return;
  Json item = MessageItem(id, output.size(), "completed");
  if (!text.empty() || refusal.empty()) {
    Json part = OutputText(text);
    if (const Json* notes = FindArray(message, "annotations")) part["annotations"] = Annotations(*notes);
    const Json* content = logprobs == nullptr ? nullptr : FindArray(*logprobs, "content");
    if (content != nullptr) part["logprobs"] = *content;
    item["content"].push_back(std::move(part));
  }
  if (!refusal.empty()) item["content"].push_back({{"type", "refusal"}, {"refusal", refusal}});
  if (extra != nullptr) item["extra_content"] = *extra;
  output.push_back(std::move(item));
}

Json Output(const Json& message, const Json* logprobs, std::string_view id) {
  Json output = Json::array();
  const std::string reasoning = ReasoningOf(message);
  const Json* blocks = FindArray(message, kThinkingBlocks);
  if (!reasoning.empty() || blocks != nullptr) {
    Json item = ReasoningItem(id, output.size(), "completed");
    if (!reasoning.empty()) item["summary"].push_back({{"type", "summary_text"}, {"text", reasoning}});
    if (blocks != nullptr) item["encrypted_content"] = DumpJson({{kThinkingBlocks, *blocks}});
    output.push_back(std::move(item));
  }
  AddMessageItem(message, logprobs, id, output);
  const Json* images = FindArray(message, "images");
  for (size_t i = 0; images != nullptr && i < images->size(); ++i) {
    output.push_back(ImageItem(id, output.size(), (*images)[i]));
  }
  const Json* calls = FindArray(message, "tool_calls");
  for (size_t i = 0; calls != nullptr && i < calls->size(); ++i) {
    output.push_back(FunctionCallItem(id, output.size(), "completed", (*calls)[i]));
  }
  return output;
}

class ResponsesClientTranslator : public ClientTranslator {
 public:
  std::variant<std::string, BodyFault> Request(std::string_view body) const override { return ResponsesRequest(body); }

  absl::StatusOr<std::string> Answer(std::string_view chat_answer, const AnswerContext& context) const override {
    const std::optional<Json> chat = ParseJson(chat_answer);
    const Json* choices = chat ? FindArray(*chat, "choices") : nullptr;
    const Json* message = choices == nullptr || choices->empty() ? nullptr : FindObject(choices->front(), "message");
    if (message == nullptr) return absl::DataLossError("the provider's answer is no chat completion with a choice");
    AnswerContext named = context;
    named.id = StringAt(*chat, "id", context.id);
    named.model = StringAt(*chat, "model", context.model);
    named.created_s = CountAt(*chat, "created").value_or(context.created_s);
    Json response = ResponseHead(named, "completed");
    SetResponseStatus(StringAt(choices->front(), "finish_reason"), response);
    response["output"] = Output(*message, FindObject(choices->front(), "logprobs"), named.id);
    if (const Json* usage = FindObject(*chat, "usage")) response["usage"] = ResponsesUsage(*usage);
    if (const Json* tier = Find(*chat, "service_tier")) response["service_tier"] = *tier;
    if (const Json* extra = Find(choices->front(), "extra_content")) response["extra_content"] = *extra;
    return DumpJson(response);
  }

  // The same shape in both.
  std::string Error(int status, std::string_view chat_error) const override {
    const std::optional<Json> error = ParseJson(chat_error);
    if (error && FindObject(*error, "error") != nullptr) return std::string(chat_error);
    return DumpJson(ChatError(status, absl::StrCat("the provider answered with status ", status), "", nullptr,
                              error ? *error : Json(std::string(chat_error))));
  }

  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return ResponsesStream(context);
  }
};

}  // namespace

Json ResponseHead(const AnswerContext& context, std::string_view status) {
  // What a request may set stands at its default: an answer alone does not tell what was asked.
  return {{"id", context.id.starts_with("resp_") ? context.id : absl::StrCat("resp_", context.id)},
          {"object", "response"},
          {"created_at", context.created_s},
          {"status", std::string(status)},
          {"background", false},
          {"error", nullptr},
          {"incomplete_details", nullptr},
          {"instructions", nullptr},
          {"max_output_tokens", nullptr},
          {"model", context.model},
          {"output", Json::array()},
          {"parallel_tool_calls", true},
          {"previous_response_id", nullptr},
          {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
          {"store", false},
          {"temperature", nullptr},
          {"text", {{"format", {{"type", "text"}}}}},
          {"tool_choice", "auto"},
          {"tools", Json::array()},
          {"top_p", nullptr},
          {"truncation", "disabled"},
          {"usage", nullptr},
          {"metadata", Json::object()}};
}

void SetResponseStatus(std::string_view finish_reason, Json& response) {
  const bool cap = finish_reason == "length";
  const bool filtered = finish_reason == "content_filter";
  response["status"] = cap || filtered ? "incomplete" : "completed";
  if (cap || filtered) response["incomplete_details"] = {{"reason", cap ? "max_output_tokens" : "content_filter"}};
}

Json ResponsesUsage(const Json& chat_usage) {
  const auto count = [](const Json* holder, std::string_view key) {
    return holder == nullptr ? int64_t{0} : CountAt(*holder, key).value_or(0);
  };
  const Json* input = FindObject(chat_usage, "prompt_tokens_details");
  const Json* output = FindObject(chat_usage, "completion_tokens_details");
  Json usage = {{"input_tokens", count(&chat_usage, "prompt_tokens")},
                {"input_tokens_details", {{"cached_tokens", count(input, "cached_tokens")}}},
                {"output_tokens", count(&chat_usage, "completion_tokens")},
                {"output_tokens_details", {{"reasoning_tokens", count(output, "reasoning_tokens")}}},
                {"total_tokens", count(&chat_usage, "total_tokens")}};
  // Kinds that have no name of their own here keep the one they have.
  const auto keep = [](const Json* details, std::string_view known, Json& to) {
    if (details == nullptr) return;
    for (const auto& [name, value] : details->get_ref<const Json::object_t&>()) {
      if (name != known && !value.is_null()) AddMember(to, name, value);
    }
  };
  keep(input, "cached_tokens", usage["input_tokens_details"]);
  keep(output, "reasoning_tokens", usage["output_tokens_details"]);
  return usage;
}

Json ReasoningItem(std::string_view id, size_t index, std::string_view status) {
  return {{"id", ItemId("rs", id, index)},
          {"type", "reasoning"},
          {"summary", Json::array()},
          {"status", std::string(status)}};
}

Json MessageItem(std::string_view id, size_t index, std::string_view status) {
  return {{"id", ItemId("msg", id, index)},
          {"type", "message"},
          {"status", std::string(status)},
          {"role", "assistant"},
          {"content", Json::array()}};
}

Json FunctionCallItem(std::string_view id, size_t index, std::string_view status, const Json& call) {
  const Json* found = FindObject(call, "function");
  const Json function = found == nullptr ? Json::object() : *found;
  const std::string item_id = ItemId("fc", id, index);
  Json item = {{"id", item_id},
               {"type", "function_call"},
               {"status", std::string(status)},
               {"call_id", StringAt(call, "id", item_id)},
               {"name", StringAt(function, "name")},
               {"arguments", StringAt(function, "arguments")}};
  if (const Json* extra = FindObject(call, "extra_content")) item["extra_content"] = *extra;
  return item;
}

Json ImageItem(std::string_view id, size_t index, const Json& image) {
  const Json* link = FindObject(image, "image_url");
  const std::string url = link == nullptr ? std::string() : StringAt(*link, "url");
  const std::optional<DataUrl> data = ParseDataUrl(url);
  return {{"id", ItemId("ig", id, index)},
          {"type", "image_generation_call"},
          {"status", "completed"},
          {"result", data ? std::string(data->data) : url}};
}

Json OutputText(std::string_view text) {
  return {{"type", "output_text"},
          {"annotations", Json::array()},
          {"logprobs", Json::array()},
          {"text", std::string(text)}};
}

Json Annotations(const Json& chat_annotations) {
  Json annotations = Json::array();
  for (const Json& note : chat_annotations) {
    const Json* citation = FindObject(note, "url_citation");
    if (citation == nullptr) {
      annotations.push_back(note);
      continue;
    }
    Json flat = {{"type", "url_citation"}};
    for (const auto& [name, value] : citation->get_ref<const Json::object_t&>()) {
      if (name != "type") AddMember(flat, name, value);
    }
    annotations.push_back(std::move(flat));
  }
  return annotations;
}

std::string ReasoningOf(const Json& message) {
  std::string reasoning = StringAt(message, "reasoning_content");
  // OpenRouter's name; some send both, with the same text.
  return reasoning.empty() ? StringAt(message, "reasoning") : reasoning;
}

// Past so many members a search for each is too much: the newer ones stand for all.
constexpr size_t kMergedMembersMax = 64;

void MergeExtra(const Json& more, Json& extra) {
  if (more.is_array() && extra.is_array()) {
    extra.insert(extra.end(), more.begin(), more.end());
  } else if (more.is_object() && extra.is_object() && more.size() + extra.size() <= kMergedMembersMax) {
    for (const auto& [name, value] : more.get_ref<const Json::object_t&>()) MergeExtra(value, extra[name]);
  } else {
    extra = more;
  }
}

const ClientTranslator& ResponsesClient() {
  static const ResponsesClientTranslator kTranslator;
  return kTranslator;
}

}  // namespace signalbox
