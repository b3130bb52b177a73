#include "controlplane/api/input.h"

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/model_price.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

constexpr size_t kResourceNameBytesMax = 63;
constexpr size_t kCommentBytesMax = 4096;
constexpr int kWaitMsMax = 600'000;
constexpr int64_t kTokensMax = 1'000'000'000;

}  // namespace

absl::Status Bad(const std::string& field, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

bool IsPrintable(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

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
  if (const std::string problem = PriceProblem(price); !problem.empty()) return Bad("price", problem);
  if (price.has_match()) return Bad("price.match", "a gateway's own price is for the one model that it names");
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
