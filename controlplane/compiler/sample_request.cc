#include "controlplane/compiler/sample_request.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/route/json_tree.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

using Json = nlohmann::json;

absl::StatusOr<Json> ParseObject(const std::string& what, const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(what, " of the sample request must be a JSON object"));
  }
  return json;
}

FieldValue ToFieldValue(const Json& json, bool with_items) {
  FieldValue value;
  switch (json.type()) {
    case Json::value_t::null:
    case Json::value_t::discarded:
      value.kind = FieldValue::Kind::kNull;
      break;
    case Json::value_t::boolean:
      value.kind = FieldValue::Kind::kBool;
      value.boolean = json.get<bool>();
      break;
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
    case Json::value_t::number_float:
      value.kind = FieldValue::Kind::kNumber;
      value.number = json.get<double>();
      break;
    case Json::value_t::string:
      value.kind = FieldValue::Kind::kString;
      value.text = json.get_ref<const std::string&>();
      break;
    case Json::value_t::array:
      value.kind = FieldValue::Kind::kArray;
      if (with_items) {
        for (const Json& item : json) value.items.push_back(ToFieldValue(item, false));
      }
      break;
    case Json::value_t::object:
    case Json::value_t::binary:
      value.kind = FieldValue::Kind::kObject;
      break;
  }
  return value;
}

// A positive integer at `key`, 0 when absent; anything else is the client's fault.
absl::StatusOr<int64_t> PositiveInteger(const Json& body, const char* key) {
  const auto found = body.find(key);
  if (found == body.end()) return 0;
  if (!found->is_number_integer() || found->get<int64_t>() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("body.", key, " of the sample request must be a positive integer"));
  }
  return found->get<int64_t>();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SampleRequestView>> SampleRequestView::Parse(const v1::SampleRequest& request,
                                                                            const std::string& route_name) {
  std::unique_ptr<SampleRequestView> view(new SampleRequestView());
  std::string body = request.body_json();
  if (body.empty()) {
    body = Json{{"model", absl::StrCat("dynamic/", route_name)},
                {"messages", Json::array({Json{{"role", "user"}, {"content", "Hello"}}})}}
               .dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (body.size() > kRequestBodyBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sample's body is larger than ", kRequestBodyBytesMax, " bytes"));
  }
  ASSIGN_OR_RETURN(view->body_, ParseObject("the body", body));
  view->body_bytes_ = static_cast<int64_t>(body.size());
  ASSIGN_OR_RETURN(const int64_t choices, PositiveInteger(view->body_, "n"));
  view->choices_ = std::max<int64_t>(choices, 1);
  for (const char* key : {"max_tokens", "max_completion_tokens"}) {
    ASSIGN_OR_RETURN(const int64_t cap, PositiveInteger(view->body_, key));
    if (cap > 0 && (view->output_cap_ == 0 || cap < view->output_cap_)) view->output_cap_ = cap;
  }
  for (const auto& [name, value] : request.headers()) view->headers_[absl::AsciiStrToLower(name)] = value;

  if (!request.metadata_json().empty()) {
    ASSIGN_OR_RETURN(const Json own, ParseObject("the metadata", request.metadata_json()));
    RETURN_IF_ERROR(view->MergeMetadata("the metadata", own));
  }
  const auto header = view->headers_.find("cf-aig-metadata");
  const auto alias = view->headers_.find("signalbox-metadata");
  if (header != view->headers_.end() && alias != view->headers_.end()) {
    return absl::InvalidArgumentError("the sample has both cf-aig-metadata and signalbox-metadata; send one");
  }
  const auto chosen = header != view->headers_.end() ? header : alias;
  if (chosen != view->headers_.end()) {
    ASSIGN_OR_RETURN(const Json from_header, ParseObject(chosen->first, chosen->second));
    RETURN_IF_ERROR(view->MergeMetadata(chosen->first, from_header));
  }
  if (const auto from_body = view->body_.find("metadata"); from_body != view->body_.end() && !from_body->is_null()) {
    if (!from_body->is_object())
      return absl::InvalidArgumentError("body.metadata of the sample request must be an object");
    RETURN_IF_ERROR(view->MergeMetadata("body.metadata", *from_body));
  }
  if (view->metadata_.size() > static_cast<size_t>(kMetadataEntriesMax)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the sample has more than ", kMetadataEntriesMax, " metadata entries"));
  }
  return view;
}

// Key by key; what is there already is stronger.
absl::Status SampleRequestView::MergeMetadata(const std::string& what, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string() && !value.is_number() && !value.is_boolean()) {
      return absl::InvalidArgumentError(
          absl::StrCat(what, " of the sample request: ", Quoted(key), " must be a string, a number or a boolean"));
    }
    if (!metadata_.contains(key)) metadata_[key] = value;
  }
  return absl::OkStatus();
}

FieldValue SampleRequestView::Get(const v1::FieldRef& field) const {
  if (field.path().empty()) return {};
  if (field.root() == v1::FieldRef::HEADERS) {
    const auto found = headers_.find(field.path(0));
    FieldValue value;
    if (found == headers_.end()) return value;
    value.kind = FieldValue::Kind::kString;
    value.text = found->second;
    return value;
  }
  const Json* at = field.root() == v1::FieldRef::METADATA ? &metadata_ : &body_;
  for (const std::string& name : field.path()) {
    if (at->is_array()) {
      size_t index = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
      if (error != std::errc() || end != name.data() + name.size() || index >= at->size()) return {};
      at = &(*at)[index];
      continue;
    }
    if (!at->is_object()) return {};
    const auto found = at->find(name);
    if (found == at->end()) return {};
    at = &*found;
  }
  return ToFieldValue(*at, true);
}

}  // namespace signalbox
