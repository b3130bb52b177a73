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

std::string WellKnownBaseUrl(std::string_view name, ProviderKind kind, std::string_view region) {
  if (const KnownProvider* known = FindKnownProvider(name); known != nullptr && known->kind == kind) {
    if (!known->base_url.empty()) return std::string(known->base_url);
  }
  switch (kind) {
    case ProviderKind::kAnthropic:
    case ProviderKind::kGoogle:
      return std::string(FindKnownProvider(ProviderKindText(kind))->base_url);
    case ProviderKind::kBedrock:
      if (region.empty()) return "";
      return std::string("https://bedrock-runtime.")
          .append(region)
          .append(region.starts_with("cn-") ? ".amazonaws.com.cn" : ".amazonaws.com");
    case ProviderKind::kOpenAi:  // whoever speaks it may be anybody: no key goes to openai.com by mistake
    case ProviderKind::kAzureOpenAi:
      break;
  }
  return "";
}

bool SecretFits(ProviderKind kind, std::string_view secret) {
  if (kind != ProviderKind::kBedrock) return true;
  const size_t first = secret.find(':');
  if (first == std::string_view::npos || first == 0) return false;
  const std::string_view id = secret.substr(0, first);
  if (!std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
      })) {
    return false;
  }
  const std::string_view rest = secret.substr(first + 1);
  const size_t second = rest.find(':');
  if (second == std::string_view::npos) return !rest.empty();
  return second > 0 && second + 1 < rest.size() && rest.find(':', second + 1) == std::string_view::npos;
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
