#include "common/price_table.h"

#include <algorithm>
#include <optional>
#include <regex>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/model_price.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

struct Matcher {
  v1::ModelMatch::KindCase kind = v1::ModelMatch::kEquals;
  std::string text;                 // in lower case
  std::optional<std::regex> regex;  // the data uses lookahead, which RE2 has not
  std::vector<Matcher> children;
};

constexpr std::string_view kBlanks = " \t\r\n\f\v";

std::string Lower(std::string_view text) { return absl::AsciiStrToLower(std::string(text)); }

// std::regex unrolls {n} into states, and recurses through those that need no letter.
absl::Status CheckPattern(const std::string& pattern) {
  if (pattern.empty() || pattern.size() > kModelPatternBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("a pattern must have 1 to ", kModelPatternBytesMax, " bytes"));
  }
  int64_t repeats = 1;
  for (size_t i = pattern.find_first_of("{,"); i != std::string::npos; i = pattern.find_first_of("{,", i + 1)) {
    const size_t digits = std::min(pattern.find_first_not_of("0123456789", i + 1), pattern.size()) - i - 1;
    int64_t count = 0;
    if (digits == 0) continue;
    if (digits > 4 || !absl::SimpleAtoi(pattern.substr(i + 1, digits), &count)) count = kPatternRepeatsMax + 1;
    repeats *= std::max<int64_t>(count, 1);
    if (repeats > kPatternRepeatsMax) {
      return absl::InvalidArgumentError(absl::StrCat("pattern \"", pattern, "\" repeats too much"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::regex> CompilePattern(const std::string& pattern) {
  RETURN_IF_ERROR(CheckPattern(pattern));
  try {
    // __polynomial is libstdc++'s: no backtracking, so that no pattern takes exponential time or a frame per letter.
    return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
  } catch (const std::regex_error& error) {
    return absl::InvalidArgumentError(absl::StrCat("pattern \"", pattern, "\" cannot be read: ", error.what()));
  }
}

absl::StatusOr<Matcher> Compile(const v1::ModelMatch& match, int depth, int& nodes);

absl::StatusOr<std::vector<Matcher>> CompileAll(const v1::ModelMatch::List& list, int depth, int& nodes) {
  std::vector<Matcher> matchers;
  for (const v1::ModelMatch& match : list.matches()) {
    ASSIGN_OR_RETURN(Matcher matcher, Compile(match, depth + 1, nodes));
    matchers.push_back(std::move(matcher));
  }
  return matchers;
}

absl::StatusOr<Matcher> Compile(const v1::ModelMatch& match, int depth, int& nodes) {
  if (depth > kModelMatchDepthMax || ++nodes > kModelMatchNodesMax) {
    return absl::InvalidArgumentError("its match is too deep or too large");
  }
  Matcher matcher;
  matcher.kind = match.kind_case();
  switch (match.kind_case()) {
    case v1::ModelMatch::kEquals:
      matcher.text = Lower(match.equals());
      break;
    case v1::ModelMatch::kStartsWith:
      matcher.text = Lower(match.starts_with());
      break;
    case v1::ModelMatch::kEndsWith:
      matcher.text = Lower(match.ends_with());
      break;
    case v1::ModelMatch::kContains:
      matcher.text = Lower(match.contains());
      break;
    case v1::ModelMatch::kRegex: {
      ASSIGN_OR_RETURN(matcher.regex, CompilePattern(match.regex()));
      break;
    }
    case v1::ModelMatch::kAny: {
      ASSIGN_OR_RETURN(matcher.children, CompileAll(match.any(), depth, nodes));
      break;
    }
    case v1::ModelMatch::kAll: {
      ASSIGN_OR_RETURN(matcher.children, CompileAll(match.all(), depth, nodes));
      break;
    }
    case v1::ModelMatch::KIND_NOT_SET:
      return absl::InvalidArgumentError("its match is of a kind that this build does not know");
  }
  return matcher;
}

bool Fits(const Matcher& matcher, const std::string& name) {
  const auto fits = [&name](const Matcher& child) { return Fits(child, name); };
  switch (matcher.kind) {
    case v1::ModelMatch::kEquals:
      return name == matcher.text;
    case v1::ModelMatch::kStartsWith:
      return name.starts_with(matcher.text);
    case v1::ModelMatch::kEndsWith:
      return name.ends_with(matcher.text);
    case v1::ModelMatch::kContains:
      return name.find(matcher.text) != std::string::npos;
    case v1::ModelMatch::kRegex:
      return std::regex_search(name, *matcher.regex);
    case v1::ModelMatch::kAny:
      return std::any_of(matcher.children.begin(), matcher.children.end(), fits);
    case v1::ModelMatch::kAll:
      return std::all_of(matcher.children.begin(), matcher.children.end(), fits);
    case v1::ModelMatch::KIND_NOT_SET:
      break;
  }
  return false;
}

bool IsDigits(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "20250115" is a day that exists, in this century.
bool IsDay(std::string_view text) {
  if (text.size() != 8 || !IsDigits(text) || !text.starts_with("20")) return false;
  const auto number = [&text](size_t from, size_t size) {
    int value = 0;
    for (const char c : text.substr(from, size)) value = value * 10 + (c - '0');
    return value;
  };
  const int year = number(0, 4), month = number(4, 2), day = number(6, 2);
  if (month < 1 || month > 12 || day < 1) return false;
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = year % 4 == 0;  // 2000 too
  return day <= kDays[month - 1] + (month == 2 && leap ? 1 : 0);
}

}  // namespace

struct PriceTable::Content {
  std::vector<v1::ModelPrice> prices;
  std::vector<Matcher> matchers;  // one for each

  const v1::ModelPrice* Find(const std::string& name) const {
    for (size_t i = 0; i < prices.size(); ++i) {
      if (Fits(matchers[i], name)) return &prices[i];
    }
    return nullptr;
  }
};

PriceTable::PriceTable() : content_(std::make_shared<const Content>()) {}

absl::StatusOr<PriceTable> PriceTable::Of(std::vector<v1::ModelPrice> prices) {
  auto content = std::make_shared<Content>();
  for (const v1::ModelPrice& price : prices) {
    v1::ModelMatch match = price.match();
    if (!price.has_match()) match.set_equals(price.model());
    int nodes = 0;
    absl::StatusOr<Matcher> matcher = Compile(match, 0, nodes);
    if (!matcher.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("the price of ", price.provider(), "/", price.model(), ": ",
                                                     std::string(matcher.status().message())));
    }
    content->matchers.push_back(*std::move(matcher));
  }
  content->prices = std::move(prices);
  PriceTable table;
  table.content_ = std::move(content);
  return table;
}

const std::vector<v1::ModelPrice>& PriceTable::prices() const { return content_->prices; }

const v1::ModelPrice* PriceTable::Find(std::string_view model) const {
  if (model.size() > kPricedNameBytesMax) return nullptr;
  const size_t first = model.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return nullptr;
  const std::string name = Lower(model.substr(first, model.find_last_not_of(kBlanks) - first + 1));
  if (const v1::ModelPrice* found = content_->Find(name)) return found;
  const std::string spelled_out = SpellOutDates(name);
  return spelled_out == name ? nullptr : content_->Find(spelled_out);
}

const v1::ModelPrice* PriceTable::FindForTokens(std::string_view model) const {
  const v1::ModelPrice* found = Find(model);
  return found != nullptr && PricesTokens(*found) ? found : nullptr;
}

std::string SpellOutDates(std::string_view name) {
  constexpr size_t kDay = 8;
  std::string result;
  for (size_t i = 0; i < name.size(); ++i) {
    result += name[i];
    if (name[i] != '-' || i + kDay >= name.size() || !IsDay(name.substr(i + 1, kDay))) continue;
    const size_t end = i + 1 + kDay;
    if (end < name.size() && name[end] != '-' && name[end] != ':') continue;
    result.append(name.substr(i + 1, 4)).append("-").append(name.substr(i + 5, 2)).append("-");
    result.append(name.substr(i + 7, 2));
    i = end - 1;
  }
  return result;
}

}  // namespace signalbox
