#include "tests/simprovider/bill.h"

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace signalbox::sim {
namespace {

constexpr int kDecimals = 9;
constexpr int64_t kDollarsMax = 1'000'000;
constexpr int64_t kMillion = 1'000'000;

absl::Status NotDollars(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", std::string(text), "\" is not a price in dollars such as 1.25, with at most nine decimals"));
}

absl::StatusOr<int64_t> PriceOf(const nlohmann::json& model, const std::string& name, const char* kind,
                                const char* otherwise = nullptr) {
  const auto found = model.find(otherwise != nullptr && !model.contains(kind) ? otherwise : kind);
  if (found == model.end() || !found->is_string()) {
    return absl::InvalidArgumentError(
        absl::StrCat("price list: model \"", name, "\": \"", kind, "\" must be a string"));
  }
  absl::StatusOr<int64_t> nanos = ParseDollars(found->get_ref<const std::string&>());
  if (!nanos.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("price list: model \"", name, "\": ", kind, ": ", nanos.status().message()));
  }
  return nanos;
}

}  // namespace

absl::StatusOr<int64_t> ParseDollars(std::string_view text) {
  int64_t whole = 0;
  int64_t fraction = 0;
  int decimals = -1;  // no point yet
  bool any = false;
  for (const char c : text) {
    if (c == '.' && decimals < 0 && any) {
      decimals = 0;
    } else if (c < '0' || c > '9') {
      return NotDollars(text);
    } else if (decimals < 0) {
      whole = whole * 10 + (c - '0');
      any = true;
      if (whole > kDollarsMax) return NotDollars(text);
    } else {
      if (++decimals > kDecimals) return NotDollars(text);
      fraction = fraction * 10 + (c - '0');
    }
  }
  if (!any || decimals == 0) return NotDollars(text);
  for (int i = decimals < 0 ? 0 : decimals; i < kDecimals; ++i) fraction *= 10;
  return whole * 1'000'000'000 + fraction;
}

absl::StatusOr<PriceList> PriceList::Parse(std::string_view json) {
  const nlohmann::json root = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object() || !root.contains("models") || !root["models"].is_object()) {
    return absl::InvalidArgumentError(
        "price list: expected {\"models\": {NAME: {\"input\", \"cached_input\", \"output\"}}}");
  }
  PriceList list;
  for (const auto& [name, model] : root["models"].items()) {
    const absl::StatusOr<int64_t> input = PriceOf(model, name, "input");
    const absl::StatusOr<int64_t> cached = PriceOf(model, name, "cached_input");
    const absl::StatusOr<int64_t> output = PriceOf(model, name, "output");
    const absl::StatusOr<int64_t> write = PriceOf(model, name, "cache_write", "input");
    const absl::StatusOr<int64_t> audio_input = PriceOf(model, name, "audio_input", "input");
    const absl::StatusOr<int64_t> audio_output = PriceOf(model, name, "audio_output", "output");
    for (const absl::Status& status : {input.status(), cached.status(), output.status(), write.status(),
                                       audio_input.status(), audio_output.status()}) {
      if (!status.ok()) return status;
    }
    list.prices_[name] = Price{*input, *cached, *output, *write, *audio_input, *audio_output};
  }
  return list;
}

const Price* PriceList::Find(const std::string& model) const {
  const auto found = prices_.find(model);
  return found == prices_.end() ? nullptr : &found->second;
}

std::vector<std::string> PriceList::Models() const {
  std::vector<std::string> models;
  for (const auto& [model, price] : prices_) models.push_back(model);
  return models;
}

int64_t Cost(const Price& price, const Usage& usage) {
  // Long multiplication by parts: whole millions of tokens first, the rest summed in millionths of a nano-dollar.
  const int64_t counts[] = {usage.input - usage.cached - usage.written - usage.audio_input,
                            usage.cached,
                            usage.written,
                            usage.audio_input,
                            usage.output - usage.audio_output,
                            usage.audio_output};
  const int64_t prices[] = {price.input,       price.cached_input, price.cache_write,
                            price.audio_input, price.output,       price.audio_output};
  int64_t nanos = 0;
  uint64_t millionths = 0;
  for (int i = 0; i < 6; ++i) {
    const int64_t millions = counts[i] / kMillion;
    const int64_t rest = counts[i] % kMillion;
    nanos += millions * prices[i] + rest * (prices[i] / kMillion);
    millionths += static_cast<uint64_t>(rest) * static_cast<uint64_t>(prices[i] % kMillion);
  }
  nanos += static_cast<int64_t>(millionths / kMillion);
  return millionths % kMillion == 0 ? nanos : nanos + 1;
}

BillLine* Bill::At(size_t line) {
  return line < cleared_ || line - cleared_ >= lines_.size() ? nullptr : &lines_[line - cleared_];
}

size_t Bill::Open(std::string request_id, std::string model, bool stream, std::string format) {
  BillLine line;
  line.format = std::move(format);
  ++calls_[request_id];
  line.request_id = std::move(request_id);
  line.priced = prices_.Find(model) != nullptr;
  line.model = std::move(model);
  line.stream = stream;
  lines_.push_back(std::move(line));
  return cleared_ + lines_.size() - 1;
}

void Bill::Charge(size_t line, const Usage& usage) {
  BillLine* entry = At(line);
  if (entry == nullptr) return;
  const Price* price = prices_.Find(entry->model);
  const int64_t cost = price == nullptr ? 0 : Cost(*price, usage);
  total_nanos_ += cost - entry->cost_nanos;
  entry->cost_nanos = cost;
  entry->usage = usage;
}

void Bill::SetStatus(size_t line, int status) {
  if (BillLine* entry = At(line)) entry->status = status;
}

void Bill::SetCompleted(size_t line, bool completed) {
  if (BillLine* entry = At(line)) entry->completed = completed;
}

void Bill::SetTold(size_t line, bool told) {
  if (BillLine* entry = At(line)) entry->told = told;
}

int Bill::CallsOf(const std::string& request_id) const {
  const auto found = calls_.find(request_id);
  return found == calls_.end() ? 0 : found->second;
}

void Bill::Clear() {
  calls_.clear();
  cleared_ += lines_.size();
  lines_.clear();
  total_nanos_ = 0;
}

std::string Bill::ToJson() const {
  nlohmann::ordered_json requests = nlohmann::ordered_json::array();
  for (const BillLine& line : lines_) {
    requests.push_back({{"request_id", line.request_id},
                        {"model", line.model},
                        {"format", line.format},
                        {"input", line.usage.input},
                        {"cached", line.usage.cached},
                        {"output", line.usage.output},
                        {"reasoning", line.usage.reasoning},
                        {"written", line.usage.written},
                        {"audio_input", line.usage.audio_input},
                        {"audio_output", line.usage.audio_output},
                        {"cost_nanos", line.cost_nanos},
                        {"status", line.status},
                        {"stream", line.stream},
                        {"completed", line.completed},
                        {"told", line.told},
                        {"priced", line.priced}});
  }
  const nlohmann::ordered_json bill = {{"total_nanos", total_nanos_}, {"requests", std::move(requests)}};
  return bill.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace signalbox::sim
