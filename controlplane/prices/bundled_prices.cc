#include "controlplane/prices/bundled_prices.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/status_macros.h"

namespace signalbox {

extern const std::string_view kBundledPricesJson;

namespace {

using Json = nlohmann::json;
using PriceKey = std::pair<std::string, std::string>;

constexpr int kDecimalsMax = 9;
constexpr int64_t kPriceDollarsMax = 1'000'000;
constexpr int64_t kOutputTokensMax = 100'000'000;

// Takes the fields of one entry out of its object; what is left at the end was unknown.
class EntryReader {
 public:
  EntryReader(const Json& entry, std::string where) : entry_(entry), where_(std::move(where)) {}

  absl::StatusOr<std::string> Text(const char* field) {
    seen_.insert(field);
    const auto found = entry_.find(field);
    if (found == entry_.end()) return Fault(field, "is missing");
    if (!found->is_string() || found->get_ref<const std::string&>().empty()) return Fault(field, "must be text");
    return found->get<std::string>();
  }

  absl::StatusOr<int64_t> Dollars(const char* field) {
    ASSIGN_OR_RETURN(const std::string text, Text(field));
    const absl::StatusOr<int64_t> nanos = ParseDollars(text);
    if (!nanos.ok()) return Fault(field, std::string(nanos.status().message()));
    return *nanos;
  }

  absl::StatusOr<int64_t> Count(const char* field) {
    seen_.insert(field);
    const auto found = entry_.find(field);
    if (found == entry_.end()) return Fault(field, "is missing");
    if (!found->is_number_unsigned() || found->get<uint64_t>() == 0 || found->get<uint64_t>() > kOutputTokensMax) {
      return Fault(field, absl::StrCat("must be a whole number from 1 to ", kOutputTokensMax));
    }
    return static_cast<int64_t>(found->get<uint64_t>());
  }

  bool Has(const char* field) const { return entry_.contains(field); }

  absl::Status Finish() const {
    for (const auto& [key, value] : entry_.items()) {
      if (!seen_.contains(key)) return Fault(key, "is not a known field");
    }
    return absl::OkStatus();
  }

  absl::Status Fault(const std::string& field, const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(where_, ": \"", field, "\" ", what));
  }

 private:
  const Json& entry_;
  const std::string where_;
  std::set<std::string> seen_;
};

absl::StatusOr<v1::ModelPrice> ReadEntry(const Json& entry, const std::string& where) {
  if (!entry.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, " must be an object"));
  EntryReader reader(entry, where);
  v1::ModelPrice price;
  ASSIGN_OR_RETURN(*price.mutable_provider(), reader.Text("provider"));
  ASSIGN_OR_RETURN(*price.mutable_model(), reader.Text("model"));
  ASSIGN_OR_RETURN(const int64_t input, reader.Dollars("input"));
  price.set_input_nanos_per_mtok(input);
  ASSIGN_OR_RETURN(const int64_t output, reader.Dollars("output"));
  price.set_output_nanos_per_mtok(output);
  if (reader.Has("cached_input")) {
    ASSIGN_OR_RETURN(const int64_t cached, reader.Dollars("cached_input"));
    price.set_cached_input_nanos_per_mtok(cached);
  }
  if (reader.Has("cache_write")) {
    ASSIGN_OR_RETURN(const int64_t write, reader.Dollars("cache_write"));
    price.set_cache_write_nanos_per_mtok(write);
  }
  if (reader.Has("audio_input")) {
    ASSIGN_OR_RETURN(const int64_t audio, reader.Dollars("audio_input"));
    price.set_audio_input_nanos_per_mtok(audio);
  }
  if (reader.Has("audio_output")) {
    ASSIGN_OR_RETURN(const int64_t audio, reader.Dollars("audio_output"));
    price.set_audio_output_nanos_per_mtok(audio);
  }
  ASSIGN_OR_RETURN(const int64_t max_output, reader.Count("max_output_tokens"));
  price.set_max_output_tokens(max_output);
  ASSIGN_OR_RETURN(*price.mutable_cap_field(), reader.Text("cap_field"));
  if (price.cap_field() != "max_tokens" && price.cap_field() != "max_completion_tokens") {
    return reader.Fault("cap_field", "must be max_tokens or max_completion_tokens");
  }
  if (reader.Has("image_tokens_max")) {
    ASSIGN_OR_RETURN(const int64_t tokens, reader.Count("image_tokens_max"));
    price.set_image_tokens_max(tokens);
  }
  if (reader.Has("audio_tokens_max")) {
    ASSIGN_OR_RETURN(const int64_t tokens, reader.Count("audio_tokens_max"));
    price.set_audio_tokens_max(tokens);
  }
  if (reader.Has("file_tokens_max")) {
    ASSIGN_OR_RETURN(const int64_t tokens, reader.Count("file_tokens_max"));
    price.set_file_tokens_max(tokens);
  }
  ASSIGN_OR_RETURN(*price.mutable_source(), reader.Text("source"));
  RETURN_IF_ERROR(reader.Finish());
  return price;
}

const std::map<PriceKey, v1::ModelPrice>& Bundled() {
  static const auto* const prices = [] {
    const absl::StatusOr<std::vector<v1::ModelPrice>> parsed = ParsePriceFile(kBundledPricesJson);
    if (!parsed.ok()) {
      std::fprintf(stderr, "the price file of this build is broken: %s\n", parsed.status().ToString().c_str());
      std::abort();
    }
    auto* by_key = new std::map<PriceKey, v1::ModelPrice>;
    for (const v1::ModelPrice& price : *parsed) by_key->insert({{price.provider(), price.model()}, price});
    return by_key;
  }();
  return *prices;
}

}  // namespace

absl::StatusOr<int64_t> ParseDollars(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("must be dollars in decimal text such as \"1.25\", not \"", std::string(text), "\""));
  const size_t point = text.find('.');
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = point == std::string_view::npos ? "" : text.substr(point + 1);
  if (whole.empty() || whole.size() > 7 || fraction.size() > kDecimalsMax) return bad;
  if (point != std::string_view::npos && fraction.empty()) return bad;
  if (whole.size() > 1 && whole[0] == '0') return bad;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(whole.begin(), whole.end(), is_digit)) return bad;
  if (!std::all_of(fraction.begin(), fraction.end(), is_digit)) return bad;
  int64_t nanos = 0;
  for (const char c : whole) nanos = nanos * 10 + (c - '0');
  for (int i = 0; i < kDecimalsMax; ++i) {
    nanos = nanos * 10 + (static_cast<size_t>(i) < fraction.size() ? fraction[i] - '0' : 0);
  }
  if (nanos > kPriceDollarsMax * kNanosPerDollar) return bad;
  return nanos;
}

absl::StatusOr<std::vector<v1::ModelPrice>> ParsePriceFile(std::string_view json) {
  const Json file = Json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (file.is_discarded()) return absl::InvalidArgumentError("the price file is not JSON");
  if (!file.is_object() || !file.contains("prices") || !file["prices"].is_array()) {
    return absl::InvalidArgumentError("the price file must be an object with a list named \"prices\"");
  }
  for (const auto& [key, value] : file.items()) {
    if (key != "about" && key != "as_of" && key != "prices") {
      return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is not a known field of a price file"));
    }
  }
  std::map<PriceKey, v1::ModelPrice> by_key;
  for (size_t i = 0; i < file["prices"].size(); ++i) {
    const std::string where = absl::StrCat("prices[", i, "]");
    ASSIGN_OR_RETURN(const v1::ModelPrice price, ReadEntry(file["prices"][i], where));
    if (!by_key.insert({{price.provider(), price.model()}, price}).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ": ", price.provider(), "/", price.model(), " is there twice"));
    }
  }
  std::vector<v1::ModelPrice> prices;
  for (const auto& [key, price] : by_key) prices.push_back(price);
  return prices;
}

std::optional<v1::ModelPrice> BundledPrice(const std::string& provider, const std::string& model) {
  const auto found = Bundled().find({provider, model});
  if (found == Bundled().end()) return std::nullopt;
  return found->second;
}

std::vector<v1::ModelPrice> BundledPrices() {
  std::vector<v1::ModelPrice> prices;
  for (const auto& [key, price] : Bundled()) prices.push_back(price);
  return prices;
}

}  // namespace signalbox
