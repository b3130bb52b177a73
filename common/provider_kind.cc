#include "common/provider_kind.h"

#include <algorithm>

namespace signalbox {
namespace {

constexpr std::string_view kKindTexts[] = {"openai", "azure-openai", "anthropic", "google", "bedrock"};

}  // namespace

const std::vector<KnownProvider>& KnownProviders() {
  using enum ProviderKind;
  // Base URLs as the providers' own documentation gives them. Azure and Bedrock have one per resource and region.
  static const auto& known = *new std::vector<KnownProvider>{
      {"anthropic", kAnthropic, "https://api.anthropic.com/v1", "anthropic"},
      {"aws-bedrock", kBedrock, "", "aws"},
      {"azure-openai", kAzureOpenAi, "", "azure"},
      {"bedrock", kBedrock, "", "aws"},
      {"cerebras", kOpenAi, "https://api.cerebras.ai/v1", "cerebras"},
      {"deepseek", kOpenAi, "https://api.deepseek.com/v1", "deepseek"},
      {"fireworks", kOpenAi, "https://api.fireworks.ai/inference/v1", "fireworks"},
      {"google", kGoogle, "https://generativelanguage.googleapis.com/v1beta", "google"},
      {"google-ai-studio", kGoogle, "https://generativelanguage.googleapis.com/v1beta", "google"},
      {"grok", kOpenAi, "https://api.x.ai/v1", "x-ai"},
      {"groq", kOpenAi, "https://api.groq.com/openai/v1", "groq"},
      {"mistral", kOpenAi, "https://api.mistral.ai/v1", "mistral"},
      {"moonshotai", kOpenAi, "https://api.moonshot.ai/v1", "moonshotai"},
      {"ollama", kOpenAi, "http://127.0.0.1:11434/v1", ""},
      {"openai", kOpenAi, "https://api.openai.com/v1", "openai"},
      {"openrouter", kOpenAi, "https://openrouter.ai/api/v1", "openrouter"},
      {"perplexity", kOpenAi, "https://api.perplexity.ai", "perplexity"},
      {"together", kOpenAi, "https://api.together.xyz/v1", "together"},
      {"vllm", kOpenAi, "http://127.0.0.1:8000/v1", ""},
      {"xai", kOpenAi, "https://api.x.ai/v1", "x-ai"},
  };
  return known;
}

const KnownProvider* FindKnownProvider(std::string_view name) {
  const std::vector<KnownProvider>& known = KnownProviders();
  const auto found = std::lower_bound(known.begin(), known.end(), name,
                                      [](const KnownProvider& a, std::string_view b) { return a.name < b; });
  return found != known.end() && found->name == name ? &*found : nullptr;
}

bool ParseProviderKind(std::string_view text, ProviderKind& kind) {
  const auto* found = std::find(std::begin(kKindTexts), std::end(kKindTexts), text);
  if (found == std::end(kKindTexts)) return false;
  kind = static_cast<ProviderKind>(found - std::begin(kKindTexts));
  return true;
}

std::string_view ProviderKindText(ProviderKind kind) { return kKindTexts[static_cast<size_t>(kind)]; }

std::string ProviderKindList() {
  std::string list;
  for (const std::string_view text : kKindTexts) list.append(list.empty() ? "" : ", ").append(text);
  return list;
}

}  // namespace signalbox
