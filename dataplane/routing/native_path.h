// What a call of a provider's own API asks for, read from its path: a model call that the gateway knows how to meter,
// or something that it only relays. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/provider_kind.h"
#include "dataplane/provider/format.h"
#include "dataplane/provider/request_body.h"

namespace signalbox {

struct NativeCall {
  Format format = Format::kChat;
  PathSays says;                  // the model and whether to stream, where the path has them
  bool wants_json_array = false;  // a stream that is no event stream: Google's without alt=sse
};

// `rest` follows the provider in the path, or is an entry's `endpoint`; `query` without its ?. A version in front (v1/,
// v1beta/) or what the provider's base URL ends with does not matter. nullopt: no model call that can be metered.
//   openai:       chat/completions, responses, embeddings
//   azure-openai: the same, also under openai/, openai/v1/, [openai/]deployments/{d}/ and {resource}/{d}/
//   anthropic:    messages, chat/completions
//   google:       models/{m}:generateContent, models/{m}:streamGenerateContent, openai/{chat/completions,embeddings}
//   bedrock:      model/{m}/converse, model/{m}/converse-stream, also under bedrock-runtime/{region}/
std::optional<NativeCall> ReadNativePath(ProviderKind kind, std::string_view base_path, std::string_view rest,
                                         std::string_view query);

// Whether a POST there is known to cost nothing: counting tokens.
bool IsFree(std::string_view rest);

// The whole path at the provider: `rest` under the base URL's path, whatever both name (a version, a prefix) named
// once. Where both name a version the client's counts. No `..` gets out of the base: nullopt when `rest` has one.
std::optional<std::string> ProviderPath(std::string_view base_path, std::string_view rest);

}  // namespace signalbox
