// What a client sent and got is the same whichever provider's wire format was in between: random conversations and
// answers through every pair of a client's format and a provider's, whole and as streams cut anywhere. What a format
// has no place for is refused by its name. A failure names its seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataplane/translate/translator.h"
#include "tests/dataplane/translate/wire_forms.h"

namespace signalbox {
namespace {

constexpr uint32_t kSeeds = 150;
constexpr Wire kClients[] = {Wire::kChat, Wire::kMessages, Wire::kResponses};
constexpr Wire kProviders[] = {Wire::kChat, Wire::kMessages, Wire::kGenerateContent, Wire::kConverse};
const AnswerContext kContext = {"log-1", "m", 1'763'000'000};

const ClientTranslator* Client(Wire wire) {
  if (wire == Wire::kMessages) return &MessagesClient();
  return wire == Wire::kResponses ? &ResponsesClient() : nullptr;
}

const ProviderTranslator* Provider(Wire wire) {
  if (wire == Wire::kMessages) return &MessagesProvider();
  if (wire == Wire::kGenerateContent) return &GenerateContentProvider();
  return wire == Wire::kConverse ? &ConverseProvider() : nullptr;
}

std::string ModelOf(Wire provider, Dice& dice) {
  if (provider == Wire::kMessages) return dice.OneIn(2) ? "claude-sonnet-4-5" : "claude-3-5-haiku-latest";
  if (provider == Wire::kGenerateContent) return dice.OneIn(2) ? "gemini-2.5-flash" : "gemini-3-pro-preview";
  return provider == Wire::kConverse ? "anthropic.claude-3-5-sonnet-20240620-v1:0" : "gpt-5-mini";
}

// Feeds in pieces cut anywhere, then the end.
std::string Feed(StreamTranslator& stream, std::string_view bytes, Dice& dice) {
  std::string out;
  while (!bytes.empty()) {
    const size_t piece = std::min(bytes.size(), dice.OneIn(3) ? 1 + dice.Below(3) : 1 + dice.Below(200));
    const absl::StatusOr<std::string> fed = stream.Feed(bytes.substr(0, piece));
    EXPECT_TRUE(fed.ok()) << fed.status();
    out += fed.value_or("");
    bytes.remove_prefix(piece);
  }
  return out + stream.Finish();
}

class TranslationProperty : public testing::TestWithParam<std::tuple<Wire, Wire>> {
 protected:
  const Wire client_ = std::get<0>(GetParam());
  const Wire provider_ = std::get<1>(GetParam());
};

// Only as far as the client's format can say it.
Talk Sayable(Talk talk, Wire client) {
  if (client == Wire::kResponses) talk.stop.clear();
  if (client == Wire::kMessages && !talk.cap) talk.cap = 512;  // Messages demands one
  return talk;
}

// The reasons a provider's format may have to refuse it; empty: none.
std::string WhyRefused(const Talk& talk, Wire provider) {
  if (provider != Wire::kConverse) return "";
  if (talk.has_links()) return "image";
  if (talk.choice == "none" && talk.has_calls()) return "tool_choice";
  return "";
}

TEST_P(TranslationProperty, TheProviderIsAskedWhatTheClientSaid) {
  size_t asked = 0;
  for (uint32_t seed = 0; seed < kSeeds; ++seed) {
    Dice dice(seed);
    Talk talk = Sayable(RandomTalk(dice), client_);
    const std::string sent = WriteTalk(client_, talk, ModelOf(provider_, dice), dice.OneIn(2), dice);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + sent);
    std::variant<std::string, BodyFault> body = sent;
    if (Client(client_) != nullptr) body = Client(client_)->Request(sent);
    ASSERT_TRUE(std::holds_alternative<std::string>(body)) << std::get<BodyFault>(body).message;
    if (Provider(provider_) != nullptr) body = Provider(provider_)->Request(std::get<std::string>(body));
    if (const BodyFault* fault = std::get_if<BodyFault>(&body)) {
      const std::string why = WhyRefused(talk, provider_);
      ASSERT_FALSE(why.empty()) << fault->message;
      EXPECT_EQ(fault->code, "unsupported_parameter");
      EXPECT_THAT(fault->param, testing::HasSubstr(why));
      continue;
    }
    EXPECT_EQ(WhyRefused(talk, provider_), "");
    SCOPED_TRACE("asked: " + std::get<std::string>(body));
    ++asked;
    Talk read = ReadTalk(provider_, std::get<std::string>(body));
    if (!talk.cap) read.cap.reset();
    // Converse has no word for `none`: no tools are named, so none can be called.
    if (provider_ == Wire::kConverse && talk.choice == "none") {
      talk.choice.clear();
      talk.tools.clear();
    }
    ASSERT_EQ(Facts(read), Facts(talk));
  }
  EXPECT_GT(asked, kSeeds / 4);
}

// Only as far as the provider's format can say it.
Reply Sayable(Reply reply, Wire provider) {
  if (provider == Wire::kConverse) reply.reasoning_tokens = 0;
  return reply;
}

TEST_P(TranslationProperty, TheClientGetsWhatTheProviderAnswered) {
  for (uint32_t seed = 0; seed < kSeeds; ++seed) {
    Dice dice(seed);
    const Reply reply = Sayable(RandomReply(dice), provider_);
    const std::string sent = WriteReply(provider_, reply, dice);
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + sent);
    absl::StatusOr<std::string> body = sent;
    if (Provider(provider_) != nullptr) body = Provider(provider_)->Answer(sent, kContext);
    ASSERT_TRUE(body.ok()) << body.status();
    if (Client(client_) != nullptr) body = Client(client_)->Answer(*body, kContext);
    ASSERT_TRUE(body.ok()) << body.status();
    SCOPED_TRACE("got: " + *body);
    ASSERT_EQ(Facts(ReadReply(client_, *body)), Facts(reply));
  }
}

TEST_P(TranslationProperty, TheClientGetsWhatTheProviderStreamed) {
  for (uint32_t seed = 0; seed < kSeeds; ++seed) {
    Dice dice(seed);
    const Reply reply = Sayable(RandomReply(dice), provider_);
    std::string bytes = WriteReplyStream(provider_, reply, dice);
    SCOPED_TRACE("seed " + std::to_string(seed));
    if (Provider(provider_) != nullptr) bytes = Feed(*Provider(provider_)->Stream(kContext), bytes, dice);
    if (Client(client_) != nullptr) bytes = Feed(*Client(client_)->Stream(kContext), bytes, dice);
    SCOPED_TRACE("got: " + bytes);
    ASSERT_EQ(Facts(ReadReplyStream(client_, bytes)), Facts(reply));
  }
}

// Its end marker is the promise that nothing is missing.
TEST_P(TranslationProperty, AStreamCutAnywhereHasNoEnd) {
  for (uint32_t seed = 0; seed < kSeeds; ++seed) {
    Dice dice(seed);
    Reply reply = Sayable(RandomReply(dice), provider_);
    std::string bytes = WriteReplyStream(provider_, reply, dice);
    // All formats but chat completions and Messages say why they ended before their last byte; up to there it is a cut.
    const std::string_view last = provider_ == Wire::kChat              ? "data: [DONE]"
                                  : provider_ == Wire::kMessages        ? "message_stop"
                                  : provider_ == Wire::kGenerateContent ? "finishReason"
                                                                        : "messageStop";
    bytes.resize(dice.Below(bytes.rfind(last)));
    SCOPED_TRACE("seed " + std::to_string(seed));
    if (Provider(provider_) != nullptr) bytes = Feed(*Provider(provider_)->Stream(kContext), bytes, dice);
    EXPECT_THAT(bytes, testing::Not(testing::HasSubstr("data: [DONE]\n\n")));
    if (Client(client_) != nullptr) bytes = Feed(*Client(client_)->Stream(kContext), bytes, dice);
    for (const char* end : {"event: message_stop", "event: response.completed", "event: response.incomplete"}) {
      EXPECT_THAT(bytes, testing::Not(testing::HasSubstr(end)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, TranslationProperty,
                         testing::Combine(testing::ValuesIn(kClients), testing::ValuesIn(kProviders)),
                         [](const auto& info) {
                           return std::string(WireName(std::get<0>(info.param))) + "_" +
                                  WireName(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace signalbox
