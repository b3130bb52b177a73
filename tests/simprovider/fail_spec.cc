#include "tests/simprovider/fail_spec.h"

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace signalbox::sim {
namespace {

struct Action {
  std::string_view name;
  Failure failure;
  int default_value;
  bool needs_value;
};

constexpr Action kActions[] = {
    {"status", Failure::kStatus, 0, true},
    {"hang", Failure::kHang, 0, false},
    {"reset", Failure::kReset, 0, false},
    {"cut", Failure::kCut, 2, false},
    {"stall_after", Failure::kStallAfter, 0, true},
    {"error_event", Failure::kErrorEvent, 2, false},
    {"malformed", Failure::kMalformed, 0, false},
    {"no_usage", Failure::kNoUsage, 0, false},
    {"zero_usage", Failure::kZeroUsage, 0, false},
    {"latency_ms", Failure::kLatency, 0, true},
    {"billed_status", Failure::kBilledStatus, 0, true},
    {"cut_at_end", Failure::kCutAtEnd, 0, false},
    {"stall_at_end", Failure::kStallAtEnd, 0, false},
    {"reset_after", Failure::kResetAfter, 0, false},
};

absl::Status Wrong(std::string_view rule, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--fail: rule \"", std::string(rule), "\": ", std::string(why)));
}

bool ParseNumber(std::string_view text, int64_t& number) {
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &number) && number >= 0;
}

absl::StatusOr<Fate> ParseAction(std::string_view rule, std::string_view text) {
  int64_t value = 0;
  if (ParseNumber(text, value)) text = "status";  // a bare 503
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const bool has_value = equals != std::string_view::npos;
  if (has_value && !ParseNumber(text.substr(equals + 1), value)) return Wrong(rule, "the value is not a number");
  for (const Action& action : kActions) {
    if (action.name != name) continue;
    if (action.failure == Failure::kStatus || action.failure == Failure::kBilledStatus) {
      if (value < 400 || value > 599) return Wrong(rule, "a status is 400 to 599");
    } else if (action.needs_value && !has_value) {
      return Wrong(rule, "this action needs a value, as in stall_after=3");
    } else if (!has_value) {
      value = action.default_value;
    }
    if (value > 3'600'000) return Wrong(rule, "the value is too large");
    return Fate{action.failure, static_cast<int>(value)};
  }
  return Wrong(rule,
               "unknown action (known: status=N, hang, reset, cut[=N], stall_after=N, error_event[=N], malformed, "
               "no_usage, zero_usage, latency_ms=N, billed_status=N, cut_at_end, stall_at_end, reset_after)");
}

// What stands after a plus sign.
absl::Status ParseMore(std::string_view rule, std::string_view text, Fate& fate) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  int64_t value = 0;
  if (equals == std::string_view::npos || !ParseNumber(text.substr(equals + 1), value) || value > 3'600'000) {
    return Wrong(rule, "after a plus sign stands retry_after=SECONDS, retry_after_ms=N or latency_ms=N");
  }
  if (name == "latency_ms") {
    fate.latency_ms = static_cast<int>(value);
  } else if (name == "retry_after" && value <= 3'600) {
    fate.retry_after_ms = static_cast<int>(value * 1'000);
  } else if (name == "retry_after_ms") {
    fate.retry_after_ms = static_cast<int>(value);
    fate.in_seconds = false;
  } else {
    return Wrong(rule, "after a plus sign stands retry_after=SECONDS, retry_after_ms=N or latency_ms=N");
  }
  return absl::OkStatus();
}

}  // namespace

bool FailSpec::TakeScope(std::string_view scope, Rule& rule) {
  const auto after = [scope](std::string_view name) {
    return scope.size() > name.size() && scope.substr(0, name.size()) == name ? scope.substr(name.size())
                                                                              : std::string_view();
  };
  if (scope == "stream" || scope == "unary") {
    rule.kind = scope == "stream" ? Kind::kStream : Kind::kUnary;
    return true;
  }
  if (!after("model=").empty()) {
    rule.model = std::string(after("model="));
    return true;
  }
  if (!after("format=").empty()) {
    rule.format = std::string(after("format="));
    return true;
  }
  if (!after("first=").empty()) return ParseNumber(after("first="), rule.first);
  return ParseNumber(after("nth="), rule.nth) && rule.nth > 0;
}

absl::StatusOr<FailSpec::Rule> FailSpec::ParseRule(std::string_view text) {
  Rule rule;
  std::string_view rest = text;
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view share = rest.substr(at + 1);
    if (!absl::SimpleAtod(absl::string_view(share.data(), share.size()), &rule.probability) ||
        !(rule.probability >= 0 && rule.probability <= 1)) {
      return Wrong(text, "what follows @ is a probability from 0 to 1");
    }
    rest = rest.substr(0, at);
  }
  for (size_t colon = rest.find(':'); colon != std::string_view::npos; colon = rest.find(':')) {
    const std::string_view scope = rest.substr(0, colon);
    rest = rest.substr(colon + 1);
    if (!TakeScope(scope, rule)) {
      return Wrong(text, "before a colon stands first=N, model=NAME, nth=N, stream, unary or format=NAME");
    }
  }
  const size_t plus = rest.find('+');
  absl::StatusOr<Fate> fate = ParseAction(text, rest.substr(0, plus));
  if (!fate.ok()) return fate.status();
  rule.fate = *fate;
  for (size_t at = plus; at != std::string_view::npos;) {
    const size_t next = rest.find('+', at + 1);
    const absl::Status more = ParseMore(text, rest.substr(at + 1, next - at - 1), rule.fate);
    if (!more.ok()) return more;
    at = next;
  }
  return rule;
}

absl::StatusOr<FailSpec> FailSpec::Parse(std::string_view spec, uint64_t seed) {
  FailSpec parsed;
  for (absl::string_view piece : absl::StrSplit(absl::string_view(spec.data(), spec.size()), ',', absl::SkipEmpty())) {
    absl::StatusOr<Rule> rule = ParseRule(std::string_view(piece.data(), piece.size()));
    if (!rule.ok()) return rule.status();
    rule->random.seed(seed + parsed.rules_.size() * 0x9e3779b97f4a7c15ULL);
    parsed.rules_.push_back(*std::move(rule));
  }
  return parsed;
}

Fate FailSpec::Next(const Call& call) {
  Rule* decides = nullptr;
  for (Rule& rule : rules_) {
    if (rule.model.empty() ? call.model == kModelsPath : rule.model != call.model) continue;
    if (!rule.format.empty() && rule.format != call.format) continue;
    if (rule.kind != Kind::kBoth && (rule.kind == Kind::kStream) != call.stream) continue;
    if (rule.nth != 0 && rule.nth != call.nth) continue;
    // Drawn even when certain, and when another rule has decided: no rule changes what the others draw.
    const bool hit = std::uniform_real_distribution<double>(0, 1)(rule.random) < rule.probability;
    if (hit && rule.first != 0 && decides == nullptr) decides = &rule;
  }
  if (decides == nullptr) return {};
  if (decides->first > 0) --decides->first;
  return decides->fate;
}

}  // namespace signalbox::sim
