#include "controlplane/api/provider_input.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/limits.h"
#include "common/provider_kind.h"
#include "common/status_macros.h"
#include "controlplane/api/input.h"

namespace signalbox {
namespace {

constexpr size_t kSecretBytesMax = 4096;
constexpr size_t kUrlBytesMax = 2048;
constexpr int kHeadersMax = 32;
constexpr size_t kHeaderValueBytesMax = 4096;
constexpr size_t kHealthPathBytesMax = 256;

bool IsToken(const std::string& text) {
  for (const char c : text) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) &&
        !absl::StrContains("!#$%&'*+-.^_`|~", absl::string_view(&c, 1))) {
      return false;
    }
  }
  return !text.empty();
}

// http://host[:port]/path or https: no user, query or fragment, so that a path can be appended.
absl::Status CheckUrl(const std::string& field, const std::string& url) {
  const std::string example = ", e.g. https://api.openai.com/v1";
  if (url.size() > kUrlBytesMax) return Bad(field, absl::StrCat("is over ", kUrlBytesMax, " bytes"));
  absl::string_view rest = url;
  if (!absl::ConsumePrefix(&rest, "https://") && !absl::ConsumePrefix(&rest, "http://")) {
    return Bad(field, absl::StrCat("\"", url, "\" must start with https:// or http://", example));
  }
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f || c == '?' || c == '#' ||
        c == '@' || c == '\\' || c == '"') {
      return Bad(field, absl::StrCat("must be a plain address without user, query or fragment", example));
    }
  }
  absl::string_view host = rest.substr(0, rest.find('/'));
  absl::string_view port;
  const size_t colon = host.rfind(':');
  if (colon != absl::string_view::npos && !absl::EndsWith(host, "]")) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    int number = 0;
    if (!absl::SimpleAtoi(port, &number) || number < 1 || number > 65535) {
      return Bad(field, absl::StrCat("\"", port, "\" is no port (1 to 65535)"));
    }
  }
  if (host.empty()) return Bad(field, absl::StrCat("\"", url, "\" names no host", example));
  return absl::OkStatus();
}

void TrimSlashes(std::string& url) {
  while (absl::EndsWith(url, "/")) url.pop_back();
}

// ---- Options ----

bool IsRegion(const std::string& text) {
  for (const char c : text) {
    if (!absl::ascii_islower(static_cast<unsigned char>(c)) && !absl::ascii_isdigit(static_cast<unsigned char>(c)) &&
        c != '-') {
      return false;
    }
  }
  return !text.empty() && text.size() <= 32 && text.front() != '-' && text.back() != '-';
}

// 2024-10-21, 2025-04-01-preview
bool IsApiVersion(const std::string& text) {
  absl::string_view rest = text;
  absl::ConsumeSuffix(&rest, "-preview");
  if (rest.size() != 10) return false;
  for (size_t i = 0; i < rest.size(); ++i) {
    const bool dash = i == 4 || i == 7;
    if (dash ? rest[i] != '-' : !absl::ascii_isdigit(static_cast<unsigned char>(rest[i]))) return false;
  }
  return true;
}

bool IsResponses(const std::string& text) { return text == "native" || text == "chat"; }

struct Option {
  ProviderKind kind;
  const char* name;
  bool required;
  bool (*good)(const std::string& text);
  const char* meaning;
};
constexpr Option kOptions[] = {
    {ProviderKind::kOpenAi, "responses", false, &IsResponses,
     "\"native\" where the provider has /responses itself, \"chat\" where it is made of chat completions"},
    {ProviderKind::kAzureOpenAi, "api_version", false, &IsApiVersion,
     "a date such as 2024-10-21, for addresses by deployment; leave it out for a base URL that ends with /openai/v1"},
    {ProviderKind::kBedrock, "region", true, &IsRegion, "an AWS region such as us-east-1"},
};

absl::Status CheckOptions(ProviderKind kind, const v1::Provider& provider) {
  const std::string field = "provider.options";
  std::map<std::string, const Option*> known;
  for (const Option& option : kOptions) {
    if (option.kind == kind) known[option.name] = &option;
  }
  for (const auto& [name, value] : provider.options()) {
    const auto found = known.find(name);
    if (found == known.end()) {
      const std::string names =
          absl::StrJoin(known, ", ", [](std::string* out, const auto& option) { absl::StrAppend(out, option.first); });
      return Bad(field, absl::StrCat("\"", name, "\" is no option of kind ", provider.kind(),
                                     " (known: ", names.empty() ? "none" : names, ")"));
    }
    if (!found->second->good(value)) {
      return Bad(field, absl::StrCat(name, " is ", found->second->meaning, "; not \"", value, "\""));
    }
  }
  for (const auto& [name, option] : known) {
    if (option->required && provider.options().count(name) == 0) {
      return Bad(field, absl::StrCat(name, " is missing: ", option->meaning));
    }
  }
  return absl::OkStatus();
}

// ---- Addresses ----

absl::Status CheckBaseUrl(ProviderKind kind, const v1::Provider& provider) {
  const std::string field = "provider.base_url";
  if (!provider.base_url().empty()) return CheckUrl(field, provider.base_url());
  const auto region = provider.options().find("region");
  if (!WellKnownBaseUrl(provider.name(), kind, region == provider.options().end() ? "" : region->second).empty()) {
    return absl::OkStatus();
  }
  if (kind == ProviderKind::kAzureOpenAi) {
    return Bad(field, "is missing: the resource's own, e.g. https://my-resource.openai.azure.com/openai/v1");
  }
  std::vector<std::string> known;
  for (const KnownProvider& one : KnownProviders()) {
    if (one.kind == kind && !one.base_url.empty()) known.emplace_back(one.name);
  }
  return Bad(field, absl::StrCat("is missing, e.g. https://api.openai.com/v1; only these have a well-known one: ",
                                 absl::StrJoin(known, ", ")));
}

absl::Status CheckEndpoints(const v1::Provider& provider) {
  if (provider.endpoints_size() > kProviderEndpointsMax) {
    return Bad("provider.endpoints",
               absl::StrCat("has ", provider.endpoints_size(), " entries; at most ", kProviderEndpointsMax));
  }
  std::set<std::string> names;
  for (int i = 0; i < provider.endpoints_size(); ++i) {
    const v1::ProviderEndpoint& endpoint = provider.endpoints(i);
    const std::string field = absl::StrCat("provider.endpoints[", i, "]");
    RETURN_IF_ERROR(CheckName(field + ".name", endpoint.name()));
    if (!names.insert(endpoint.name()).second) {
      return Bad(field + ".name", absl::StrCat("\"", endpoint.name(), "\" is there twice"));
    }
    if (endpoint.weight() < 0 || endpoint.weight() > kEndpointWeightMax) {
      return Bad(field + ".weight", absl::StrCat(endpoint.weight(), " is not between 1 and ", kEndpointWeightMax));
    }
    if (!endpoint.base_url().empty()) RETURN_IF_ERROR(CheckUrl(field + ".base_url", endpoint.base_url()));
  }
  return absl::OkStatus();
}

absl::Status CheckHealthCheck(const v1::HealthCheck& check) {
  const std::string field = "provider.health_check";
  bool clean = absl::StartsWith(check.path(), "/") && check.path().size() <= kHealthPathBytesMax;
  for (const char c : check.path()) {
    clean = clean && static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '#';
  }
  if (!clean) {
    return Bad(field + ".path", absl::StrCat("is asked for under the base URL: it begins with /, e.g. /models, and has "
                                             "at most ",
                                             kHealthPathBytesMax, " bytes without blanks"));
  }
  if (check.interval_s() < 1 || check.interval_s() > kHealthCheckIntervalSMax) {
    return Bad(field + ".interval_s",
               absl::StrCat(check.interval_s(), " is not between 1 and ", kHealthCheckIntervalSMax, " seconds"));
  }
  return absl::OkStatus();
}

// ---- Headers and secrets ----

// The header that carries the secret, or part of a signature: what the proxy writes itself.
bool IsCredential(ProviderKind kind, const std::string& lower_name) {
  switch (kind) {
    case ProviderKind::kOpenAi:
      return false;
    case ProviderKind::kAzureOpenAi:
      return lower_name == "api-key";
    case ProviderKind::kAnthropic:
      return lower_name == "x-api-key";
    case ProviderKind::kGoogle:
      return lower_name == "x-goog-api-key";
    case ProviderKind::kBedrock:
      return absl::StartsWith(lower_name, "x-amz-");
  }
  return false;
}

absl::Status CheckHeaders(ProviderKind kind, const v1::Provider& provider) {
  const std::string field = "provider.headers";
  if (provider.headers_size() > kHeadersMax) {
    return Bad(field, absl::StrCat("has ", provider.headers_size(), " entries; at most ", kHeadersMax));
  }
  // What the proxy writes itself, or what would change a message's framing.
  static const auto& reserved = *new std::set<std::string>{
      "authorization", "connection",        "content-length",  "content-type", "host",       "te",
      "trailer",       "transfer-encoding", "accept-encoding", "upgrade",      "keep-alive", "expect"};
  for (const auto& [name, value] : provider.headers()) {
    if (!IsToken(name)) return Bad(field, absl::StrCat("\"", name, "\" is no header name"));
    const std::string lower = absl::AsciiStrToLower(name);
    const bool credential = lower == "authorization" || IsCredential(kind, lower);
    if (credential || reserved.count(lower) != 0) {
      return Bad(field, absl::StrCat("\"", name, "\" is set by the gateway",
                                     credential ? "; give the provider's key as its secret" : ""));
    }
    if (value.size() > kHeaderValueBytesMax || !IsPrintable(value)) {
      return Bad(field, absl::StrCat("the value of \"", name, "\" is too long or has control characters"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSecret(ProviderKind kind, const std::string& field, const std::string& secret) {
  if (secret.size() > kSecretBytesMax) return Bad(field, absl::StrCat("is over ", kSecretBytesMax, " bytes"));
  for (const char c : secret) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return Bad(field, "has spaces, line breaks or characters that no header can carry");
    }
  }
  if (!secret.empty() && !SecretFits(kind, secret)) {
    return Bad(field,
               "is not of the shape ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN], which requests to Bedrock "
               "are signed with");
  }
  return absl::OkStatus();
}

absl::Status CheckSecrets(ProviderKind kind, const v1::ApplyProviderRequest& request) {
  RETURN_IF_ERROR(CheckSecret(kind, "secret", request.secret()));
  std::set<std::string> endpoints;
  for (const v1::ProviderEndpoint& endpoint : request.provider().endpoints()) endpoints.insert(endpoint.name());
  for (const auto& [name, secret] : request.endpoint_secrets()) {
    if (endpoints.count(name) == 0) {
      return Bad("endpoint_secrets", absl::StrCat("there is no endpoint \"", name, "\" (endpoints: ",
                                                  endpoints.empty() ? "none" : absl::StrJoin(endpoints, ", "), ")"));
    }
    RETURN_IF_ERROR(CheckSecret(kind, absl::StrCat("endpoint_secrets[\"", name, "\"]"), secret));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CompleteProviderRequest(v1::ApplyProviderRequest& request) {
  v1::Provider& provider = *request.mutable_provider();
  TrimSlashes(*provider.mutable_base_url());  // a path is appended to it
  for (v1::ProviderEndpoint& endpoint : *provider.mutable_endpoints()) TrimSlashes(*endpoint.mutable_base_url());
  RETURN_IF_ERROR(CheckName("provider.name", provider.name()));
  if (provider.kind().empty()) {
    const KnownProvider* known = FindKnownProvider(provider.name());
    provider.set_kind(std::string(ProviderKindText(known == nullptr ? ProviderKind::kOpenAi : known->kind)));
  }
  ProviderKind kind = ProviderKind::kOpenAi;
  if (!ParseProviderKind(provider.kind(), kind)) {
    return Bad("provider.kind", absl::StrCat("\"", provider.kind(), "\" is unknown (known: ", ProviderKindList(),
                                             "); openai fits every OpenAI-compatible base URL"));
  }
  RETURN_IF_ERROR(CheckOptions(kind, provider));
  RETURN_IF_ERROR(CheckBaseUrl(kind, provider));
  RETURN_IF_ERROR(CheckHeaders(kind, provider));
  RETURN_IF_ERROR(CheckEndpoints(provider));
  if (provider.has_health_check()) RETURN_IF_ERROR(CheckHealthCheck(provider.health_check()));
  return CheckSecrets(kind, request);
}

}  // namespace signalbox
