#include "controlplane/prices/bundled_prices.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "controlplane/prices/genai_prices.h"

namespace signalbox {

extern const std::string_view kBundledCatalogueSource;
extern const std::string_view kBundledCatalogueJson;
extern const std::string_view kModelLimitsJson;

namespace {

constexpr int kDecimalsMax = 9;
constexpr int64_t kPriceDollarsMax = 1'000'000;

template <typename T>
const T& OrDie(const absl::StatusOr<T>& read) {
  if (read.ok()) return *read;
  std::fprintf(stderr, "the prices of this build are broken: %s\n", read.status().ToString().c_str());
  std::abort();
}

}  // namespace

const ModelLimits& BundledModelLimits() {
  static const auto& limits = *new absl::StatusOr<ModelLimits>(ModelLimits::Parse(kModelLimitsJson));
  return OrDie(limits);
}

const PriceCatalogue& BundledCatalogue() {
  static const auto& catalogue = *new absl::StatusOr<PriceCatalogue>(
      ParseGenaiPrices(kBundledCatalogueJson, std::string(kBundledCatalogueSource), BundledModelLimits()));
  return OrDie(catalogue);
}

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

}  // namespace signalbox
