// The providers the gateway knows by name: how each is spoken to, where it lives, and under what name price data knows
// it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace signalbox {

// How a provider is called: the format of bodies, where the model and the key go, the paths.
enum class ProviderKind {
  kOpenAi,       // "openai": chat completions at {base_url}/chat/completions; also every compatible provider
  kAzureOpenAi,  // "azure-openai": the same by deployment and api-version, or under /openai/v1
  kAnthropic,    // "anthropic": Messages
  kGoogle,       // "google": Gemini's generateContent
  kBedrock,      // "bedrock": Converse, signed with SigV4
};

struct KnownProvider {
  std::string_view name;  // groq
  ProviderKind kind;
  std::string_view base_url;      // empty: it has none that is the same for everybody
  std::string_view price_source;  // the id price data knows it by; empty: no price data has it
};

// Every known name, aliases (aws-bedrock, google-ai-studio, grok ...) included, ordered by name.
const std::vector<KnownProvider>& KnownProviders();
// Null when the name is not known.
const KnownProvider* FindKnownProvider(std::string_view name);

// Where a provider is reached when nobody says: the address of `name` if `kind` is what that one speaks, else of the
// kind if it has one (anthropic, google; bedrock in `region`). Empty: it must be given.
std::string WellKnownBaseUrl(std::string_view name, ProviderKind kind, std::string_view region);

// Whether `secret` (not empty) is of the shape the kind needs: bedrock's is
// ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN], of others any will do.
bool SecretFits(ProviderKind kind, std::string_view secret);

// "openai", "azure-openai", "anthropic", "google", "bedrock"; false when `text` is none of them.
bool ParseProviderKind(std::string_view text, ProviderKind& kind);
std::string_view ProviderKindText(ProviderKind kind);
std::string ProviderKindList();  // "openai, azure-openai, ...": for sentences that say what is known

}  // namespace signalbox
