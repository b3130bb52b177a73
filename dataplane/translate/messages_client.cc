#include "dataplane/translate/messages_client_wire.h"

namespace signalbox {
namespace {

class MessagesClientTranslator : public ClientTranslator {
 public:
  std::variant<std::string, BodyFault> Request(std::string_view body) const override { return ChatFromMessages(body); }
  absl::StatusOr<std::string> Answer(std::string_view chat_answer, const AnswerContext& context) const override {
    return MessagesFromChat(chat_answer, context);
  }
  std::string Error(int status, std::string_view chat_error) const override {
    return MessagesErrorFromChat(status, chat_error);
  }
  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return MessagesStreamFromChat(context);
  }
};

}  // namespace

const ClientTranslator& MessagesClient() {
  static const MessagesClientTranslator translator;
  return translator;
}

}  // namespace signalbox
