#include "tests/integration/books.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/testing/eventually.h"

namespace signalbox {
namespace {

using nlohmann::json;

std::string Nanos(const std::string& dollars) {
  const size_t point = dollars.find('.');
  std::string fraction = point == std::string::npos ? "" : dollars.substr(point + 1);
  fraction.resize(9, '0');
  const std::string digits = dollars.substr(0, point) + fraction;
  const size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

}  // namespace

std::string PriceFile(const std::vector<OddPrice>& prices) {
  json models = json::object();
  for (const OddPrice& price : prices) {
    models[price.model] = {
        {"input", price.input},   {"cached_input", price.cached_input}, {"cache_write", price.cache_write},
        {"output", price.output}, {"audio_input", price.audio_input},   {"audio_output", price.audio_output}};
  }
  return json{{"models", models}}.dump();
}

void SetPrices(Stack& stack, const std::vector<OddPrice>& prices, const std::string& provider) {
  for (const OddPrice& price : prices) {
    stack.Api("PUT", absl::StrCat("/v1/gateways/default/prices/", provider, "/", price.model),
              {{"price",
                {{"inputNanosPerMtok", Nanos(price.input)},
                 {"cachedInputNanosPerMtok", Nanos(price.cached_input)},
                 {"cacheWriteNanosPerMtok", Nanos(price.cache_write)},
                 {"outputNanosPerMtok", Nanos(price.output)},
                 {"audioInputNanosPerMtok", Nanos(price.audio_input)},
                 {"audioOutputNanosPerMtok", Nanos(price.audio_output)},
                 {"maxOutputTokens", price.max_output_tokens},
                 {"capField", "max_completion_tokens"}}}});
  }
}

double Metric(Stack& stack, size_t proxy, const std::string& name) {
  double sum = 0;
  const std::string body = Call(stack.admin_address(proxy), "GET", "/metrics").body;
  for (absl::string_view line : absl::StrSplit(body, '\n')) {
    if (line.substr(0, name.size()) != absl::string_view(name)) continue;
    const absl::string_view rest = line.substr(name.size());
    if (rest.empty() || (rest[0] != ' ' && rest[0] != '{')) continue;
    double value = 0;
    if (absl::SimpleAtod(rest.substr(rest.rfind(' ') + 1), &value)) sum += value;
  }
  return sum;
}

int64_t Number(const json& object, const std::string& field) {
  const auto found = object.find(field);
  if (found == object.end() || found->is_null()) return 0;
  if (found->is_number_integer()) return found->get<int64_t>();
  int64_t number = 0;
  const bool read = found->is_string() && absl::SimpleAtoi(found->get_ref<const std::string&>(), &number);
  EXPECT_TRUE(read) << field << ": " << *found;
  return number;
}

bool NothingHeld(const QuotaView& quota, const std::vector<std::string>& pools) {
  for (const std::string& pool : pools) {
    for (const v1::Counter& counter : quota.Counters(pool)) {
      if (counter.held() != 0 || counter.suspense() != 0) return false;
    }
  }
  return true;
}

Books CloseBooks(Stack& stack, const QuotaView& quota, size_t proxies, const std::vector<std::string>& pools,
                 size_t begun_before, size_t providers) {
  Books books;
  size_t begun = 0;
  const bool closed = Eventually([&] {
    double in_flight = 0;
    begun = begun_before;
    for (size_t i = 0; i < proxies; ++i) {
      in_flight += Metric(stack, i, "signalbox_in_flight_requests");
      begun += static_cast<size_t>(Metric(stack, i, "signalbox_requests_total"));
    }
    if (in_flight != 0) return false;
    books.records = stack.Records();
    return books.records.size() >= begun;
  });
  EXPECT_TRUE(closed) << "the ledger has " << books.records.size() << " records of " << begun << " requests";
  EXPECT_EQ(books.records.size(), begun) << "a record of a request that never began, or two of one";
  if (!Eventually([&] { return NothingHeld(quota, pools); })) {
    for (const std::string& pool : pools) {
      for (const v1::Counter& counter : quota.Counters(pool)) {
        EXPECT_EQ(counter.held() + counter.suspense(), 0) << counter.ShortDebugString();
      }
    }
  }
  books.bill = stack.Provider("/bill");
  for (size_t i = 1; i < providers; ++i) {
    const json bill = stack.Provider("/bill", i);
    for (const json& line : bill["requests"]) books.bill["requests"].push_back(line);
  }
  return books;
}

void ExpectQuotaEqualsLedger(const QuotaView& quota, const Books& books, const std::vector<std::string>& pools) {
  for (const std::string& pool : pools) {
    struct Charged {
      int64_t requests = 0, nanos = 0, tokens = 0;
    };
    std::map<std::string, Charged> charged;  // by identifier
    for (const json& record : books.records) {
      std::set<std::string> passed;  // a counter met twice is charged once
      for (const json& limit : record.value("limits", json::array())) {
        if (limit.value("pool", "") == pool && !limit.value("denied", false))
          passed.insert(limit.value("identifier", ""));
      }
      for (const std::string& identifier : passed) {
        Charged& sum = charged[identifier];
        ++sum.requests;
        sum.nanos += CostNanos(record);
        sum.tokens += Number(record, "tokens");
      }
    }
    std::set<std::string> counted;
    for (const v1::Counter& counter : quota.Counters(pool)) {
      ASSERT_EQ(counter.key().identifier_size(), 1);
      const std::string identifier = counter.key().identifier(0).string_value();
      counted.insert(identifier);
      const Charged& sum = charged[identifier];
      const int64_t expected = counter.key().unit() == v1::REQUESTS       ? sum.requests
                               : counter.key().unit() == v1::NANO_DOLLARS ? sum.nanos
                                                                          : sum.tokens;
      EXPECT_EQ(counter.settled(), expected) << "pool " << pool << ", " << counter.ShortDebugString();
    }
    for (const auto& [identifier, sum] : charged) {
      EXPECT_TRUE(sum.requests == 0 || counted.contains(identifier)) << pool << " has no counter of " << identifier;
    }
  }
}

Matched ExpectLedgerEqualsBill(const Books& books) {
  struct Line {
    std::string model;
    int64_t cost_nanos;
    bool told;
    bool taken = false;
  };
  std::map<std::string, std::vector<Line>> billed;
  for (const json& line : books.bill["requests"]) {
    billed[line["request_id"]].push_back({line["model"], line["cost_nanos"].get<int64_t>(), line["told"].get<bool>()});
  }
  Matched matched;
  std::set<std::string> ids;
  for (const json& record : books.records) {
    const std::string id = record.value("requestId", "");
    EXPECT_TRUE(ids.insert(id).second) << "two records of " << id;
    std::vector<Line>& lines = billed[id];
    int64_t sum = 0;
    bool any_estimated = false;
    std::vector<const json*> estimated;
    const json attempts = record.value("attempts", json::array());
    for (const json& attempt : attempts) {
      const int64_t cost = Number(attempt, "costNanos");
      sum += cost;
      if (attempt.value("estimated", false)) {
        any_estimated = true;
        estimated.push_back(&attempt);
        ++matched.estimated;
        matched.estimated_nanos += cost;
        EXPECT_LE(cost, Number(attempt, "boundNanos")) << attempt;
        EXPECT_GT(Number(attempt, "boundNanos"), 0) << attempt;
        continue;
      }
      ++matched.exact;
      matched.exact_nanos += cost;
      if (cost > 0 && Number(attempt, "status") >= 400) ++matched.failed_but_billed;
      // A retry may have cost the same: the line that was told is the one that is known.
      auto line = lines.end();
      for (auto candidate = lines.begin(); candidate != lines.end(); ++candidate) {
        const bool same = candidate->model == attempt.value("model", "") && candidate->cost_nanos == cost;
        if (same && !candidate->taken && (line == lines.end() || candidate->told)) line = candidate;
      }
      if (line == lines.end()) {
        EXPECT_EQ(cost, 0) << "not on the bill at this price: " << attempt << "\nthe bill of " << id << " has "
                           << lines.size() << " lines";
        continue;
      }
      EXPECT_TRUE(line->told || cost == 0) << "known to the gateway, though the provider never told it: " << attempt;
      line->taken = true;
    }
    EXPECT_EQ(sum, CostNanos(record)) << record;
    EXPECT_EQ(any_estimated, record.value("estimated", false)) << record;
    // What is left on the bill are the estimated attempts' own lines.
    for (const Line& line : lines) {
      if (line.taken || line.cost_nanos == 0) continue;
      const auto owner = std::find_if(estimated.begin(), estimated.end(), [&](const json* attempt) {
        return attempt != nullptr && attempt->value("model", "") == line.model;
      });
      if (owner == estimated.end()) {
        ADD_FAILURE() << "billed " << line.cost_nanos << " for " << line.model << " and charged nowhere: " << record;
        continue;
      }
      EXPECT_LE(line.cost_nanos, Number(**owner, "boundNanos")) << "the bound is none: " << **owner;
      *owner = nullptr;
    }
  }
  for (const auto& [id, lines] : billed) {
    EXPECT_TRUE(ids.contains(id) || lines.empty()) << "the provider billed a request without a record: " << id;
  }
  return matched;
}

}  // namespace signalbox
