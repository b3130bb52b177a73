#include "dataplane/translate/body_writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "dataplane/translate/answer_path.h"
#include "dataplane/translate/plain_chat.h"

namespace signalbox {
namespace {

// Of the same name and meaning in chat completions, Messages and Responses. Caps are spliced as such.
constexpr std::string_view kSharedParameters[] = {"max_completion_tokens", "max_tokens", "temperature", "top_p"};

}  // namespace

bool ParametersFit(Format format, std::string_view parameters_json) {
  if (format == Format::kChat || parameters_json.empty()) return true;
  const nlohmann::json parameters = nlohmann::json::parse(parameters_json, nullptr, /*allow_exceptions=*/false);
  if (!parameters.is_object()) return true;
  for (const auto& member : parameters.items()) {
    if (std::find(std::begin(kSharedParameters), std::end(kSharedParameters), member.key()) ==
        std::end(kSharedParameters)) {
      return false;
    }
  }
  return true;
}

std::variant<const RequestBody*, BodyFault> BodyWriter::Chat() {
  const ClientTranslator* translator = ClientTranslatorOf(body_.format());
  if (translator == nullptr) return &body_;
  if (chat_ != nullptr) return chat_.get();
  std::variant<std::string, BodyFault> text = translator->Request(text_);
  if (auto* fault = std::get_if<BodyFault>(&text)) return std::move(*fault);
  chat_text_ = std::get<std::string>(std::move(text));
  BodyFault fault;
  chat_ = RequestBody::Parse(chat_text_, fault);
  if (chat_ == nullptr) return fault;
  return chat_.get();
}

std::variant<std::string, BodyFault> BodyWriter::Write(Format provider, const RequestBody::Rewrite& rewrite) {
  if (provider == body_.format() && ParametersFit(provider, rewrite.parameters_json)) return body_.Splice(rewrite);
  const std::variant<const RequestBody*, BodyFault> chat = Chat();
  if (const auto* fault = std::get_if<BodyFault>(&chat)) return *fault;
  std::string spliced = std::get<const RequestBody*>(chat)->Splice(rewrite);
  const ProviderTranslator* translator = ProviderTranslatorOf(provider);
  if (translator == nullptr)
    return body_.format() == Format::kChat ? spliced : PlainChat(std::move(spliced), rewrite.cap_field);
  return translator->Request(spliced);
}

}  // namespace signalbox
