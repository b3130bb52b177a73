#include "dataplane/cache/cache_key.h"

#include <algorithm>
#include <array>

#include "common/sha256.h"

namespace signalbox {
namespace {

constexpr std::array<std::string_view, 5> kProviderPrefixes = {"openai-", "anthropic-", "x-goog-", "x-amz", "x-ms-"};

void Add(std::string& text, std::string_view part) {
  uint64_t size = part.size();
  for (int i = 0; i < 8; ++i, size >>= 8) text.push_back(static_cast<char>(size & 0xFF));
  text.append(part);
}

}  // namespace

std::string CacheKey(const CacheKeyParts& parts) {
  std::string text;
  text.reserve(parts.body.size() + 512);
  Add(text, "signalbox answer 1");
  Add(text, parts.gateway);
  Add(text, parts.cache_group.empty() ? "key" : "group");
  Add(text, parts.cache_group.empty() ? parts.key_id : parts.cache_group);
  Add(text, parts.format);
  Add(text, parts.stream ? "stream" : "whole");
  Add(text, parts.usage_in_stream ? "usage" : "");
  Add(text, parts.endpoint);
  Add(text, parts.provider);
  Add(text, parts.byok_alias);
  Add(text, parts.model);
  Add(text, parts.parameters);
  Add(text, parts.client_key.empty() ? "body" : "client key");
  Add(text, parts.client_key.empty() ? parts.body : parts.client_key);
  for (const auto& [name, value] : parts.headers) {
    Add(text, name);
    Add(text, value);
  }
  return Sha256(text);
}

bool IsProviderHeader(std::string_view name) {
  return std::any_of(kProviderPrefixes.begin(), kProviderPrefixes.end(),
                     [name](std::string_view prefix) { return name.starts_with(prefix); });
}

}  // namespace signalbox
