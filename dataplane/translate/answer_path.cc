#include "dataplane/translate/answer_path.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

const AnswerTranslator* AnswersOf(Format provider) {
  switch (provider) {
    case Format::kResponses:
      return &ResponsesAnswers();
    case Format::kEmbeddings:
      return &EmbeddingsAnswers();
    default:
      return ProviderTranslatorOf(provider);
  }
}

struct NativeStatus {
  int status;
  std::string_view google;
  std::string_view aws;
};
// As both tell their clients what kind of error it is.
constexpr NativeStatus kNativeStatuses[] = {
    {400, "INVALID_ARGUMENT", "ValidationException"},    {401, "UNAUTHENTICATED", "AccessDeniedException"},
    {403, "PERMISSION_DENIED", "AccessDeniedException"}, {404, "NOT_FOUND", "ResourceNotFoundException"},
    {429, "RESOURCE_EXHAUSTED", "ThrottlingException"},  {500, "INTERNAL", "InternalServerException"},
    {502, "UNAVAILABLE", "ServiceUnavailableException"}, {503, "UNAVAILABLE", "ServiceUnavailableException"},
    {504, "DEADLINE_EXCEEDED", "ModelTimeoutException"}};

// The gateway's error for clients of Google's and Amazon's own APIs; our code stands beside theirs.
std::string NativeError(Format client, int status, const std::string& chat_error) {
  using Json = nlohmann::ordered_json;
  NativeStatus known = kNativeStatuses[status >= 500 ? 5 : 0];
  for (const NativeStatus& candidate : kNativeStatuses) {
    if (candidate.status == status) known = candidate;
  }
  const Json chat = Json::parse(chat_error, nullptr, /*allow_exceptions=*/false);
  if (!chat.is_object() || !chat.contains("error") || !chat["error"].is_object()) return chat_error;
  const Json& error = chat["error"];
  Json body;
  if (client == Format::kConverse) {
    body["__type"] = known.aws;
    body["message"] = error.value("message", Json());
    body["error"] = error;
  } else {
    body["error"]["code"] = status;
    body["error"]["message"] = error.value("message", Json());
    body["error"]["status"] = known.google;
    body["error"]["details"] = Json::array({error});
  }
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ErrorEventFor(Format client, std::string_view chat_error, const AnswerContext& context) {
  const std::string event = absl::StrCat("data: ", std::string(chat_error), "\n\n");
  if (client == Format::kConverse) return "";  // its streams are no text: a cut is what tells
  const ClientTranslator* translator = ClientTranslatorOf(client);
  if (translator == nullptr) return event;
  absl::StatusOr<std::string> translated = translator->Stream(context)->Feed(event);
  return translated.ok() ? *std::move(translated) : "";
}

// What streams of other formats than chat completions have in common: usage and the end are read by a ChatStream.
class ReadAsChat : public AnswerStream {
 public:
  explicit ReadAsChat(bool client_wants_usage) : chat_(client_wants_usage) {}
  bool done() const override { return chat_.done(); }
  std::optional<v1::TokenUsage> usage() const override { return chat_.usage(); }
  v1::TokenUsage Estimate(size_t request_bytes) const override { return chat_.Estimate(request_bytes); }
  size_t content_bytes() const override { return chat_.content_bytes(); }
  bool began() const override { return chat_.began(); }
  bool error_event() const override { return chat_.error_event(); }
  bool hit_cap() const override { return chat_.hit_cap(); }

 protected:
  ChatStream chat_;
};

// Provider's format -> chat completions -> the client's format. Either translator may be null.
class TranslatedStream final : public ReadAsChat {
 public:
  TranslatedStream(std::unique_ptr<StreamTranslator> from, bool client_wants_usage,
                   std::unique_ptr<StreamTranslator> to)
      : ReadAsChat(client_wants_usage || to != nullptr), from_(std::move(from)), to_(std::move(to)) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    if (from_ == nullptr) return ToClient(bytes);
    ASSIGN_OR_RETURN(const std::string events, from_->Feed(bytes));
    return ToClient(events);
  }
  std::string Finish() override {
    std::string out;
    if (from_ != nullptr) {
      if (absl::StatusOr<std::string> rest = ToClient(from_->Finish()); rest.ok()) out += *rest;
    }
    const std::string last = chat_.Finish();
    if (to_ == nullptr) return out + last;
    if (absl::StatusOr<std::string> rest = to_->Feed(last); rest.ok()) out += *rest;
    return out + to_->Finish();
  }
  std::string ErrorEvent(std::string_view chat_error) override {
    std::string event = chat_.ErrorEvent(chat_error);
    if (to_ == nullptr) return event;
    absl::StatusOr<std::string> translated = to_->Feed(event);
    return translated.ok() ? *std::move(translated) : "";
  }

 private:
  absl::StatusOr<std::string> ToClient(std::string_view events) {
    ASSIGN_OR_RETURN(std::string chat, chat_.Feed(events));
    if (to_ == nullptr || chat.empty()) return chat;
    return to_->Feed(chat);
  }

  std::unique_ptr<StreamTranslator> from_;
  std::unique_ptr<StreamTranslator> to_;
};

// Bytes go on as they come, read beside that. What cannot be read any more is still relayed: the client knows better.
class MeteredStream final : public ReadAsChat {
 public:
  MeteredStream(std::unique_ptr<StreamTranslator> reader, Format format, AnswerContext context)
      : ReadAsChat(true), reader_(std::move(reader)), format_(format), context_(std::move(context)) {}

  absl::StatusOr<std::string> Feed(std::string_view bytes) override {
    ASSIGN_OR_RETURN(const std::string events, reader_->Feed(bytes));
    RETURN_IF_ERROR(chat_.Feed(events).status());
    return std::string(bytes);
  }
  std::string Finish() override {
    const absl::StatusOr<std::string> read = chat_.Feed(reader_->Finish());
    chat_.Finish();
    return "";
  }
  std::string ErrorEvent(std::string_view chat_error) override { return ErrorEventFor(format_, chat_error, context_); }

 private:
  std::unique_ptr<StreamTranslator> reader_;
  const Format format_;
  const AnswerContext context_;
};

}  // namespace

const ClientTranslator* ClientTranslatorOf(Format client) {
  switch (client) {
    case Format::kMessages:
      return &MessagesClient();
    case Format::kResponses:
      return &ResponsesClient();
    default:
      return nullptr;
  }
}

const ProviderTranslator* ProviderTranslatorOf(Format provider) {
  switch (provider) {
    case Format::kMessages:
      return &MessagesProvider();
    case Format::kGenerateContent:
      return &GenerateContentProvider();
    case Format::kConverse:
      return &ConverseProvider();
    default:
      return nullptr;
  }
}

std::string ErrorFor(Format client, int status, std::string chat_error) {
  if (client == Format::kGenerateContent || client == Format::kConverse) return NativeError(client, status, chat_error);
  const ClientTranslator* translator = ClientTranslatorOf(client);
  return translator == nullptr ? std::move(chat_error) : translator->Error(status, chat_error);
}

AnswerPath::AnswerPath(Format provider, Format client)
    : client_(client),
      as_it_came_(provider == client),
      from_provider_(AnswersOf(provider)),
      to_client_(as_it_came_ ? nullptr : ClientTranslatorOf(client)) {}

absl::StatusOr<AnswerPath::Unary> AnswerPath::Answer(std::string body, const AnswerContext& context) const {
  Unary unary;
  if (from_provider_ == nullptr && to_client_ == nullptr) {
    unary.report = ReadUnary(body);
    unary.body = std::move(body);
    return unary;
  }
  absl::StatusOr<std::string> chat =
      from_provider_ == nullptr ? absl::StatusOr<std::string>(body) : from_provider_->Answer(body, context);
  if (as_it_came_) {
    unary.report = ReadUnary(chat.ok() ? *chat : body);
    unary.body = std::move(body);
    return unary;
  }
  RETURN_IF_ERROR(chat.status());
  unary.report = ReadUnary(*chat);
  unary.body = *std::move(chat);
  if (to_client_ != nullptr) {
    ASSIGN_OR_RETURN(unary.body, to_client_->Answer(unary.body, context));
  }
  return unary;
}

AnswerPath::Unary AnswerPath::Error(int status, std::string body) const {
  Unary unary;
  unary.report = ReadUnary(body);
  unary.body = std::move(body);
  if (as_it_came_) return unary;
  if (from_provider_ != nullptr) unary.body = from_provider_->Error(status, unary.body);
  if (to_client_ != nullptr) unary.body = to_client_->Error(status, unary.body);
  return unary;
}

std::unique_ptr<AnswerStream> AnswerPath::Stream(bool client_wants_usage, const AnswerContext& context) const {
  if (from_provider_ == nullptr && to_client_ == nullptr) return std::make_unique<ChatStream>(client_wants_usage);
  std::unique_ptr<StreamTranslator> from = from_provider_ == nullptr ? nullptr : from_provider_->Stream(context);
  if (as_it_came_) return std::make_unique<MeteredStream>(std::move(from), client_, context);
  return std::make_unique<TranslatedStream>(std::move(from), client_wants_usage,
                                            to_client_ == nullptr ? nullptr : to_client_->Stream(context));
}

}  // namespace signalbox
