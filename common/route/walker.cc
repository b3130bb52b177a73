#include "common/route/walker.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/limits.h"
#include "common/route/condition.h"
#include "common/route/field_ref.h"
#include "common/route/json_tree.h"
#include "common/sha256.h"

namespace signalbox {
namespace {

constexpr uint32_t kShares = 10'000;
constexpr size_t kPathBytesExpected = 96;

// Empty and `identifier` filled, or why the value identifies nobody.
std::string ReadIdentifier(const FieldValue& value, v1::Scalar& identifier) {
  switch (value.kind) {
    case FieldValue::Kind::kMissing:
      return "is missing";
    case FieldValue::Kind::kNull:
      return "is null";
    case FieldValue::Kind::kArray:
    case FieldValue::Kind::kObject:
      return "is neither a string, a number nor a boolean";
    case FieldValue::Kind::kBool:
      identifier.set_bool_value(value.boolean);
      return "";
    case FieldValue::Kind::kNumber:
      if (!std::isfinite(value.number)) return "is not a finite number";
      identifier.set_number_value(value.number == 0 ? 0.0 : value.number);  // -0 is 0
      return "";
    case FieldValue::Kind::kString:
      if (value.text.empty()) return "is empty";
      if (value.text.size() > kIdentifierBytesMax)
        return absl::StrCat("is longer than ", kIdentifierBytesMax, " bytes");
      // Header bytes need not be UTF-8, and a message that carried them would be refused whole by its reader.
      if (!simdjson::validate_utf8(value.text.data(), value.text.size())) return "is not valid UTF-8";
      identifier.set_string_value(std::string(value.text));
      return "";
  }
  return "cannot be read";
}

void AppendLengthPrefixed(std::string& text, std::string_view part) {
  const uint64_t size = part.size();
  for (int shift = 56; shift >= 0; shift -= 8) text.push_back(static_cast<char>(size >> shift));
  text.append(part);
}

uint64_t BigEndian64(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The identifier's bucket in [0, 10000): the same on every proxy and after every restart, unrelated between elements.
uint32_t StickyBucket(const v1::CompiledRoute& route, const v1::CompiledElement& element,
                      const v1::Scalar& identifier) {
  std::string text;
  AppendLengthPrefixed(text, route.gateway());
  AppendLengthPrefixed(text, route.route_id());
  AppendLengthPrefixed(text, element.id());
  if (identifier.kind_case() == v1::Scalar::kStringValue) {
    AppendLengthPrefixed(text, "string");
    AppendLengthPrefixed(text, identifier.string_value());
  } else if (identifier.kind_case() == v1::Scalar::kNumberValue) {
    uint64_t bits = 0;
    const double number = identifier.number_value();
    std::memcpy(&bits, &number, sizeof(bits));
    AppendLengthPrefixed(text, "number");
    AppendLengthPrefixed(text, absl::StrCat(absl::Hex(bits, absl::kZeroPad16)));
  } else {
    AppendLengthPrefixed(text, "bool");
    AppendLengthPrefixed(text, identifier.bool_value() ? "true" : "false");
  }
  return static_cast<uint32_t>(BigEndian64(Sha256(text)) % kShares);
}

// A request's draw at its `ordinal`-th percentage: the first takes the draw itself, later ones a mix of it
// (splitmix64's finaliser), so that two splits on one walk do not go hand in hand.
uint32_t DrawnBucket(uint32_t draw, int ordinal) {
  if (ordinal == 0) return draw % kShares;
  uint64_t x = draw + 0x9E3779B97F4A7C15ULL * static_cast<uint64_t>(ordinal);
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return static_cast<uint32_t>((x ^ (x >> 31)) % kShares);
}

const v1::CompiledElement::Branch& PickBranch(const v1::CompiledElement::Percentage& percentage, uint32_t bucket) {
  uint32_t upto = 0;
  for (const v1::CompiledElement::Branch& branch : percentage.branches()) {
    upto += branch.basis_points();
    if (bucket < upto) return branch;
  }
  return percentage.branches(percentage.branches_size() - 1);  // shares sum to 10,000: not reached
}

}  // namespace

Walker::Walker(const v1::CompiledRoute& route, const RequestView& request, uint32_t draw)
    : route_(&route), request_(&request), draw_(draw) {
  path_.reserve(kPathBytesExpected);
}

Step Walker::Next() { return Advance(0); }

Step Walker::OnLimits(size_t passed) {
  const auto asked = asked_;
  asked_.clear();
  if (asked.empty()) return Refuse(position_, 500, "internal_error", "limits were answered that nobody asked about");
  for (size_t i = 0; i < passed && i < asked.size(); ++i) Take(asked[i], "success");
  if (passed >= asked.size()) {
    last_edge_ = LastEdge::kNone;
    return Advance(at(asked.back()).limit().on_success());
  }
  const v1::CompiledElement& denying = at(asked[passed]);
  if (!denying.limit().has_on_fallback()) {
    return Refuse(asked[passed], 429, "limit_exceeded", absl::StrCat("limit ", Quoted(denying.id()), " is exceeded"));
  }
  Take(asked[passed], "fallback");
  last_edge_ = LastEdge::kLimit;
  return Advance(denying.limit().on_fallback());
}

Step Walker::OnModel(bool answered) {
  const v1::CompiledElement& element = at(position_);
  if (answered) {
    model_answered_ = true;
    Take(position_, "success");
    last_edge_ = LastEdge::kNone;
    return Advance(element.model().on_success());
  }
  if (!element.model().has_on_fallback()) {
    return Refuse(position_, 502, "model_failed",
                  absl::StrCat("model ", Quoted(element.id()), " failed and has no fallback"));
  }
  Take(position_, "fallback");
  last_edge_ = LastEdge::kModel;
  return Advance(element.model().on_fallback());
}

// Up to the next element that needs somebody else's answer. Ends because a checked route has no cycle.
Step Walker::Advance(uint32_t element) {
  while (true) {
    position_ = element;
    const v1::CompiledElement& here = at(element);
    switch (here.kind_case()) {
      case v1::CompiledElement::kStart:
        Take(element, "next");
        element = here.start().next();
        break;
      case v1::CompiledElement::kConditional: {
        const bool holds = EvaluateCondition(here.conditional().condition(), *request_);
        Take(element, holds ? "true" : "false");
        element = holds ? here.conditional().on_true() : here.conditional().on_false();
        break;
      }
      case v1::CompiledElement::kPercentage: {
        uint32_t bucket = 0;
        if (here.percentage().has_sticky_key()) {
          v1::Scalar identifier;
          const std::string problem = ReadIdentifier(request_->Get(here.percentage().sticky_key()), identifier);
          if (!problem.empty()) {
            const std::string field = FieldRefText(here.percentage().sticky_key());
            return Refuse(element, 400, "missing_identifier",
                          absl::StrCat(field, " ", problem, "; percentage ", Quoted(here.id()), " needs it"), field);
          }
          bucket = StickyBucket(*route_, here, identifier);
        } else {
          bucket = DrawnBucket(draw_, percentages_++);
        }
        const v1::CompiledElement::Branch& branch = PickBranch(here.percentage(), bucket);
        Take(element, branch.output());
        element = branch.next();
        break;
      }
      case v1::CompiledElement::kLimit:
        return AskLimits(element);
      case v1::CompiledElement::kModel:
        return CallModel{element};
      case v1::CompiledElement::kEnd:
        return End(here);
      case v1::CompiledElement::KIND_NOT_SET:
        return Refuse(element, 500, "internal_error", absl::StrCat("element ", Quoted(here.id()), " has no kind"));
    }
    last_edge_ = LastEdge::kNone;
  }
}

Step Walker::AskLimits(uint32_t first) {
  CheckLimits ask;
  for (uint32_t element = first; at(element).has_limit(); element = at(element).limit().on_success()) {
    Identifier identifier;
    for (const v1::FieldRef& key : at(element).limit().key()) {
      const std::string problem = ReadIdentifier(request_->Get(key), *identifier.Add());
      if (problem.empty()) continue;
      if (at(element).limit().shadow()) {
        identifier.Clear();
        break;
      }
      const std::string field = FieldRefText(key);
      return Refuse(first, 400, "missing_identifier",
                    absl::StrCat(field, " ", problem, "; limit ", Quoted(at(element).id()), " needs it"), field);
    }
    ask.elements.push_back(element);
    ask.identifiers.push_back(std::move(identifier));
  }
  asked_ = ask.elements;
  return ask;
}

Step Walker::End(const v1::CompiledElement& element) {
  if (model_answered_) {
    Take(position_, "");
    finished_ = true;
    return Finish{.kind = Finish::Kind::kAnswered};
  }
  int status = 403;
  std::string_view code = "no_model";
  std::string message = "the route ends without a model for this request";
  if (last_edge_ == LastEdge::kLimit) {
    status = 429;
    code = "limit_exceeded";
    // The element passed last is the limit that denied.
    message = absl::StrCat("limit ", Quoted(at(trail_.back().element).id()), " is exceeded");
  } else if (last_edge_ == LastEdge::kModel) {
    status = 502;
    code = "model_failed";
    message = absl::StrCat("model ", Quoted(at(trail_.back().element).id()), " failed");
  }
  if (element.end().has_status()) {
    status = element.end().status();
    code = "route_ended";
  }
  if (element.end().has_message()) message = element.end().message();
  return Refuse(position_, status, code, std::move(message));
}

Step Walker::Refuse(uint32_t element, int status, std::string_view code, std::string message, std::string_view param) {
  Take(element, "");
  position_ = element;
  finished_ = true;
  return Finish{.kind = Finish::Kind::kRefused,
                .status = status,
                .code = std::string(code),
                .message = std::move(message),
                .param = std::string(param)};
}

void Walker::Take(uint32_t element, std::string_view output) {
  trail_.push_back({element, output});
  const auto plain = [](char c) { return c > 0x20 && c < 0x7F && c != '/' && c != '%'; };
  if (!path_.empty()) path_.push_back('/');
  const std::string& id = at(element).id();
  if (std::all_of(id.begin(), id.end(), plain)) {
    path_.append(id);
    return;
  }
  for (char c : id) {
    if (plain(c)) {
      path_.push_back(c);
    } else {
      absl::StrAppendFormat(&path_, "%%%02X", static_cast<unsigned char>(c));
    }
  }
}

bool Walker::CanReachModel() const {
  if (finished_) return false;
  if (at(position_).has_model() || !at(position_).limit().reachable_models().empty()) return true;
  return !ReachableModels(*route_, position_).empty();
}

}  // namespace signalbox
