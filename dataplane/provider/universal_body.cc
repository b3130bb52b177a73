#include "dataplane/provider/universal_body.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "dataplane/provider/json_dom.h"
#include "dataplane/provider/json_edit.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

// What an entry's config says is what these headers say.
struct ConfigMember {
  std::string_view name;
  std::string_view header;
};
constexpr std::array<ConfigMember, 6> kConfigMembers = {{{"requestTimeout", "cf-aig-request-timeout"},
                                                         {"maxAttempts", "cf-aig-max-attempts"},
                                                         {"retryDelay", "cf-aig-retry-delay"},
                                                         {"backoff", "cf-aig-backoff"},
                                                         {"cacheTtl", "cf-aig-cache-ttl"},
                                                         {"skipCache", "cf-aig-skip-cache"}}};

BodyFault Invalid(std::string message, std::string param) {
  return BodyFault{400, "invalid_request", std::move(message), std::move(param)};
}

bool IsHeaderName(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

bool IsHeaderValue(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

// A scalar as a header says it; nullopt: it is none.
std::optional<std::string> AsText(dom::element value, std::string_view text) {
  switch (value.type()) {
    case dom::element_type::STRING:
      return std::string(value.get_string().value_unsafe());
    case dom::element_type::BOOL:
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return std::string(text);
    default:
      return std::nullopt;
  }
}

class EntryReader {
 public:
  EntryReader(std::string_view json, std::string at, std::optional<BodyFault>& fault)
      : json_(json), at_(std::move(at)), fault_(fault) {}

  std::optional<UniversalEntry> Read(size_t begin, dom::element value) {
    dom::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) return Fail("", "must be an object"), std::nullopt;
    size_t insert_at = 0;
    ForEachMember(json_, begin, object, insert_at,
                  [&](std::string_view key, dom::element member, JsonRange range) { return Take(key, member, range); });
    if (fault_.has_value()) return std::nullopt;
    for (const auto& [name, missing] :
         {std::pair("provider", entry_.provider.empty()), std::pair("endpoint", entry_.endpoint.empty()),
          std::pair("query", entry_.query.empty())}) {
      if (missing) return Fail(absl::StrCat(".", name), "is missing"), std::nullopt;
    }
    // What an entry's headers say, they say over its config.
    entry_.headers.insert(entry_.headers.end(), own_headers_.begin(), own_headers_.end());
    return std::move(entry_);
  }

 private:
  bool Fail(const std::string& member, const std::string& why) {
    const std::string param = absl::StrCat(at_, member);
    if (!fault_.has_value()) fault_ = Invalid(absl::StrCat(param, " ", why), param);
    return false;
  }

  bool Take(std::string_view key, dom::element value, JsonRange range) {
    const std::string name(key);
    if (std::find(seen_.begin(), seen_.end(), name) != seen_.end()) return Fail("." + name, "is there twice");
    seen_.push_back(name);
    if (key == "provider") return TakeText(name, value, entry_.provider);
    if (key == "endpoint") return TakeText(name, value, entry_.endpoint);
    if (key == "headers") return TakeHeaders(value, range);
    if (key == "config") return TakeConfig(value, range);
    if (key != "query") return Fail("." + name, "is unknown: an entry has provider, endpoint, headers, query, config");
    if (value.type() != dom::element_type::OBJECT) return Fail(".query", "must be an object: the provider's body");
    entry_.query = range.Of(json_);
    return true;
  }

  bool TakeText(const std::string& name, dom::element value, std::string& text) {
    std::string_view view;
    if (value.get_string().get(view) != simdjson::SUCCESS || view.empty()) return Fail("." + name, "must be a text");
    const bool clean = std::all_of(view.begin(), view.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
    if (!clean) return Fail("." + name, "must be printable ASCII without blanks");
    text = std::string(view);
    return true;
  }

  bool TakeHeaders(dom::element value, JsonRange range) {
    dom::object headers;
    if (value.is_null()) return true;
    if (value.get_object().get(headers) != simdjson::SUCCESS) return Fail(".headers", "must be an object");
    size_t insert_at = 0;
    return ForEachMember(json_, range.begin, headers, insert_at,
                         [&](std::string_view key, dom::element member, JsonRange text) {
                           const std::string name = absl::AsciiStrToLower(absl::string_view(key.data(), key.size()));
                           const std::string where = absl::StrCat(".headers.", name);
                           if (!IsHeaderName(name)) return Fail(where, "is no name of a header");
                           const std::optional<std::string> said = AsText(member, text.Of(json_));
                           if (!said.has_value() || !IsHeaderValue(*said)) {
                             return Fail(where, "must be a text that a header can carry");
                           }
                           header_bytes_ += name.size() + said->size();
                           if (header_bytes_ > kRequestHeaderBytesMax) {
                             return Fail(".headers", absl::StrCat("has over ", kRequestHeaderBytesMax, " bytes"));
                           }
                           own_headers_.emplace_back(name, *said);
                           return true;
                         }) &&
           !fault_.has_value();
  }

  bool TakeConfig(dom::element value, JsonRange range) {
    dom::object config;
    if (value.is_null()) return true;
    if (value.get_object().get(config) != simdjson::SUCCESS) return Fail(".config", "must be an object");
    size_t insert_at = 0;
    return ForEachMember(json_, range.begin, config, insert_at,
                         [&](std::string_view key, dom::element member, JsonRange text) {
                           const std::string where = absl::StrCat(".config.", std::string(key));
                           const auto known = std::find_if(kConfigMembers.begin(), kConfigMembers.end(),
                                                           [key](const ConfigMember& m) { return m.name == key; });
                           if (known == kConfigMembers.end()) {
                             return Fail(
                                 where,
                                 "is unknown: config has requestTimeout, maxAttempts, retryDelay, backoff, cacheTtl, "
                                 "skipCache");
                           }
                           const std::optional<std::string> said = AsText(member, text.Of(json_));
                           if (!said.has_value() || !IsHeaderValue(*said))
                             return Fail(where, "must be a number or a text");
                           entry_.headers.emplace_back(std::string(known->header), *said);
                           return true;
                         }) &&
           !fault_.has_value();
  }

  std::string_view json_;
  const std::string at_;
  std::optional<BodyFault>& fault_;
  UniversalEntry entry_;
  std::vector<std::pair<std::string, std::string>> own_headers_;
  std::vector<std::string> seen_;
  size_t header_bytes_ = 0;
};

}  // namespace

std::variant<std::vector<UniversalEntry>, BodyFault> ReadUniversalBody(std::string_view json) {
  dom::document document;
  if (ParseDom(json, json.size(), document) != simdjson::SUCCESS) {
    return BodyFault{400, "invalid_json", "the body is not valid JSON: send an array of calls", ""};
  }
  std::vector<UniversalEntry> entries;
  std::optional<BodyFault> fault;
  size_t at = SkipJsonSpace(json, 0);
  dom::array array;
  if (document.root().get_array().get(array) != simdjson::SUCCESS) {
    std::optional<UniversalEntry> only = EntryReader(json, "[0]", fault).Read(at, document.root());
    if (!only.has_value()) {
      return fault->param == "[0]" ? Invalid("the body must be an array of calls", "") : *fault;
    }
    entries.push_back(*std::move(only));
    return entries;
  }
  if (array.size() == 0 || array.size() > kUniversalEntriesMax) {
    return Invalid(absl::StrCat("the body must be an array of 1 to ", kUniversalEntriesMax, " calls"), "");
  }
  for (const dom::element item : array) {
    at = SkipJsonSpace(json, at + 1);  // behind the bracket, or the comma
    std::optional<UniversalEntry> entry =
        EntryReader(json, absl::StrCat("[", entries.size(), "]"), fault).Read(at, item);
    if (!entry.has_value()) return *fault;
    entries.push_back(*std::move(entry));
    at = SkipJsonSpace(json, SkipJsonValue(json, at));
  }
  return entries;
}

}  // namespace signalbox
