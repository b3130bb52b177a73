#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "dataplane/provider/json_dom.h"
#include "dataplane/provider/json_scan.h"
#include "dataplane/provider/openai_wire.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

constexpr int64_t kChoicesMax = 128;
// A field's array longer than this has no items for a condition to see: it is no list of roles or tags.
constexpr size_t kFieldItemsMax = 4096;
// Finding the offset of a fault is a second, slower pass: not for a body that was made to be slow.
constexpr size_t kLocatedFaultBytesMax = 1 << 20;

enum Owned : size_t { kModel, kStream, kStreamOptions, kChoices, kMetadata, kMaxTokens, kMaxCompletionTokens, kOwned };
constexpr std::array<std::string_view, kOwned> kOwnedKeys = {"model",    "stream",     "stream_options",       "n",
                                                             "metadata", "max_tokens", "max_completion_tokens"};

size_t OwnedIndex(std::string_view key) {
  return std::find(kOwnedKeys.begin(), kOwnedKeys.end(), key) - kOwnedKeys.begin();
}

// An owned key's value: where it stands and what it is.
struct OwnedValue {
  JsonRange range;
  dom::element element;
  bool null() const { return element.is_null(); }
};

// Calls `visit(key, value, range)` for each member of `object`, whose text begins at `begin` of `json`. False when
// text and DOM disagree, which validated text never does.
template <typename Visit>
bool ForEachMember(std::string_view json, size_t begin, dom::object object, size_t& insert_at, const Visit& visit) {
  MemberScanner scanner(json, begin);
  for (const dom::key_value_pair field : object) {
    JsonRange range;
    if (!scanner.Next(range) || !visit(field.key, field.value, range)) return false;
  }
  JsonRange rest;
  if (scanner.Next(rest)) return false;
  insert_at = scanner.insert_at();
  return true;
}

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

// A content part other than text may cost more tokens than it has bytes: a link, or compressed data. Kinds we do not
// know count as files. A part naming several types (a duplicate key) counts as each.
void CountPart(dom::element part, ChatBody::Parts& parts) {
  dom::object object;
  if (part.get_object().get(object) != simdjson::SUCCESS) return;
  bool typed = false;
  for (const dom::key_value_pair field : object) {
    if (field.key != "type") continue;
    typed = true;
    std::string_view type;
    if (field.value.get_string().get(type) != simdjson::SUCCESS) type = "";
    if (type == "text" || type == "input_text" || type == "refusal") continue;
    if (type == "image_url" || type == "input_image") {
      ++parts.images;
    } else if (type == "input_audio") {
      ++parts.audio;
    } else {
      ++parts.files;
    }
  }
  if (!typed) ++parts.files;
}

void CountParts(dom::element messages, ChatBody::Parts& parts) {
  dom::array list;
  if (messages.get_array().get(list) != simdjson::SUCCESS) return;
  for (const dom::element message : list) {
    dom::object fields;
    if (message.get_object().get(fields) != simdjson::SUCCESS) continue;
    for (const dom::key_value_pair field : fields) {
      if (field.key == "audio" && !field.value.is_null()) ++parts.audio;  // an earlier answer, by its id
      if (field.key != "content") continue;
      dom::array content;
      if (field.value.get_array().get(content) == simdjson::SUCCESS) {
        for (const dom::element part : content) CountPart(part, parts);
      } else {
        CountPart(field.value, parts);
      }
    }
  }
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

// One change of the text: `range` becomes `text`. An insertion has an empty range.
struct Edit {
  JsonRange range;
  std::string text;
};

// `edits` do not overlap; an insertion at the end of a replaced range comes behind it.
std::string ApplyEdits(std::string_view json, std::vector<Edit> edits) {
  std::stable_sort(edits.begin(), edits.end(),
                   [](const Edit& a, const Edit& b) { return a.range.begin < b.range.begin; });
  size_t bytes = json.size();
  for (const Edit& edit : edits) bytes += edit.text.size();
  std::string out;
  out.reserve(bytes);
  size_t at = 0;
  for (const Edit& edit : edits) {
    out.append(json.substr(at, edit.range.begin - at)).append(edit.text);
    at = edit.range.end;
  }
  return out.append(json.substr(at));
}

// `text`, a JSON object, with include_usage true and all else kept.
std::string WithIncludeUsage(std::string_view text, dom::object object) {
  std::vector<Edit> edits;
  bool present = false;
  size_t insert_at = 0;
  ForEachMember(text, 0, object, insert_at, [&](std::string_view key, dom::element value, JsonRange range) {
    if (key != "include_usage") return true;
    present = true;
    bool on = false;
    if (value.get_bool().get(on) != simdjson::SUCCESS || !on) edits.push_back({range, "true"});
    return true;
  });
  if (!present) {
    edits.push_back(
        {{insert_at, insert_at}, object.size() == 0 ? "\"include_usage\":true" : ",\"include_usage\":true"});
  }
  return ApplyEdits(text, std::move(edits));
}

// The route's `parameters`, read once per splice. Owned keys are kept apart.
class Parameters {
 public:
  struct Entry {
    std::string_view key;
    std::string_view text;
  };
  explicit Parameters(std::string_view json) {
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
    switch (OwnedIndex(key)) {
      case kModel:
      case kStream:
        return;  // the element's model and the client's wish to stream decide
      case kMaxTokens:
      case kMaxCompletionTokens:
        if (positive) output_cap_ = std::min(output_cap_.value_or(number), number);
        return;
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

  dom::document document_;
  std::vector<Entry> entries_;
  std::optional<int64_t> output_cap_;
  std::optional<int64_t> choices_;
  std::optional<Entry> stream_options_;
  dom::element stream_options_value_;
};

class ParsedChatBody : public ChatBody {
 public:
  explicit ParsedChatBody(std::string_view json) : json_(json) {}

  bool Read(size_t readable_bytes, BodyFault& fault);

  std::string_view model() const override { return model_; }
  bool stream() const override { return stream_; }
  bool client_wants_usage() const override { return client_wants_usage_; }
  int64_t choices() const override { return choices_; }
  std::optional<int64_t> output_cap() const override {
    if (!caps_[0] || !caps_[1]) return caps_[0] ? caps_[0] : caps_[1];
    return std::min(*caps_[0], *caps_[1]);
  }
  size_t body_bytes() const override { return json_.size(); }
  Parts parts() const override { return parts_; }
  FieldValue Get(const std::vector<std::string>& path) const override;
  std::vector<std::pair<std::string, v1::Scalar>> metadata() const override;
  std::string Splice(const Rewrite& rewrite) const override;

 private:
  bool ReadOwned(BodyFault& fault);
  bool ReadMetadata(BodyFault& fault) const;
  void SpliceCap(const Rewrite& rewrite, const Parameters& parameters, std::vector<Edit>& edits,
                 std::string& added) const;
  void SpliceStreamOptions(const Rewrite& rewrite, const Parameters& parameters, std::vector<Edit>& edits,
                           std::string& added) const;
  void SpliceParameters(const Parameters& parameters, std::vector<Edit>& edits, std::string& added) const;

  std::string_view json_;
  dom::document document_;
  dom::object root_;
  size_t root_begin_ = 0;
  size_t insert_at_ = 0;
  std::array<std::optional<OwnedValue>, kOwned> owned_;
  std::string_view model_;
  bool stream_ = false;
  bool client_wants_usage_ = false;
  int64_t choices_ = 1;
  std::array<std::optional<int64_t>, 2> caps_;  // max_tokens, max_completion_tokens
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

bool ParsedChatBody::Read(size_t readable_bytes, BodyFault& fault) {
  const simdjson::error_code error = ParseDom(json_, readable_bytes, document_);
  if (error != simdjson::SUCCESS) return Refuse(fault, "invalid_json", DescribeFault(json_, error));
  if (document_.root().get_object().get(root_) != simdjson::SUCCESS) {
    return Refuse(fault, "invalid_json", "the body must be a JSON object");
  }
  root_begin_ = SkipJsonSpace(json_, 0);
  std::string_view duplicate;
  const bool whole = ForEachMember(json_, root_begin_, root_, insert_at_,
                                   [&](std::string_view key, dom::element value, JsonRange range) {
                                     if (key == "messages") CountParts(value, parts_);
                                     const size_t index = OwnedIndex(key);
                                     if (index == kOwned) return true;
                                     if (owned_[index]) {
                                       duplicate = kOwnedKeys[index];
                                       return false;
                                     }
                                     owned_[index] = OwnedValue{range, value};
                                     return true;
                                   });
  if (!duplicate.empty()) {
    const std::string key(duplicate);
    return Refuse(fault, "duplicate_key", absl::StrCat("the body has \"", key, "\" twice: send it once"), key);
  }
  if (!whole) return Refuse(fault, "invalid_json", "the body is not valid JSON");
  return ReadOwned(fault);
}

bool ParsedChatBody::ReadOwned(BodyFault& fault) {
  const auto given = [&](Owned key) { return owned_[key] && !owned_[key]->null(); };
  if (!owned_[kModel]) {
    return Refuse(fault, "invalid_request", "\"model\" is missing: name a route, as in \"dynamic/my-route\"", "model");
  }
  if (owned_[kModel]->element.get_string().get(model_) != simdjson::SUCCESS) {
    return RefuseType(fault, "model", "a string");
  }
  if (given(kStream) && owned_[kStream]->element.get_bool().get(stream_) != simdjson::SUCCESS) {
    return RefuseType(fault, "stream", "true or false");
  }
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
  if (given(kChoices) && (owned_[kChoices]->element.get_int64().get(choices_) != simdjson::SUCCESS || choices_ < 1 ||
                          choices_ > kChoicesMax)) {
    return RefuseType(fault, "n", absl::StrCat("an integer from 1 to ", kChoicesMax));
  }
  for (const Owned key : {kMaxTokens, kMaxCompletionTokens}) {
    if (!given(key)) continue;
    int64_t cap = 0;
    if (owned_[key]->element.get_int64().get(cap) != simdjson::SUCCESS || cap < 1) {
      return RefuseType(fault, kOwnedKeys[key], "a positive integer");
    }
    caps_[key - kMaxTokens] = cap;
  }
  return !given(kMetadata) || ReadMetadata(fault);
}

bool ParsedChatBody::ReadMetadata(BodyFault& fault) const {
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

FieldValue ParsedChatBody::Get(const std::vector<std::string>& path) const {
  std::optional<dom::element> at = document_.root();
  for (const std::string& name : path) {
    at = Step(*at, name);
    if (!at) return FieldValue{};
  }
  return ToField(*at, true);
}

std::vector<std::pair<std::string, v1::Scalar>> ParsedChatBody::metadata() const {
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

void AddMember(std::string& added, std::string_view key, std::string_view value) {
  if (!added.empty()) added += ',';
  added.append(QuoteJson(key)).append(":").append(value);
}

void ParsedChatBody::SpliceCap(const Rewrite& rewrite, const Parameters& parameters, std::vector<Edit>& edits,
                               std::string& added) const {
  std::optional<int64_t> cap = rewrite.output_cap;
  if (parameters.output_cap()) cap = std::min(cap.value_or(*parameters.output_cap()), *parameters.output_cap());
  if (!cap) return;
  bool written = false;
  for (const Owned key : {kMaxTokens, kMaxCompletionTokens}) {
    const std::optional<int64_t>& clients = caps_[key - kMaxTokens];
    if (!clients) continue;
    written = true;
    if (*cap < *clients) edits.push_back({owned_[key]->range, absl::StrCat(*cap)});
  }
  if (written) return;
  const std::string& field = rewrite.cap_field.empty() ? Rewrite().cap_field : rewrite.cap_field;
  const size_t index = OwnedIndex(field);
  if (index != kOwned && owned_[index]) {
    edits.push_back({owned_[index]->range, absl::StrCat(*cap)});  // the client wrote null there
  } else {
    AddMember(added, field, absl::StrCat(*cap));
  }
}

void ParsedChatBody::SpliceStreamOptions(const Rewrite& rewrite, const Parameters& parameters, std::vector<Edit>& edits,
                                         std::string& added) const {
  if (!stream_) return;  // providers refuse stream_options without a stream
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
    after = present && value.get_object().get(options) == simdjson::SUCCESS ? WithIncludeUsage(before, options)
                                                                            : "{\"include_usage\":true}";
  }
  if (clients) {
    if (after != clients->range.Of(json_)) edits.push_back({clients->range, std::move(after)});
  } else if (!after.empty()) {
    AddMember(added, kOwnedKeys[kStreamOptions], after);
  }
}

void ParsedChatBody::SpliceParameters(const Parameters& parameters, std::vector<Edit>& edits,
                                      std::string& added) const {
  if (parameters.choices() && *parameters.choices() < choices_) {
    edits.push_back({owned_[kChoices]->range, absl::StrCat(*parameters.choices())});
  }
  if (parameters.entries().empty()) return;
  std::vector<bool> replaced(parameters.entries().size());
  size_t insert_at = 0;
  ForEachMember(json_, root_begin_, root_, insert_at, [&](std::string_view key, dom::element, JsonRange range) {
    for (size_t i = 0; i < replaced.size(); ++i) {
      const Parameters::Entry& entry = parameters.entries()[i];
      if (entry.key != key) continue;
      edits.push_back({range, std::string(entry.text)});
      replaced[i] = true;
    }
    return true;
  });
  for (size_t i = 0; i < replaced.size(); ++i) {
    if (!replaced[i]) AddMember(added, parameters.entries()[i].key, parameters.entries()[i].text);
  }
}

std::string ParsedChatBody::Splice(const Rewrite& rewrite) const {
  const Parameters parameters(rewrite.parameters_json);
  std::vector<Edit> edits;
  std::string added;
  if (rewrite.model != model_) edits.push_back({owned_[kModel]->range, QuoteJson(rewrite.model)});
  SpliceCap(rewrite, parameters, edits, added);
  SpliceStreamOptions(rewrite, parameters, edits, added);
  SpliceParameters(parameters, edits, added);
  // The body has a model, so it has a member to follow.
  if (!added.empty()) edits.push_back({{insert_at_, insert_at_}, absl::StrCat(",", added)});
  return ApplyEdits(json_, std::move(edits));
}

}  // namespace

std::unique_ptr<ChatBody> ChatBody::Parse(std::string_view json, BodyFault& fault) {
  return Parse(json, json.size(), fault);
}

std::unique_ptr<ChatBody> ChatBody::Parse(std::string_view json, size_t readable_bytes, BodyFault& fault) {
  auto body = std::make_unique<ParsedChatBody>(json);
  if (!body->Read(readable_bytes, fault)) return nullptr;
  return body;
}

}  // namespace signalbox
