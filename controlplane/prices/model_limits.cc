#include "controlplane/prices/model_limits.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "controlplane/prices/genai_match.h"

namespace signalbox {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kTokensMax = 100'000'000;
constexpr std::string_view kDefaultCapField = "max_tokens";

absl::Status Fault(const std::string& where, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("model limits: ", where, " ", what));
}

absl::StatusOr<int64_t> ReadTokens(const std::string& where, const Json& value) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() == 0 || value.get<uint64_t>() > kTokensMax) {
    return Fault(where, absl::StrCat("must be a whole number from 1 to ", kTokensMax));
  }
  return static_cast<int64_t>(value.get<uint64_t>());
}

// {"providers": ["openai"], "match": {...}, "max_output_tokens": 16384, "source": "https://..."}
absl::Status ReadEntry(const Json& entry, const std::string& where, std::vector<std::string>& providers,
                       v1::ModelPrice& limits) {
  if (!entry.is_object()) return Fault(where, "must be an object");
  for (const auto& [key, value] : entry.items()) {
    const std::string field = absl::StrCat(where, ": \"", key, "\"");
    if (key == "providers") {
      if (!value.is_array() || value.empty()) return Fault(field, "must be a list of provider ids");
      for (const Json& id : value) {
        if (!id.is_string()) return Fault(field, "must be a list of provider ids");
        providers.push_back(id.get<std::string>());
      }
    } else if (key == "match") {
      const absl::StatusOr<v1::ModelMatch> match = ReadGenaiMatch(value);
      if (!match.ok()) return Fault(field, std::string(match.status().message()));
      *limits.mutable_match() = *match;
    } else if (key == "max_output_tokens") {
      ASSIGN_OR_RETURN(const int64_t tokens, ReadTokens(field, value));
      limits.set_max_output_tokens(tokens);
    } else if (key == "image_tokens_max") {
      ASSIGN_OR_RETURN(const int64_t tokens, ReadTokens(field, value));
      limits.set_image_tokens_max(tokens);
    } else if (key == "source") {
      if (!value.is_string()) return Fault(field, "must be text");
      limits.set_source(value.get<std::string>());
    } else {
      return Fault(field, "is not a known field");
    }
  }
  if (providers.empty()) return Fault(where, "has no \"providers\"");
  if (!limits.has_match()) return Fault(where, "has no \"match\"");
  if (limits.source().empty()) return Fault(where, "has no \"source\"");
  limits.set_model(where);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ModelLimits> ModelLimits::Parse(std::string_view json) {
  const Json file = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (file.is_discarded() || !file.is_object()) return Fault("the file", "is not a JSON object");
  for (const auto& [key, value] : file.items()) {
    if (key != "about" && key != "cap_fields" && key != "limits") {
      return Fault(absl::StrCat("\"", key, "\""), "is not a known field");
    }
  }
  ModelLimits limits;
  const Json cap_fields = file.value("cap_fields", Json::object());
  if (!cap_fields.is_object()) return Fault("\"cap_fields\"", "must be an object");
  for (const auto& [provider, field] : cap_fields.items()) {
    if (field != "max_tokens" && field != "max_completion_tokens") {
      return Fault(absl::StrCat("\"cap_fields\": \"", provider, "\""), "must be max_tokens or max_completion_tokens");
    }
    limits.cap_fields_.emplace_back(provider, field.get<std::string>());
  }
  const Json entries = file.value("limits", Json::array());
  if (!entries.is_array()) return Fault("\"limits\"", "must be a list");
  std::map<std::string, std::vector<v1::ModelPrice>> by_provider;
  for (size_t i = 0; i < entries.size(); ++i) {
    std::vector<std::string> providers;
    v1::ModelPrice entry;
    RETURN_IF_ERROR(ReadEntry(entries[i], absl::StrCat("limits[", i, "]"), providers, entry));
    for (const std::string& provider : providers) by_provider[provider].push_back(entry);
  }
  for (auto& [provider, list] : by_provider) {
    ASSIGN_OR_RETURN(PriceTable table, PriceTable::Of(std::move(list)));
    limits.by_provider_.emplace_back(provider, std::move(table));
  }
  return limits;
}

void ModelLimits::Apply(v1::ModelPrice& price) const {
  const auto of = [&price](const auto& list) {
    return std::find_if(list.begin(), list.end(),
                        [&price](const auto& entry) { return entry.first == price.provider(); });
  };
  const auto cap_field = of(cap_fields_);
  price.set_cap_field(cap_field == cap_fields_.end() ? std::string(kDefaultCapField) : cap_field->second);
  const auto table = of(by_provider_);
  const v1::ModelPrice* limits = table == by_provider_.end() ? nullptr : table->second.Find(price.model());
  if (limits == nullptr) return;
  price.set_max_output_tokens(limits->max_output_tokens());
  if (limits->has_image_tokens_max()) price.set_image_tokens_max(limits->image_tokens_max());
}

}  // namespace signalbox
