#include "controlplane/api/input.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr size_t kResourceNameBytesMax = 63;
constexpr size_t kCommentBytesMax = 4096;
constexpr size_t kSecretBytesMax = 4096;
constexpr size_t kUrlBytesMax = 2048;
constexpr int kHeadersMax = 32;
constexpr size_t kHeaderValueBytesMax = 4096;
constexpr int kWaitMsMax = 600'000;
constexpr int64_t kPriceNanosMax = 1'000'000LL * kNanosPerDollar;
constexpr int64_t kTokensMax = 1'000'000'000;

absl::Status Bad(const std::string& field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

bool IsPrintable(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

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
absl::Status CheckUrl(const std::string& url) {
  const std::string field = "provider.base_url";
  const std::string example = ", e.g. https://api.openai.com/v1";
  if (url.empty()) return Bad(field, absl::StrCat("is missing", example));
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

}  // namespace

absl::Status CheckName(const std::string& field, const std::string& name) {
  bool good = !name.empty() && name.size() <= kResourceNameBytesMax;
  for (size_t i = 0; good && i < name.size(); ++i) {
    const char c = name[i];
    good = absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           (i > 0 && (c == '.' || c == '_' || c == '-'));
  }
  if (good) return absl::OkStatus();
  return Bad(field, absl::StrCat("\"", name.substr(0, kNameBytesMax),
                                 "\" is no valid name: 1 to 63 of a-z, 0-9, '.', '_' and '-', the first a letter or "
                                 "digit"));
}

absl::Status CheckDisplayName(const std::string& field, const std::string& text) {
  if (text.size() > kNameBytesMax) return Bad(field, absl::StrCat("is over ", kNameBytesMax, " bytes"));
  if (!IsPrintable(text)) return Bad(field, "has control characters");
  return absl::OkStatus();
}

absl::Status CheckComment(const std::string& comment) {
  return comment.size() <= kCommentBytesMax ? absl::OkStatus()
                                            : Bad("comment", absl::StrCat("is over ", kCommentBytesMax, " bytes"));
}

absl::Status CheckRouteJsonSize(const std::string& json) {
  if (json.empty()) return Bad("json", "is missing: {\"name\": ..., \"elements\": [...]}");
  if (json.size() > kRouteJsonBytesMax) {
    return Bad("json", absl::StrCat("has ", json.size(), " bytes, over the limit of ", kRouteJsonBytesMax));
  }
  return absl::OkStatus();
}

absl::Status CheckPositions(const std::string& positions_json) {
  if (positions_json.empty()) return absl::OkStatus();
  if (positions_json.size() > kRouteJsonBytesMax) {
    return Bad("positions_json", absl::StrCat("is over the limit of ", kRouteJsonBytesMax, " bytes"));
  }
  const nlohmann::json parsed = nlohmann::json::parse(positions_json, nullptr, /*allow_exceptions=*/false);
  return parsed.is_object() ? absl::OkStatus() : Bad("positions_json", "must be a JSON object");
}

absl::Status CheckVersionNumber(const std::string& field, int64_t number) {
  return number >= 0 ? absl::OkStatus() : Bad(field, absl::StrCat(number, " is negative; versions count from 1"));
}

absl::Status CheckWait(int32_t wait_ms) {
  if (wait_ms >= 0 && wait_ms <= kWaitMsMax) return absl::OkStatus();
  return Bad("wait_ms", absl::StrCat(wait_ms, " is not between 0 and ", kWaitMsMax));
}

absl::Status CheckPinnedMetadata(const std::string& json) {
  const std::string field = "pinned_metadata_json";
  if (json.empty()) return absl::OkStatus();
  if (json.size() > kRequestHeaderBytesMax) {
    return Bad(field, absl::StrCat("is over ", kRequestHeaderBytesMax, " bytes"));
  }
  std::set<std::string> keys;
  std::string duplicate;
  const auto note_keys = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::key && depth == 1 && !keys.insert(value.get<std::string>()).second) {
      duplicate = value.get<std::string>();
    }
    return true;
  };
  const nlohmann::json parsed = nlohmann::json::parse(json, note_keys, /*allow_exceptions=*/false);
  if (parsed.is_discarded() || !parsed.is_object()) {
    return Bad(field, "must be a JSON object, e.g. {\"plan\": \"free\"}");
  }
  if (!duplicate.empty()) return Bad(field, absl::StrCat("\"", duplicate, "\" is there twice"));
  if (parsed.size() > kMetadataEntriesMax) {
    return Bad(field, absl::StrCat("has ", parsed.size(), " entries; at most ", kMetadataEntriesMax, " are allowed"));
  }
  for (const auto& [key, value] : parsed.items()) {
    if (key.empty()) return Bad(field, "has an entry without a name");
    if (!value.is_string() && !value.is_number() && !value.is_boolean()) {
      return Bad(field, absl::StrCat("\"", key, "\" must be a string, a number or a boolean, not ", value.type_name()));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckExpiry(const google::protobuf::Timestamp& expire_time, int64_t now_us) {
  // Up to the year 9999, as Timestamp itself; also keeps the microseconds within int64.
  if (expire_time.seconds() < 0 || expire_time.seconds() > 253'402'300'799 || expire_time.nanos() < 0 ||
      expire_time.nanos() > 999'999'999) {
    return Bad("expire_time", "is out of range");
  }
  if (expire_time.seconds() * 1'000'000 + expire_time.nanos() / 1'000 <= now_us) {
    return Bad("expire_time", "is in the past; leave it out for a key that does not expire");
  }
  return absl::OkStatus();
}

absl::Status CheckProvider(const v1::Provider& provider) {
  RETURN_IF_ERROR(CheckName("provider.name", provider.name()));
  if (provider.kind() != "openai") {
    return Bad("provider.kind", absl::StrCat("\"", provider.kind(),
                                             "\" is unknown; use openai, which fits every OpenAI-compatible base URL"));
  }
  RETURN_IF_ERROR(CheckUrl(provider.base_url()));
  if (provider.headers_size() > kHeadersMax) {
    return Bad("provider.headers", absl::StrCat("has ", provider.headers_size(), " entries; at most ", kHeadersMax));
  }
  // What the proxy writes itself, or what would change a message's framing.
  static const std::set<std::string> kReserved = {
      "authorization", "connection",        "content-length",  "content-type", "host",       "te",
      "trailer",       "transfer-encoding", "accept-encoding", "upgrade",      "keep-alive", "expect"};
  for (const auto& [name, value] : provider.headers()) {
    if (!IsToken(name)) return Bad("provider.headers", absl::StrCat("\"", name, "\" is no header name"));
    if (kReserved.count(absl::AsciiStrToLower(name)) != 0) {
      return Bad(
          "provider.headers",
          absl::StrCat("\"", name, "\" is set by the gateway",
                       absl::EqualsIgnoreCase(name, "authorization") ? "; give the provider's key as its secret" : ""));
    }
    if (value.size() > kHeaderValueBytesMax || !IsPrintable(value)) {
      return Bad("provider.headers", absl::StrCat("the value of \"", name, "\" is too long or has control characters"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSecret(const std::string& secret) {
  if (secret.size() > kSecretBytesMax) return Bad("secret", absl::StrCat("is over ", kSecretBytesMax, " bytes"));
  for (const char c : secret) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return Bad("secret", "has spaces, line breaks or characters that no header can carry");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPrice(const v1::ModelPrice& price) {
  RETURN_IF_ERROR(CheckName("price.provider", price.provider()));
  if (price.model().empty()) return Bad("price.model", "is missing");
  RETURN_IF_ERROR(CheckDisplayName("price.model", price.model()));
  RETURN_IF_ERROR(CheckDisplayName("price.source", price.source()));
  const std::vector<std::pair<std::string, int64_t>> amounts = {
      {"input_nanos_per_mtok", price.input_nanos_per_mtok()},
      {"cached_input_nanos_per_mtok", price.cached_input_nanos_per_mtok()},
      {"cache_write_nanos_per_mtok", price.cache_write_nanos_per_mtok()},
      {"output_nanos_per_mtok", price.output_nanos_per_mtok()},
      {"audio_input_nanos_per_mtok", price.audio_input_nanos_per_mtok()},
      {"audio_output_nanos_per_mtok", price.audio_output_nanos_per_mtok()}};
  for (const auto& [field, nanos] : amounts) {
    if (nanos < 0 || nanos > kPriceNanosMax) {
      return Bad(absl::StrCat("price.", field),
                 absl::StrCat(nanos, " is not between 0 and ", kPriceNanosMax, " nano-dollars per million tokens"));
    }
  }
  const std::vector<std::pair<std::string, int64_t>> tokens = {{"max_output_tokens", price.max_output_tokens()},
                                                               {"image_tokens_max", price.image_tokens_max()},
                                                               {"audio_tokens_max", price.audio_tokens_max()},
                                                               {"file_tokens_max", price.file_tokens_max()}};
  for (const auto& [field, count] : tokens) {
    if (count < 0 || count > kTokensMax) {
      return Bad(absl::StrCat("price.", field), absl::StrCat(count, " is not between 0 and ", kTokensMax));
    }
  }
  if (price.max_output_tokens() == 0) {
    return Bad("price.max_output_tokens", "is missing: the most output tokens the model can be asked for");
  }
  if (price.cap_field() != "max_tokens" && price.cap_field() != "max_completion_tokens") {
    return Bad("price.cap_field",
               absl::StrCat("\"", price.cap_field(), "\" is unknown; use max_tokens or max_completion_tokens"));
  }
  return absl::OkStatus();
}

}  // namespace signalbox
