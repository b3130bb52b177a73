#include "dataplane/provider/provider_call.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "dataplane/provider/sigv4.h"

namespace signalbox {
namespace {

// The Messages API of that date is the one in force; https://docs.claude.com/en/api/versioning.
constexpr char kAnthropicVersion[] = "2023-06-01";

std::string Option(const v1::SnapshotProvider& provider, const char* name) {
  const auto found = provider.options().find(name);
  return found == provider.options().end() ? "" : found->second;
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
  if (!secret.empty()) call.headers.AddOwn("authorization", absl::StrCat("Bearer ", std::string(secret)));
}

void KeyHeader(OwnName name, std::string_view secret, ProviderCall& call) {
  if (!secret.empty()) call.headers.AddOwn(name, secret);
}

// Azure's newer paths are OpenAI's; the older ones name the deployment, and the version of the API in the query.
std::string AzurePath(const v1::SnapshotProvider& provider, const CallOperation& operation) {
  const std::string version = Option(provider, "api_version");
  const std::string path(OpenAiPath(operation.format));
  if (version.empty()) return path;
  const std::string query = absl::StrCat("?api-version=", EncodePathSegment(version));
  if (operation.format == Format::kResponses) return absl::StrCat("/openai", path, query);
  return absl::StrCat("/openai/deployments/", EncodePathSegment(operation.model), path, query);
}

// "ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]", as the control plane takes it.
AwsKeys ReadAwsKeys(std::string_view secret) {
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(secret.data(), secret.size()), ':');
  AwsKeys keys;
  keys.access_key_id = parts[0];
  if (parts.size() > 1) keys.secret_access_key = parts[1];
  if (parts.size() > 2) keys.session_token = parts[2];
  return keys;
}

void Sign(const v1::SnapshotProvider& provider, const CallPlace& place, std::string_view method, std::string_view body,
          int64_t unix_us, ProviderCall& call) {
  if (place.secret.empty()) return;
  const std::string_view target = call.target;
  const size_t mark = target.find('?');
  AwsRequest request;
  request.method = method;
  request.host = place.host;
  request.path = target.substr(0, mark);
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  request.body = body;
  for (const auto& [name, value] :
       SignAwsRequest(ReadAwsKeys(place.secret), Option(provider, "region"), "bedrock", request, unix_us / 1'000'000)) {
    call.headers.Add(name, value);
  }
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
      return chat_as(Format::kConverse);
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
      call.headers.AddOwn("anthropic-version", kAnthropicVersion);
      break;
    case ProviderKind::kGoogle:
      if (operation.format == Format::kEmbeddings) {
        path = "/openai/embeddings";
        Bearer(place.secret, call);
        break;
      }
      path = absl::StrCat("/models/", EncodePathSegment(operation.model),
                          operation.stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
      KeyHeader("x-goog-api-key", place.secret, call);
      break;
    case ProviderKind::kBedrock:
      path = absl::StrCat("/model/", EncodePathSegment(operation.model),
                          operation.stream ? "/converse-stream" : "/converse");
      break;
  }
  call.target = absl::StrCat(std::string(place.path_prefix), path);
  if (KindOf(provider) == ProviderKind::kBedrock) Sign(provider, place, "POST", body, unix_us, call);
  return call;
}

ProviderCall BuildRawCall(const v1::SnapshotProvider& provider, const CallPlace& place, std::string_view method,
                          std::string target, std::string_view body, int64_t unix_us) {
  ProviderCall call;
  call.target = std::move(target);
  switch (KindOf(provider)) {
    case ProviderKind::kOpenAi:
      Bearer(place.secret, call);
      break;
    case ProviderKind::kAzureOpenAi:
      KeyHeader("api-key", place.secret, call);
      break;
    case ProviderKind::kAnthropic:
      KeyHeader("x-api-key", place.secret, call);
      call.headers.AddOwn("anthropic-version", kAnthropicVersion);
      break;
    case ProviderKind::kGoogle:
      if (call.target.find("/openai/") != std::string::npos) {
        Bearer(place.secret, call);
      } else {
        KeyHeader("x-goog-api-key", place.secret, call);
      }
      break;
    case ProviderKind::kBedrock:
      Sign(provider, place, method, body, unix_us, call);
      break;
  }
  return call;
}

}  // namespace signalbox
