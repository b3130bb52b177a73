#include "dataplane/translate/chat_json.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

namespace dom = simdjson::dom;

// A parser keeps some 4 bytes of index per byte of the largest text it saw: past this it is not kept.
constexpr size_t kKeptParserBytesMax = 256 << 10;
// Past so many members duplicates are found by an index.
constexpr size_t kIndexedMembers = 16;

Json Convert(dom::element element);

Json ConvertObject(dom::object object) {
  Json::object_t converted;
  // As a vector: the map's own insertion searches from the front each time, which many members make quadratic.
  std::vector<Json::object_t::value_type>& members = converted;
  members.reserve(object.size());
  std::map<std::string_view, size_t> index;
  const bool indexed = object.size() > kIndexedMembers;
  for (const dom::key_value_pair field : object) {
    size_t at = members.size();
    if (indexed) {
      at = index.emplace(field.key, at).first->second;
    } else {
      for (size_t i = 0; i < members.size(); ++i) {
        if (members[i].first == field.key) at = i;
      }
    }
    if (at < members.size()) {
      members[at].second = Convert(field.value);
    } else {
      members.emplace_back(std::string(field.key), Convert(field.value));
    }
  }
  return Json(std::move(converted));
}

// Recursion as deep as simdjson lets a document nest (1,024).
Json Convert(dom::element element) {
  switch (element.type()) {
    case dom::element_type::OBJECT:
      return ConvertObject(element.get_object().value_unsafe());
    case dom::element_type::ARRAY: {
      Json::array_t items;
      const dom::array array = element.get_array().value_unsafe();
      items.reserve(array.size());
      for (const dom::element item : array) items.push_back(Convert(item));
      return Json(std::move(items));
    }
    case dom::element_type::STRING:
      return Json(std::string(element.get_string().value_unsafe()));
    case dom::element_type::INT64:
      return Json(element.get_int64().value_unsafe());
    case dom::element_type::UINT64:
      return Json(element.get_uint64().value_unsafe());
    case dom::element_type::DOUBLE:
      return Json(element.get_double().value_unsafe());
    case dom::element_type::BOOL:
      return Json(element.get_bool().value_unsafe());
    case dom::element_type::NULL_VALUE:
      break;
  }
  return Json(nullptr);
}

Json ChunkHead(const AnswerContext& context, std::string_view object) {
  return Json{{"id", context.id},
              {"object", std::string(object)},
              {"created", context.created_s},
              {"model", context.model},
              {"choices", Json::array()}};
}

std::optional<Json> ParseStrictly(std::string_view text) {
  thread_local std::unique_ptr<dom::parser> parser;
  if (parser == nullptr) parser = std::make_unique<dom::parser>();
  const auto parsed = parser->parse(text.data(), text.size());
  std::optional<Json> value;
  if (parsed.error() == simdjson::SUCCESS) value = Convert(parsed.value_unsafe());
  if (parser->capacity() > kKeptParserBytesMax) parser.reset();
  return value;
}

// The value of "\uXXXX" at the front; -1 when something else stands there.
int EscapedUnit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return -1;
  int unit = 0;
  for (const char c : text.substr(2, 4)) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return -1;
    unit = unit * 16 + (absl::ascii_isdigit(static_cast<unsigned char>(c)) ? c - '0' : (c | 32) - 'a' + 10);
  }
  return unit;
}

// An answer is paid for: what models write that is JSON but past this parser is put in words it takes. Integers past 64
// bits become floating, and halves of surrogate pairs U+FFFD.
std::string Mended(std::string_view text) {
  constexpr size_t kExactDigits = 18;
  std::string mended;
  mended.reserve(text.size() + 16);
  bool in_string = false;
  for (size_t at = 0; at < text.size();) {
    size_t taken = 1;
    std::string_view written;
    if (in_string && text[at] == '\\') {
      const int unit = EscapedUnit(text.substr(at));
      const int next = unit < 0 ? -1 : EscapedUnit(text.substr(at + 6));
      const bool high = unit >= 0xD800 && unit < 0xDC00;
      const bool pair = high && next >= 0xDC00 && next < 0xE000;
      taken = pair ? 12 : unit >= 0 ? 6 : 2;
      if (!pair && unit >= 0xD800 && unit < 0xE000) written = "\\ufffd";
    } else if (text[at] == '"') {
      in_string = !in_string;
    } else if (!in_string && absl::ascii_isdigit(static_cast<unsigned char>(text[at]))) {
      taken = std::min(text.find_first_not_of("0123456789+-.eE", at), text.size()) - at;
    }
    const std::string_view piece = text.substr(at, taken);
    mended += written.empty() ? piece : written;
    const bool number = !in_string && taken > kExactDigits;
    if (number && piece.find_first_not_of("0123456789") == std::string_view::npos) mended += ".0";
    at += taken;
  }
  return mended;
}

}  // namespace

std::optional<Json> ParseJson(std::string_view text) {
  if (std::optional<Json> value = ParseStrictly(text)) return value;
  const std::string mended = Mended(text);
  return mended == text ? std::nullopt : ParseStrictly(mended);
}

std::string DumpJson(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

const Json* Find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    if (name == key) return value.is_null() ? nullptr : &value;
  }
  return nullptr;
}

const Json* FindObject(const Json& object, std::string_view key) {
  const Json* found = Find(object, key);
  return found != nullptr && found->is_object() ? found : nullptr;
}

const Json* FindArray(const Json& object, std::string_view key) {
  const Json* found = Find(object, key);
  return found != nullptr && found->is_array() ? found : nullptr;
}

std::string StringAt(const Json& object, std::string_view key, std::string_view otherwise) {
  const Json* found = Find(object, key);
  return found != nullptr && found->is_string() ? found->get_ref<const std::string&>() : std::string(otherwise);
}

std::optional<int64_t> CountAt(const Json& object, std::string_view key) {
  const Json* found = Find(object, key);
  if (found == nullptr) return std::nullopt;
  if (found->is_number_float()) {
    const double number = found->get<double>();
    constexpr double kExactMax = 9007199254740992.0;  // 2^53
    if (number < 0 || number > kExactMax || number != std::floor(number)) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  if (found->is_number_unsigned() && found->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
  if (!found->is_number_integer() || found->get<int64_t>() < 0) return std::nullopt;
  return found->get<int64_t>();
}

Json ChatUsageJson(const ChatUsage& usage) {
  Json prompt = {{"cached_tokens", usage.cached}};
  if (usage.cache_write > 0) prompt["cache_write_tokens"] = usage.cache_write;
  if (usage.cache_write_1h > 0) prompt["cache_write_1h_tokens"] = usage.cache_write_1h;
  if (usage.audio_input > 0) prompt["audio_tokens"] = usage.audio_input;
  Json completion = {{"reasoning_tokens", usage.reasoning}};
  if (usage.audio_output > 0) completion["audio_tokens"] = usage.audio_output;
  // Peers' figures: added without a sign to overflow.
  const uint64_t total = static_cast<uint64_t>(usage.prompt) + static_cast<uint64_t>(usage.completion);
  return {{"prompt_tokens", usage.prompt},
          {"completion_tokens", usage.completion},
          {"total_tokens", total},
          {"prompt_tokens_details", std::move(prompt)},
          {"completion_tokens_details", std::move(completion)}};
}

Json ChatCompletion(const AnswerContext& context) { return ChunkHead(context, "chat.completion"); }

std::string ChatChunk(const AnswerContext& context, Json delta, Json finish_reason) {
  return ChatChoiceChunk(context,
                         Json{{"index", 0}, {"delta", std::move(delta)}, {"finish_reason", std::move(finish_reason)}});
}

std::string ChatChoiceChunk(const AnswerContext& context, Json choice) {
  Json chunk = ChunkHead(context, "chat.completion.chunk");
  chunk["choices"].push_back(std::move(choice));
  return FormatSse("", DumpJson(chunk));
}

std::string ChatUsageChunk(const AnswerContext& context, const ChatUsage& usage) {
  return ChatUsageChunk(context, ChatUsageJson(usage));
}

std::string ChatUsageChunk(const AnswerContext& context, Json usage) {
  Json chunk = ChunkHead(context, "chat.completion.chunk");
  chunk["usage"] = std::move(usage);
  return FormatSse("", DumpJson(chunk));
}

Json ChatError(int status, std::string_view message, std::string_view type, const Json& code, const Json& original) {
  Json error = {{"message", std::string(message)},
                {"type", std::string(type.empty() ? ErrorTypeOf(status) : type)},
                {"code", code},
                {"param", nullptr}};
  if (!original.is_discarded()) error["provider_error"] = original;
  return {{"error", std::move(error)}};
}

std::string_view ErrorTypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

Json OriginalError(std::string_view body) {
  if (body.empty()) return Json(Json::value_t::discarded);
  if (std::optional<Json> parsed = ParseJson(body)) return *std::move(parsed);
  return Json(std::string(body));
}

std::string ErrorSentence(int status, std::string_view body) {
  constexpr size_t kQuotedBytesMax = 300;
  const absl::string_view stripped = absl::StripAsciiWhitespace(absl::string_view(body.data(), body.size()));
  const std::string_view text(stripped.data(), stripped.size());
  if (text.empty()) return absl::StrCat("the provider answered ", status, " and said nothing");
  return absl::StrCat("the provider answered ", status, ": ", std::string(text.substr(0, kQuotedBytesMax)));
}

BodyFault Unsupported(std::string_view param, std::string_view why) {
  return {400, "unsupported_parameter", absl::StrCat("`", std::string(param), "` ", std::string(why)),
          std::string(param)};
}

BodyFault Invalid(std::string_view param, std::string_view why) {
  return {400, "invalid_request", absl::StrCat("`", std::string(param), "` ", std::string(why)), std::string(param)};
}

std::optional<DataUrl> ParseDataUrl(std::string_view url) {
  constexpr std::string_view kScheme = "data:";
  if (url.size() < kScheme.size() || absl::AsciiStrToLower(std::string(url.substr(0, kScheme.size()))) != kScheme) {
    return std::nullopt;
  }
  url.remove_prefix(kScheme.size());
  const size_t comma = url.find(',');
  if (comma == std::string_view::npos) return std::nullopt;
  std::string_view head = url.substr(0, comma);
  constexpr std::string_view kBase64 = ";base64";
  if (!head.ends_with(kBase64)) return std::nullopt;
  head.remove_suffix(kBase64.size());
  // Parameters (charset) have no place in other formats.
  return DataUrl{head.substr(0, head.find(';')), url.substr(comma + 1)};
}

}  // namespace signalbox
