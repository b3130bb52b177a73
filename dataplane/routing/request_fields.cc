#include "dataplane/routing/request_fields.h"

#include <simdjson.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"
#include "dataplane/routing/authenticate.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

std::optional<v1::Scalar> ToScalar(const dom::element& value) {
  v1::Scalar scalar;
  switch (value.type()) {
    case dom::element_type::STRING:
      scalar.set_string_value(std::string(value.get_string().value_unsafe()));
      return scalar;
    case dom::element_type::BOOL:
      scalar.set_bool_value(value.get_bool().value_unsafe());
      return scalar;
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      scalar.set_number_value(value.get_double().value_unsafe());
      return scalar;
    case dom::element_type::NULL_VALUE:
      scalar.set_null_value(true);
      return scalar;
    default:
      return std::nullopt;
  }
}

// Parses a flat object of scalars. The sentence says what is wrong; empty: nothing is.
std::string ParseFlatObject(std::string_view json, Metadata& entries) {
  thread_local dom::parser parser;
  dom::object object;
  if (parser.parse(json.data(), json.size()).get_object().get(object) != simdjson::SUCCESS) {
    return "must be a JSON object";
  }
  entries.reserve(std::min(entries.size() + object.size(), static_cast<size_t>(kMetadataEntriesMax) + 1));
  for (const auto& [key, value] : object) {
    std::optional<v1::Scalar> scalar = ToScalar(value);
    std::string name(key);
    if (!scalar.has_value()) return absl::StrCat("must be flat: \"", name, "\" is not a string, number or boolean");
    for (const auto& entry : entries) {
      if (entry.first == name) return absl::StrCat("names \"", name, "\" twice");
    }
    entries.emplace_back(std::move(name), *std::move(scalar));
    if (entries.size() > static_cast<size_t>(kMetadataEntriesMax)) {
      return absl::StrCat("may have at most ", kMetadataEntriesMax, " entries");
    }
  }
  return "";
}

Refusal InvalidMetadata(std::string message, std::string param) {
  return Refusal{400, "invalid_metadata", std::move(message), std::move(param)};
}

void AddWeaker(Metadata& into, Metadata weaker) {
  for (auto& entry : weaker) {
    const bool known = std::any_of(into.begin(), into.end(), [&](const auto& e) { return e.first == entry.first; });
    if (!known) into.push_back(std::move(entry));
  }
}

// A string that JSON writes as it is.
bool IsPlainText(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
}
bool IsPlain(const std::pair<std::string, v1::Scalar>& entry) {
  return IsPlainText(entry.first) && entry.second.has_string_value() && IsPlainText(entry.second.string_value());
}

// What MetadataJson writes of it, keys in order, for what mostly comes.
std::string PlainJson(const Metadata& metadata) {
  absl::InlinedVector<const std::pair<std::string, v1::Scalar>*, 8> sorted;
  for (const auto& entry : metadata) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
  std::string json = "{";
  for (const auto* entry : sorted) {
    absl::StrAppend(&json, json.size() > 1 ? ",\"" : "\"", entry->first, "\":\"", entry->second.string_value(), "\"");
  }
  json += '}';
  return json;
}

FieldValue FromScalar(const v1::Scalar& scalar) {
  FieldValue value;
  switch (scalar.kind_case()) {
    case v1::Scalar::kStringValue:
      value.kind = FieldValue::Kind::kString;
      value.text = scalar.string_value();
      break;
    case v1::Scalar::kNumberValue:
      value.kind = FieldValue::Kind::kNumber;
      value.number = scalar.number_value();
      break;
    case v1::Scalar::kBoolValue:
      value.kind = FieldValue::Kind::kBool;
      value.boolean = scalar.bool_value();
      break;
    default:
      value.kind = FieldValue::Kind::kNull;
  }
  return value;
}

}  // namespace

std::variant<Metadata, Refusal> MergeMetadata(const v1::SnapshotKey& key, const HeaderFields& headers,
                                              const RequestBody& body) {
  Metadata merged;
  if (!key.pinned_metadata_json().empty()) {
    if (const std::string wrong = ParseFlatObject(key.pinned_metadata_json(), merged); !wrong.empty()) {
      return Refusal{500, "internal_error", absl::StrCat("the metadata pinned to this key ", wrong), ""};
    }
  }
  const size_t sent = headers.Count("cf-aig-metadata") + headers.Count("signalbox-metadata");
  if (sent > 1) {
    return InvalidMetadata("send metadata in one header: cf-aig-metadata or signalbox-metadata, once",
                           "cf-aig-metadata");
  }
  if (sent == 1) {
    const char* name = headers.Count("cf-aig-metadata") > 0 ? "cf-aig-metadata" : "signalbox-metadata";
    Metadata from_header;
    if (const std::string wrong = ParseFlatObject(headers.Value(name), from_header); !wrong.empty()) {
      return InvalidMetadata(absl::StrCat("the ", name, " header ", wrong), name);
    }
    if (merged.empty()) {
      merged = std::move(from_header);
    } else {
      AddWeaker(merged, std::move(from_header));
    }
  }
  AddWeaker(merged, body.metadata());
  if (merged.size() > static_cast<size_t>(kMetadataEntriesMax)) {
    return InvalidMetadata(absl::StrCat("metadata may have at most ", kMetadataEntriesMax, " entries"), "metadata");
  }
  size_t bytes = 0;
  for (const auto& [key, scalar] : merged) bytes += key.size() + scalar.string_value().size();
  if (bytes > kMetadataBytesMax) {
    return InvalidMetadata(absl::StrCat("metadata may have at most ", kMetadataBytesMax, " bytes, not ", bytes),
                           "metadata");
  }
  return merged;
}

std::string MetadataJson(const Metadata& metadata) {
  if (std::all_of(metadata.begin(), metadata.end(), IsPlain)) return PlainJson(metadata);
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [key, scalar] : metadata) {
    switch (scalar.kind_case()) {
      case v1::Scalar::kStringValue:
        object[key] = scalar.string_value();
        break;
      case v1::Scalar::kNumberValue:
        object[key] = scalar.number_value();
        break;
      case v1::Scalar::kBoolValue:
        object[key] = scalar.bool_value();
        break;
      default:
        object[key] = nullptr;
    }
  }
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

FieldValue RequestFields::Get(const v1::FieldRef& field) const {
  switch (field.root()) {
    case v1::FieldRef::METADATA: {
      // Metadata is flat: a dot in the path is a dot in the key.
      const std::string wanted = absl::StrJoin(field.path(), ".");
      for (const auto& [key, scalar] : metadata_) {
        if (key == wanted) return FromScalar(scalar);
      }
      return {};
    }
    case v1::FieldRef::BODY:
      return body_.Get({field.path().begin(), field.path().end()});
    case v1::FieldRef::HEADERS: {
      // What identifies a user goes into counters and the ledger; a gateway key must not.
      if (field.path_size() != 1 || IsKeyHeader(field.path(0))) return {};
      const std::optional<std::string_view> header = headers_.Find(field.path(0));
      if (!header.has_value()) return {};
      FieldValue value;
      value.kind = FieldValue::Kind::kString;
      value.text = *header;
      return value;
    }
    default:
      return {};
  }
}

}  // namespace signalbox
