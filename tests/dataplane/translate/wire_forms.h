// Small readers and writers of every wire format, written apart from the translators, so that what they agree on is the
// format and not a shared mistake. They take only what a well-behaved peer sends. Throw on anything else: tests fail.
#pragma once

#include <string>
#include <string_view>

#include "tests/dataplane/translate/meaning.h"

namespace signalbox {

enum class Wire { kChat, kMessages, kResponses, kGenerateContent, kConverse };
const char* WireName(Wire wire);

// A client's request: kChat, kMessages or kResponses.
std::string WriteTalk(Wire client, const Talk& talk, const std::string& model, bool stream, Dice& dice);
// What a provider was asked: kChat, kMessages, kGenerateContent or kConverse.
Talk ReadTalk(Wire provider, std::string_view body);

// A provider's answer, and the same as a stream of bytes.
std::string WriteReply(Wire provider, const Reply& reply, Dice& dice);
std::string WriteReplyStream(Wire provider, const Reply& reply, Dice& dice);
// What a client got; `bytes` of a stream are all of it. A stream without its end throws.
Reply ReadReply(Wire client, std::string_view body);
Reply ReadReplyStream(Wire client, std::string_view bytes);

// One message of AWS's event stream.
std::string AwsMessage(const std::vector<std::pair<std::string, std::string>>& headers, const std::string& payload);

}  // namespace signalbox
