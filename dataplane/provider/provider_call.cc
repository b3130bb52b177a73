#include "dataplane/provider/provider_call.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace signalbox {
namespace {

// The Messages API of that date is the one in force; https://docs.claude.com/en/api/versioning.
constexpr char kAnthropicVersion[] = "2023-06-01";

std::string Option(const v1::SnapshotProvider& provider, const char* name) {
  const auto found = provider.options().find(name);
  return found == provider.options().end() ? "" : found->second;
}

// One segment of a path: unreserved characters of RFC 3986 stay.
std::string PathSegment(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded.push_back(c);
    } else {
      absl::StrAppendFormat(&encoded, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

// Providers that copy OpenAI's API mostly have chat completions only.
bool SpeaksResponses(const v1::SnapshotProvider& provider) {
  const std::string said = Option(provider, "responses");
  if (!said.empty()) return said == "native";
  return provider.name() == "openai";
}

std::string_view OpenAiPath(Format format) {
  switch (format) {
    case Format::kResponses:
      return "/responses";
    case Format::kEmbeddings:
      return "/embeddings";
    default:
      return "/chat/completions";
  }
}

void Bearer(std::string_view secret, ProviderCall& call) {
  if (!secret.empty()) call.headers.emplace_back("authorization", absl::StrCat("Bearer ", std::string(secret)));
}

void KeyHeader(const char* name, std::string_view secret, ProviderCall& call) {
  if (!secret.empty()) call.headers.emplace_back(name, std::string(secret));
}

// Azure's newer paths are OpenAI's; the older ones name the deployment, and the version of the API in the query.
std::string AzurePath(const v1::SnapshotProvider& provider, const CallOperation& operation) {
  const std::string version = Option(provider, "api_version");
  const std::string path(OpenAiPath(operation.format));
  if (version.empty()) return path;
  const std::string query = absl::StrCat("?api-version=", PathSegment(version));
  if (operation.format == Format::kResponses) return absl::StrCat("/openai", path, query);
  return absl::StrCat("/openai/deployments/", PathSegment(operation.model), path, query);
}

}  // namespace

ProviderKind KindOf(const v1::SnapshotProvider& provider) {
  ProviderKind kind = ProviderKind::kOpenAi;
  ParseProviderKind(provider.kind(), kind);
  return kind;
}

std::optional<Format> ProviderFormat(const v1::SnapshotProvider& provider, Format client) {
  const auto chat_as = [client](Format own) -> std::optional<Format> {
    if (client == own) return own;
    const bool chat = client == Format::kChat || client == Format::kMessages || client == Format::kResponses;
    return chat ? std::optional<Format>(own) : std::nullopt;
  };
  switch (KindOf(provider)) {
    case ProviderKind::kOpenAi:
    case ProviderKind::kAzureOpenAi:
      if (client == Format::kEmbeddings) return client;
      if (client == Format::kResponses &&
          (KindOf(provider) == ProviderKind::kAzureOpenAi || SpeaksResponses(provider))) {
        return client;
      }
      return chat_as(Format::kChat);
    case ProviderKind::kAnthropic:
      return chat_as(Format::kMessages);
    case ProviderKind::kGoogle:
      if (client == Format::kEmbeddings) return client;  // in its OpenAI-compatible corner
      return chat_as(Format::kGenerateContent);
    case ProviderKind::kBedrock:
      return std::nullopt;  // not spoken to yet
  }
  return std::nullopt;
}

ProviderCall BuildProviderCall(const v1::SnapshotProvider& provider, const CallPlace& place,
                               const CallOperation& operation, std::string_view body, int64_t unix_us) {
  ProviderCall call;
  std::string path;
  switch (KindOf(provider)) {
    case ProviderKind::kOpenAi:
      path = OpenAiPath(operation.format);
      Bearer(place.secret, call);
      break;
    case ProviderKind::kAzureOpenAi:
      path = AzurePath(provider, operation);
      KeyHeader("api-key", place.secret, call);
      break;
    case ProviderKind::kAnthropic:
      path = "/messages";
      KeyHeader("x-api-key", place.secret, call);
      call.headers.emplace_back("anthropic-version", kAnthropicVersion);
      break;
    case ProviderKind::kGoogle:
      if (operation.format == Format::kEmbeddings) {
        path = "/openai/embeddings";
        Bearer(place.secret, call);
        break;
      }
      path = absl::StrCat("/models/", PathSegment(operation.model),
                          operation.stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
      KeyHeader("x-goog-api-key", place.secret, call);
      break;
    case ProviderKind::kBedrock:
      path = absl::StrCat("/model/", PathSegment(operation.model), operation.stream ? "/converse-stream" : "/converse");
      break;
  }
  call.target = absl::StrCat(std::string(place.path_prefix), path);
  return call;
}

}  // namespace signalbox
