#include "dataplane/translate/messages_wire.h"

namespace signalbox {
namespace {

class MessagesTranslator : public ProviderTranslator {
 public:
  std::variant<std::string, BodyFault> Request(std::string_view chat_body) const override {
    return MessagesRequest(chat_body);
  }
  absl::StatusOr<std::string> Answer(std::string_view body, const AnswerContext& context) const override {
    return MessagesAnswer(body, context);
  }
  std::string Error(int status, std::string_view body) const override { return MessagesError(status, body); }
  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return MessagesStream(context);
  }
};

}  // namespace

const ProviderTranslator& MessagesProvider() {
  static const MessagesTranslator translator;
  return translator;
}

}  // namespace signalbox
