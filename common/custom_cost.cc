#include "common/custom_cost.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace signalbox {
namespace {

using Json = nlohmann::json;

constexpr int kTokenToMillionNanos = 15;                    // dollars a token to nano-dollars a million tokens
constexpr int64_t kCustomNanosMax = 1'000'000'000'000'000;  // a dollar a token
constexpr const char* kFields[] = {"per_token_in", "per_token_out", "per_cache_read_token", "per_cache_write_token"};
constexpr int kFieldsRequired = 2;

// One flat object of numbers, each with the text it was written in.
class CostReader final : public nlohmann::json_sax<Json> {
 public:
  absl::Status status;
  std::optional<int64_t> amounts[std::size(kFields)];

  bool null() override { return NotANumber(); }
  bool boolean(bool) override { return NotANumber(); }
  bool string(std::string&) override { return NotANumber(); }
  bool binary(binary_t&) override { return NotANumber(); }
  bool number_integer(number_integer_t value) override { return Number(absl::StrCat(value)); }
  bool number_unsigned(number_unsigned_t value) override { return Number(absl::StrCat(value)); }
  bool number_float(number_float_t, const std::string& text) override { return Number(text); }
  bool start_object(size_t) override { return in_object_ ? NotANumber() : (in_object_ = true); }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return NotANumber(); }
  bool end_array() override { return true; }
  bool key(std::string& name) override {
    const auto* found = std::find(std::begin(kFields), std::end(kFields), name);
    if (found == std::end(kFields)) return Fault(absl::StrCat("\"", name, "\" is not a known field"));
    field_ = static_cast<size_t>(found - std::begin(kFields));
    return !amounts[field_].has_value() || Fault(absl::StrCat("\"", name, "\" is there twice"));
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return Fault("it is not JSON");
  }

 private:
  bool Number(const std::string& text) {
    if (!in_object_) return NotANumber();
    const absl::StatusOr<int64_t> nanos = ScaleDecimal(text, kTokenToMillionNanos);
    if (nanos.ok() && *nanos <= kCustomNanosMax) {
      amounts[field_] = *nanos;
      return true;
    }
    return Fault(absl::StrCat("\"", kFields[field_], "\" must be dollars a token from 0 to 1, not ", text));
  }
  bool NotANumber() {
    if (!in_object_) return Fault("it is not a JSON object");
    return Fault(absl::StrCat("\"", kFields[field_], "\" must be a number of dollars a token"));
  }
  bool Fault(const std::string& what) {
    status = absl::InvalidArgumentError(absl::StrCat("the custom cost: ", what));
    return false;
  }

  bool in_object_ = false;
  size_t field_ = 0;
};

}  // namespace

absl::StatusOr<int64_t> ScaleDecimal(std::string_view number, int places) {
  const absl::Status bad = absl::InvalidArgumentError("must be a number that is 0 or more");
  const size_t e = number.find_first_of("eE");
  int64_t exponent = places;
  if (e != std::string_view::npos) {
    std::string_view digits = number.substr(e + 1);
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    if (digits.empty() || digits.size() > 6) return bad;
    int64_t value = 0;
    for (const char c : digits) {
      if (c < '0' || c > '9') return bad;
      value = value * 10 + (c - '0');
    }
    exponent += negative ? -value : value;
  }
  // The value is `digits` × 10^exponent; digits past the last place that counts only round.
  std::string digits;
  bool point = false;
  for (const char c : number.substr(0, e)) {
    if (c == '.' && !point) {
      point = true;
    } else if (c >= '0' && c <= '9') {
      digits += c;
      exponent -= point ? 1 : 0;
    } else {
      return bad;
    }
  }
  if (digits.empty()) return bad;
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  const int64_t kept = static_cast<int64_t>(digits.size()) + std::min<int64_t>(exponent, 0);
  const bool round_up = exponent < 0 && kept >= 0 && digits[static_cast<size_t>(kept)] >= '5';
  if (exponent < 0) digits.resize(static_cast<size_t>(std::max<int64_t>(kept, 0)));
  if (digits.empty()) return round_up ? 1 : 0;
  constexpr int64_t kDigitsMax = 18;
  if (static_cast<int64_t>(digits.size()) + std::max<int64_t>(exponent, 0) > kDigitsMax) {
    return absl::OutOfRangeError("is too large");
  }
  int64_t value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  for (int64_t i = 0; i < exponent; ++i) value *= 10;
  return value + (round_up ? 1 : 0);
}

absl::StatusOr<CustomCost> ParseCustomCost(std::string_view json) {
  if (json.size() > kCustomCostBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat("the custom cost: it is over ", kCustomCostBytesMax, " bytes"));
  }
  CostReader reader;
  const bool read = Json::sax_parse(json.begin(), json.end(), &reader);
  RETURN_IF_ERROR(reader.status);
  if (!read) return absl::InvalidArgumentError("the custom cost: it is not JSON");
  for (int i = 0; i < kFieldsRequired; ++i) {
    if (!reader.amounts[i].has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("the custom cost: \"", kFields[i], "\" is missing"));
    }
  }
  return CustomCost{*reader.amounts[0], *reader.amounts[1], reader.amounts[2], reader.amounts[3]};
}

v1::ModelPrice CustomPrice(const CustomCost& cost, const v1::ModelPrice& price) {
  v1::ModelPrice custom;
  custom.set_provider(price.provider());
  custom.set_model(price.model());
  custom.set_max_output_tokens(price.max_output_tokens());
  custom.set_cap_field(price.cap_field());
  if (price.has_image_tokens_max()) custom.set_image_tokens_max(price.image_tokens_max());
  if (price.has_audio_tokens_max()) custom.set_audio_tokens_max(price.audio_tokens_max());
  if (price.has_file_tokens_max()) custom.set_file_tokens_max(price.file_tokens_max());
  custom.set_source("cf-aig-custom-cost");
  custom.set_input_nanos_per_mtok(cost.input);
  custom.set_output_nanos_per_mtok(cost.output);
  if (cost.cached_input.has_value()) custom.set_cached_input_nanos_per_mtok(*cost.cached_input);
  if (cost.cache_write.has_value()) custom.set_cache_write_nanos_per_mtok(*cost.cache_write);
  return custom;
}

}  // namespace signalbox
