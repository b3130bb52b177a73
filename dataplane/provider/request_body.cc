#include "dataplane/provider/request_body.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "dataplane/provider/body_parts.h"
#include "dataplane/provider/json_dom.h"
#include "dataplane/provider/json_edit.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

constexpr int64_t kChoicesMax = 128;
// A field's array longer than this has no items for a condition to see: it is no list of roles or tags.
constexpr size_t kFieldItemsMax = 4096;
// Finding the offset of a fault is a second, slower pass: not for a body that was made to be slow.
constexpr size_t kLocatedFaultBytesMax = 1 << 20;

enum Owned : size_t { kModel, kStream, kStreamOptions, kChoices, kMetadata, kCap, kSecondCap, kConfig, kOwned };

// What the keys that the gateway owns are called in a format; empty: the format has none.
struct FormatKeys {
  std::array<std::string_view, kOwned> names;
  // The cap and the number of choices inside the object `kConfig`; and what else it would be read as there.
  std::string_view config_cap, config_choices;
  std::array<std::string_view, 3> other_spellings;
};

const FormatKeys& KeysOf(Format format) {
  static constexpr FormatKeys kKeys[] = {
      {{"model", "stream", "stream_options", "n", "metadata", "max_tokens", "max_completion_tokens", ""}},
      {{"model", "stream", "", "", "metadata", "max_tokens", "", ""}},
      {{"model", "stream", "", "", "metadata", "max_output_tokens", "", ""}},
      {{"model", "", "", "", "", "", "", ""}},
      {{"", "", "", "", "", "", "", "generationConfig"},
       "maxOutputTokens",
       "candidateCount",
       {"generation_config", "max_output_tokens", "candidate_count"}},
      {{"", "", "", "", "", "", "", "inferenceConfig"}, "maxTokens", ""},
  };
  return kKeys[static_cast<size_t>(format)];
}

size_t OwnedIndex(const FormatKeys& keys, std::string_view key) {
  if (key.empty()) return kOwned;
  return std::find(keys.names.begin(), keys.names.end(), key) - keys.names.begin();
}

// An owned key's value: where it stands and what it is.
struct OwnedValue {
  JsonRange range;
  dom::element element;
  bool null() const { return element.is_null(); }
};

FieldValue ToField(dom::element element, bool with_items) {
  FieldValue field;
  switch (element.type()) {
    case dom::element_type::NULL_VALUE:
      field.kind = FieldValue::Kind::kNull;
      break;
    case dom::element_type::BOOL:
      field.kind = FieldValue::Kind::kBool;
      field.boolean = element.get_bool().value_unsafe();
      break;
    case dom::element_type::INT64:
      field.kind = FieldValue::Kind::kNumber;
      field.number = static_cast<double>(element.get_int64().value_unsafe());
      break;
    case dom::element_type::UINT64:
      field.kind = FieldValue::Kind::kNumber;
      field.number = static_cast<double>(element.get_uint64().value_unsafe());
      break;
    case dom::element_type::DOUBLE:
      field.kind = FieldValue::Kind::kNumber;
      field.number = element.get_double().value_unsafe();
      break;
    case dom::element_type::STRING:
      field.kind = FieldValue::Kind::kString;
      field.text = element.get_string().value_unsafe();
      break;
    case dom::element_type::OBJECT:
      field.kind = FieldValue::Kind::kObject;
      break;
    case dom::element_type::ARRAY: {
      field.kind = FieldValue::Kind::kArray;
      if (!with_items) break;
      const dom::array items = element.get_array().value_unsafe();
      for (const dom::element item : items) {
        if (field.items.size() == kFieldItemsMax) {
          field.items.clear();
          break;
        }
        field.items.push_back(ToField(item, false));
      }
      break;
    }
  }
  return field;
}

std::optional<dom::element> Step(dom::element at, const std::string& name) {
  dom::object object;
  if (at.get_object().get(object) == simdjson::SUCCESS) return FindLast(object, name);
  dom::array array;
  size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  dom::element item;
  if (at.get_array().get(array) != simdjson::SUCCESS || error != std::errc() || end != name.data() + name.size() ||
      array.at(index).get(item) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  return item;
}

bool IsScalar(dom::element element) {
  return element.type() != dom::element_type::OBJECT && element.type() != dom::element_type::ARRAY;
}

std::string DescribeFault(std::string_view json, simdjson::error_code error) {
  if (json.empty()) return "the body is empty: send a JSON object";
  if (json.substr(0, 3) == "\xEF\xBB\xBF") {
    return "the body begins with a byte order mark, which JSON does not allow (byte 0): send it without";
  }
  if (error == simdjson::CAPACITY || error == simdjson::MEMALLOC) return "the body is too large to be read";
  if (error == simdjson::DEPTH_ERROR) {
    return absl::StrCat("the body is nested more than ", simdjson::DEFAULT_MAX_DEPTH, " levels deep");
  }
  std::string text = absl::StrCat("the body is not valid JSON: ", simdjson::error_message(error));
  if (json.size() <= kLocatedFaultBytesMax) {
    if (const std::optional<size_t> offset = FaultOffset(json)) absl::StrAppend(&text, " (at byte ", *offset, ")");
  }
  return text;
}

// The route's `parameters`, read once per splice. Owned keys are kept apart.
class Parameters {
 public:
  struct Entry {
    std::string_view key;
    std::string_view text;
  };
  Parameters(const FormatKeys& keys, std::string_view json) : keys_(keys) {
    const size_t begin = SkipJsonSpace(json, 0);
    dom::object object;
    if (begin == json.size() || ParseDom(json, json.size(), document_) != simdjson::SUCCESS ||
        document_.root().get_object().get(object) != simdjson::SUCCESS) {
      return;
    }
    size_t insert_at = 0;
    ForEachMember(json, begin, object, insert_at, [&](std::string_view key, dom::element value, JsonRange range) {
      Take(key, value, range.Of(json));
      return true;
    });
  }
  const std::vector<Entry>& entries() const { return entries_; }     // but for what follows
  std::optional<int64_t> output_cap() const { return output_cap_; }  // the least of the two cap fields
  std::optional<int64_t> choices() const { return choices_; }
  const std::optional<Entry>& stream_options() const { return stream_options_; }
  dom::element stream_options_value() const { return stream_options_value_; }

 private:
  void Take(std::string_view key, dom::element value, std::string_view text) {
    int64_t number = 0;
    const bool positive = value.get_int64().get(number) == simdjson::SUCCESS && number > 0;
    // Parameters are a chat completion's, whatever the client speaks: the cap is the one that has no namesake
    // elsewhere.
    if (key == "max_tokens" || key == "max_completion_tokens") {
      if (positive) output_cap_ = std::min(output_cap_.value_or(number), number);
      return;
    }
    switch (OwnedIndex(keys_, key)) {
      case kModel:
      case kStream:
        return;  // the element's model and the client's wish to stream decide
      case kChoices:
        if (positive) choices_ = number;
        return;
      case kStreamOptions:
        stream_options_ = Entry{key, text};
        stream_options_value_ = value;
        return;
      default:
        break;
    }
    const auto same = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.key == key; });
    if (same != entries_.end()) {
      same->text = text;
    } else {
      entries_.push_back({key, text});
    }
  }

  const FormatKeys& keys_;
  dom::document document_;
  std::vector<Entry> entries_;
  std::optional<int64_t> output_cap_;
  std::optional<int64_t> choices_;
  std::optional<Entry> stream_options_;
  dom::element stream_options_value_;
};

class ParsedBody : public RequestBody {
 public:
  ParsedBody(Format format, std::string_view json) : format_(format), keys_(KeysOf(format)), json_(json) {}

  bool Read(size_t readable_bytes, const PathSays& path, BodyFault& fault);

  Format format() const override { return format_; }
  std::string_view model() const override { return model_; }
  bool stream() const override { return stream_; }
  bool client_wants_usage() const override { return client_wants_usage_; }
  int64_t choices() const override { return choices_; }
  std::optional<int64_t> output_cap() const override {
    if (format_ == Format::kEmbeddings) return 1;  // they put nothing out; a cap has to be positive
    if (!caps_[0] || !caps_[1]) return caps_[0] ? caps_[0] : caps_[1];
    return std::min(*caps_[0], *caps_[1]);
  }
  size_t body_bytes() const override { return json_.size(); }
  Parts parts() const override { return parts_; }
  FieldValue Get(const std::vector<std::string>& path) const override;
  std::vector<std::pair<std::string, v1::Scalar>> metadata() const override;
  std::string Splice(const Rewrite& rewrite) const override;

 private:
  bool ReadOwned(const PathSays& path, BodyFault& fault);
  bool ReadModel(const PathSays& path, BodyFault& fault);
  bool ReadPositive(std::optional<dom::element> element, std::string_view key, int64_t max, std::string_view expected,
                    std::optional<int64_t>& value, BodyFault& fault) const;
  bool ReadConfig(BodyFault& fault);
  bool ReadMetadata(BodyFault& fault) const;
  void SpliceCap(const Rewrite& rewrite, const Parameters& parameters, std::vector<JsonEdit>& edits,
                 std::string& added) const;
  void SpliceConfigCap(int64_t cap, std::vector<JsonEdit>& edits, std::string& added) const;
  void SpliceStreamOptions(const Rewrite& rewrite, const Parameters& parameters, std::vector<JsonEdit>& edits,
                           std::string& added) const;
  void SpliceParameters(const Parameters& parameters, std::vector<JsonEdit>& edits, std::string& added) const;

  const Format format_;
  const FormatKeys& keys_;
  std::string_view json_;
  dom::document document_;
  dom::object root_;
  MemberRanges members_;  // of root_
  std::array<std::optional<OwnedValue>, kOwned> owned_;
  std::string model_;
  bool stream_ = false;
  bool client_wants_usage_ = false;
  int64_t choices_ = 1;
  std::array<std::optional<int64_t>, 2> caps_;
  Parts parts_;
};

bool Refuse(BodyFault& fault, std::string code, std::string message, std::string param = "") {
  fault = BodyFault{400, std::move(code), std::move(message), std::move(param)};
  return false;
}

bool RefuseType(BodyFault& fault, std::string_view key, std::string_view expected) {
  return Refuse(fault, "invalid_request", absl::StrCat("\"", std::string(key), "\" must be ", std::string(expected)),
                std::string(key));
}

bool ParsedBody::Read(size_t readable_bytes, const PathSays& path, BodyFault& fault) {
  const simdjson::error_code error = ParseLastingDom(json_, readable_bytes, document_, members_);
  if (error != simdjson::SUCCESS) return Refuse(fault, "invalid_json", DescribeFault(json_, error));
  if (document_.root().get_object().get(root_) != simdjson::SUCCESS) {
    return Refuse(fault, "invalid_json", "the body must be a JSON object");
  }
  auto range = members_.begin();
  for (const dom::key_value_pair field : root_) {
    CountParts(format_, field.key, field.value, parts_);
    const size_t index = OwnedIndex(keys_, field.key);
    if (index != kOwned && owned_[index]) {
      const std::string key(keys_.names[index]);
      return Refuse(fault, "duplicate_key", absl::StrCat("the body has \"", key, "\" twice: send it once"), key);
    }
    if (index != kOwned) owned_[index] = OwnedValue{*range, field.value};
    ++range;
  }
  return ReadOwned(path, fault);
}

bool ParsedBody::ReadModel(const PathSays& path, BodyFault& fault) {
  if (keys_.names[kModel].empty()) {
    model_ = path.model;
    stream_ = path.stream;
    return true;
  }
  if (!path.model.empty()) {
    model_ = path.model;  // as the provider would read it, whatever the body says
    return true;
  }
  if (!owned_[kModel]) {
    return Refuse(fault, "invalid_request", "\"model\" is missing: name a route, as in \"dynamic/my-route\"", "model");
  }
  std::string_view model;
  if (owned_[kModel]->element.get_string().get(model) != simdjson::SUCCESS) {
    return RefuseType(fault, "model", "a string");
  }
  model_ = model;
  return true;
}

bool ParsedBody::ReadPositive(std::optional<dom::element> element, std::string_view key, int64_t max,
                              std::string_view expected, std::optional<int64_t>& value, BodyFault& fault) const {
  if (!element || element->is_null()) return true;
  int64_t number = 0;
  if (element->get_int64().get(number) != simdjson::SUCCESS || number < 1 || number > max) {
    return RefuseType(fault, key, expected);
  }
  value = number;
  return true;
}

// Google's and Bedrock's caps stand in an object of settings. Google reads its members in another spelling too: which
// of two would count is not ours to guess.
bool ParsedBody::ReadConfig(BodyFault& fault) {
  if (keys_.names[kConfig].empty()) return true;
  for (const dom::key_value_pair field : root_) {
    if (!keys_.other_spellings[0].empty() && field.key == keys_.other_spellings[0]) {
      return Refuse(
          fault, "invalid_request",
          absl::StrCat("write \"", std::string(keys_.names[kConfig]), "\" for \"", std::string(field.key), "\""),
          std::string(field.key));
    }
  }
  if (!owned_[kConfig] || owned_[kConfig]->null()) return true;
  dom::object config;
  if (owned_[kConfig]->element.get_object().get(config) != simdjson::SUCCESS) {
    return RefuseType(fault, keys_.names[kConfig], "an object");
  }
  std::vector<std::string_view> seen;
  for (const dom::key_value_pair field : config) {
    const std::string param = absl::StrCat(std::string(keys_.names[kConfig]), ".", std::string(field.key));
    for (const std::string_view spelling : keys_.other_spellings) {
      if (spelling.empty() || field.key != spelling) continue;
      return Refuse(fault, "invalid_request",
                    absl::StrCat("write \"",
                                 spelling == keys_.other_spellings[1] ? std::string(keys_.config_cap)
                                                                      : std::string(keys_.config_choices),
                                 "\" for \"", param, "\""),
                    param);
    }
    if (field.key != keys_.config_cap && field.key != keys_.config_choices) continue;
    if (std::find(seen.begin(), seen.end(), field.key) != seen.end()) {
      return Refuse(fault, "duplicate_key", absl::StrCat("the body has \"", param, "\" twice: send it once"), param);
    }
    seen.push_back(field.key);
  }
  const std::string cap = absl::StrCat(std::string(keys_.names[kConfig]), ".", std::string(keys_.config_cap));
  std::optional<int64_t> choices;
  if (!ReadPositive(FindLast(config, keys_.config_cap), cap, std::numeric_limits<int64_t>::max(), "a positive integer",
                    caps_[0], fault)) {
    return false;
  }
  if (keys_.config_choices.empty()) return true;
  const std::string name = absl::StrCat(std::string(keys_.names[kConfig]), ".", std::string(keys_.config_choices));
  if (!ReadPositive(FindLast(config, keys_.config_choices), name, kChoicesMax,
                    absl::StrCat("an integer from 1 to ", kChoicesMax), choices, fault)) {
    return false;
  }
  choices_ = choices.value_or(1);
  return true;
}

bool ParsedBody::ReadOwned(const PathSays& path, BodyFault& fault) {
  const auto given = [&](Owned key) { return owned_[key] && !owned_[key]->null(); };
  const auto element = [&](Owned key) {
    return owned_[key] ? std::optional<dom::element>(owned_[key]->element) : std::nullopt;
  };
  if (!ReadModel(path, fault)) return false;
  if (given(kStream) && owned_[kStream]->element.get_bool().get(stream_) != simdjson::SUCCESS) {
    return RefuseType(fault, "stream", "true or false");
  }
  client_wants_usage_ = format_ != Format::kChat;
  if (given(kStreamOptions)) {
    dom::object options;
    if (owned_[kStreamOptions]->element.get_object().get(options) != simdjson::SUCCESS) {
      return RefuseType(fault, "stream_options", "an object");
    }
    const std::optional<dom::element> wanted = FindLast(options, "include_usage");
    if (wanted && !wanted->is_null() && wanted->get_bool().get(client_wants_usage_) != simdjson::SUCCESS) {
      return RefuseType(fault, "stream_options.include_usage", "true or false");
    }
  }
  std::optional<int64_t> choices;
  if (!ReadPositive(element(kChoices), "n", kChoicesMax, absl::StrCat("an integer from 1 to ", kChoicesMax), choices,
                    fault)) {
    return false;
  }
  choices_ = choices.value_or(1);
  for (const Owned key : {kCap, kSecondCap}) {
    if (!ReadPositive(element(key), keys_.names[key], std::numeric_limits<int64_t>::max(), "a positive integer",
                      caps_[key - kCap], fault)) {
      return false;
    }
  }
  return ReadConfig(fault) && (!given(kMetadata) || ReadMetadata(fault));
}

bool ParsedBody::ReadMetadata(BodyFault& fault) const {
  dom::object entries;
  if (owned_[kMetadata]->element.get_object().get(entries) != simdjson::SUCCESS) {
    return RefuseType(fault, "metadata", "an object");
  }
  if (entries.size() > static_cast<size_t>(kMetadataEntriesMax)) {
    return RefuseType(fault, "metadata", absl::StrCat("an object of at most ", kMetadataEntriesMax, " entries"));
  }
  std::vector<std::string_view> seen;
  for (const dom::key_value_pair field : entries) {
    const std::string param = absl::StrCat("metadata.", std::string(field.key));
    if (!IsScalar(field.value)) return RefuseType(fault, param, "a string, a number, a boolean or null");
    if (std::find(seen.begin(), seen.end(), field.key) != seen.end()) {
      return Refuse(fault, "duplicate_key", absl::StrCat("the body has \"", param, "\" twice: send it once"), param);
    }
    seen.push_back(field.key);
  }
  return true;
}

FieldValue ParsedBody::Get(const std::vector<std::string>& path) const {
  std::optional<dom::element> at = document_.root();
  for (const std::string& name : path) {
    at = Step(*at, name);
    if (!at) return FieldValue{};
  }
  return ToField(*at, true);
}

std::vector<std::pair<std::string, v1::Scalar>> ParsedBody::metadata() const {
  std::vector<std::pair<std::string, v1::Scalar>> result;
  dom::object entries;
  if (!owned_[kMetadata] || owned_[kMetadata]->element.get_object().get(entries) != simdjson::SUCCESS) return result;
  for (const dom::key_value_pair field : entries) {
    const FieldValue value = ToField(field.value, false);
    v1::Scalar scalar;
    switch (value.kind) {
      case FieldValue::Kind::kBool:
        scalar.set_bool_value(value.boolean);
        break;
      case FieldValue::Kind::kNumber:
        scalar.set_number_value(value.number);
        break;
      case FieldValue::Kind::kString:
        scalar.set_string_value(std::string(value.text));
        break;
      default:
        scalar.set_null_value(true);
        break;
    }
    result.emplace_back(std::string(field.key), std::move(scalar));
  }
  return result;
}

void ParsedBody::SpliceConfigCap(int64_t cap, std::vector<JsonEdit>& edits, std::string& added) const {
  if (caps_[0] && *caps_[0] <= cap) return;
  dom::object config;
  if (!owned_[kConfig] || owned_[kConfig]->element.get_object().get(config) != simdjson::SUCCESS) {
    const std::string text = absl::StrCat("{", QuoteJson(keys_.config_cap), ":", cap, "}");
    if (owned_[kConfig]) {
      edits.push_back({owned_[kConfig]->range, text});  // the client wrote null there
    } else {
      AddMember(added, keys_.names[kConfig], text);
    }
    return;
  }
  const JsonRange range = owned_[kConfig]->range;
  edits.push_back({range, WithMember(range.Of(json_), config, keys_.config_cap, absl::StrCat(cap))});
}

void ParsedBody::SpliceCap(const Rewrite& rewrite, const Parameters& parameters, std::vector<JsonEdit>& edits,
                           std::string& added) const {
  std::optional<int64_t> cap = rewrite.output_cap;
  if (parameters.output_cap()) cap = std::min(cap.value_or(*parameters.output_cap()), *parameters.output_cap());
  if (!cap || format_ == Format::kEmbeddings) return;
  if (!keys_.config_cap.empty()) return SpliceConfigCap(*cap, edits, added);
  bool written = false;
  for (const Owned key : {kCap, kSecondCap}) {
    const std::optional<int64_t>& clients = caps_[key - kCap];
    if (!clients) continue;
    written = true;
    if (*cap < *clients) edits.push_back({owned_[key]->range, absl::StrCat(*cap)});
  }
  if (written) return;
  std::string field(keys_.names[kCap]);
  if (format_ == Format::kChat) field = rewrite.cap_field.empty() ? Rewrite().cap_field : rewrite.cap_field;
  const size_t index = OwnedIndex(keys_, field);
  if (index != kOwned && owned_[index]) {
    edits.push_back({owned_[index]->range, absl::StrCat(*cap)});  // the client wrote null there
  } else {
    AddMember(added, field, absl::StrCat(*cap));
  }
}

void ParsedBody::SpliceStreamOptions(const Rewrite& rewrite, const Parameters& parameters, std::vector<JsonEdit>& edits,
                                     std::string& added) const {
  if (!stream_ || format_ != Format::kChat) return;  // providers refuse stream_options without a stream
  const std::optional<OwnedValue>& clients = owned_[kStreamOptions];
  std::string_view before = clients ? clients->range.Of(json_) : std::string_view();
  dom::element value = clients ? clients->element : dom::element();
  bool present = clients.has_value();
  if (parameters.stream_options()) {
    before = parameters.stream_options()->text;
    value = parameters.stream_options_value();
    present = true;
  }
  std::string after(before);
  dom::object options;
  if (rewrite.request_usage) {
    after = present && value.get_object().get(options) == simdjson::SUCCESS
                ? WithMember(before, options, "include_usage", "true")
                : "{\"include_usage\":true}";
  }
  if (clients) {
    if (after != clients->range.Of(json_)) edits.push_back({clients->range, std::move(after)});
  } else if (!after.empty()) {
    AddMember(added, keys_.names[kStreamOptions], after);
  }
}

void ParsedBody::SpliceParameters(const Parameters& parameters, std::vector<JsonEdit>& edits,
                                  std::string& added) const {
  if (owned_[kChoices] && parameters.choices() && *parameters.choices() < choices_) {
    edits.push_back({owned_[kChoices]->range, absl::StrCat(*parameters.choices())});
  }
  if (parameters.entries().empty()) return;
  std::vector<bool> replaced(parameters.entries().size());
  auto range = members_.begin();
  for (const dom::key_value_pair field : root_) {
    for (size_t i = 0; i < replaced.size(); ++i) {
      const Parameters::Entry& entry = parameters.entries()[i];
      if (entry.key != field.key) continue;
      edits.push_back({*range, std::string(entry.text)});
      replaced[i] = true;
    }
    ++range;
  }
  for (size_t i = 0; i < replaced.size(); ++i) {
    if (!replaced[i]) AddMember(added, parameters.entries()[i].key, parameters.entries()[i].text);
  }
}

std::string ParsedBody::Splice(const Rewrite& rewrite) const {
  const Parameters parameters(keys_, rewrite.parameters_json);
  std::vector<JsonEdit> edits;
  std::string added;
  if (owned_[kModel] && rewrite.model != model_) edits.push_back({owned_[kModel]->range, QuoteJson(rewrite.model)});
  if (!owned_[kModel] && !keys_.names[kModel].empty()) AddMember(added, keys_.names[kModel], QuoteJson(rewrite.model));
  SpliceCap(rewrite, parameters, edits, added);
  SpliceStreamOptions(rewrite, parameters, edits, added);
  SpliceParameters(parameters, edits, added);
  if (!added.empty()) {
    const size_t at = members_.empty() ? SkipJsonSpace(json_, 0) + 1 : members_.back().end;
    edits.push_back({{at, at}, absl::StrCat(members_.empty() ? "" : ",", added)});
  }
  return ApplyEdits(json_, std::move(edits));
}

}  // namespace

std::unique_ptr<RequestBody> RequestBody::Parse(Format format, std::string_view json, size_t readable_bytes,
                                                const PathSays& path, BodyFault& fault) {
  auto body = std::make_unique<ParsedBody>(format, json);
  if (!body->Read(readable_bytes, path, fault)) return nullptr;
  return body;
}

std::unique_ptr<RequestBody> RequestBody::Parse(std::string_view json, BodyFault& fault) {
  return Parse(Format::kChat, json, json.size(), PathSays(), fault);
}

}  // namespace signalbox
