#include "dataplane/translate/converse_wire.h"

namespace signalbox {
namespace {

class ConverseTranslator : public ProviderTranslator {
 public:
  std::variant<std::string, BodyFault> Request(std::string_view chat_body) const override {
    return ConverseRequest(chat_body);
  }
  absl::StatusOr<std::string> Answer(std::string_view body, const AnswerContext& context) const override {
    return ConverseAnswer(body, context);
  }
  std::string Error(int status, std::string_view body) const override { return ConverseError(status, body); }
  std::unique_ptr<StreamTranslator> Stream(const AnswerContext& context) const override {
    return ConverseStream(context);
  }
};

}  // namespace

const ProviderTranslator& ConverseProvider() {
  static const ConverseTranslator translator;
  return translator;
}

}  // namespace signalbox
