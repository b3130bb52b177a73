// Who may call the simulated provider, each API in its own way. Pure.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tests/simprovider/format.h"

namespace signalbox::sim {

struct Caller {
  std::string_view format;  // Format::name()
  const Target& target;
  std::string method;
  HeaderList headers;
  std::string body;
  std::string require_key;  // empty: any
  std::string aws_secret;   // empty: any signature that is well-formed
};

// Chat completions, responses and embeddings: `authorization: Bearer KEY`, Azure's paths also `api-key`. Messages:
// `x-api-key` or the bearer key, and `anthropic-version`. Gemini: `x-goog-api-key`, `?key=` or the bearer key. Bedrock:
// SigV4, or the bearer key. UNAUTHENTICATED with the provider's kind of sentence; INVALID_ARGUMENT for a missing
// version.
absl::Status CheckCredentials(const Caller& caller);

}  // namespace signalbox::sim
