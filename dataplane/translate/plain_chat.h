// What other formats say in a chat completion beyond OpenAI's own words: marks for prompt caches and signed reasoning,
// which only translators to such formats read. Providers of chat completions refuse members they do not know. Pure.
#pragma once

#include <string>
#include <string_view>

namespace signalbox {

// `chat_body`, which a ClientTranslator made, without them: a cache mark only ever saves money, and reasoning signed by
// one provider says nothing to another. The output cap stands under `cap_field`, the model's name for it.
std::string PlainChat(std::string chat_body, std::string_view cap_field);

}  // namespace signalbox
