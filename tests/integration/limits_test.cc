// Limits that hold across proxies, and a ledger that equals the provider's bill to the nano-dollar.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "tests/integration/load.h"
#include "tests/testing/eventually.h"
#include "tests/testing/stack.h"

namespace signalbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json FreeUser(const std::string& name) { return {{"plan", "free"}, {"email", name + "@example.com"}}; }

int CountStatus(const std::vector<HttpAnswer>& answers, int status) {
  return static_cast<int>(
      std::count_if(answers.begin(), answers.end(), [&](const HttpAnswer& answer) { return answer.status == status; }));
}

// Ledger against bill: every record once, refused ones at no cost, the sums equal.
void ExpectLedgerEqualsBill(Stack& stack, size_t requests) {
  const std::vector<json> records = stack.AwaitRecords(requests);
  EXPECT_EQ(records.size(), requests);
  int64_t ledger = 0;
  std::map<std::string, int> seen;
  for (const json& record : records) {
    ++seen[record.value("requestId", "")];
    ledger += CostNanos(record);
    if (record.value("outcome", "") == "REFUSED") {
      EXPECT_EQ(CostNanos(record), 0) << record;
    }
  }
  EXPECT_EQ(seen.size(), requests) << "a request has two records";
  const json bill = stack.Provider("/bill");
  EXPECT_GT(ledger, 0);
  EXPECT_EQ(ledger, bill["total_nanos"].get<int64_t>());
  std::map<std::string, int64_t> billed;
  for (const json& line : bill["requests"]) billed[line["request_id"]] += line["cost_nanos"].get<int64_t>();
  for (const json& record : records) {
    EXPECT_EQ(CostNanos(record), billed[record["requestId"]]) << record;
  }
}

class FreeUserLimits : public testing::TestWithParam<bool> {};  // unary, streamed

TEST_P(FreeUserLimits, ExactlyTenOfFourHundredParallelRequestsAreAnswered) {
  Stack stack;
  stack.DeployRoute(WalkthroughRoute());
  const std::vector<HttpAnswer> answers = Parallel(400, 32, [&](int i) {
    return stack.Chat({.proxy = static_cast<size_t>(i % 2), .metadata = FreeUser("ann"), .stream = GetParam()});
  });
  EXPECT_EQ(CountStatus(answers, 200), 10);
  EXPECT_EQ(CountStatus(answers, 429), 390);
  for (const HttpAnswer& answer : answers) {
    if (answer.status == 200) {
      EXPECT_EQ(answer.Header("cf-aig-model"), "gpt-4o-mini");
      if (GetParam()) {
        EXPECT_THAT(answer.body, testing::EndsWith("data: [DONE]\n\n"));
      }
      continue;
    }
    EXPECT_THAT(answer.body, HasSubstr("\"code\":\"limit_exceeded\""));
    EXPECT_GT(std::atoi(answer.Header("retry-after").c_str()), 0);
  }
  ExpectLedgerEqualsBill(stack, 400);
}

TEST_P(FreeUserLimits, FiftyUsersAtOnceGetTenEach) {
  constexpr int kUsers = 50;
  constexpr int kEach = 16;
  Stack stack;
  stack.DeployRoute(WalkthroughRoute());
  const std::vector<HttpAnswer> answers = Parallel(kUsers * kEach, 32, [&](int i) {
    return stack.Chat({.proxy = static_cast<size_t>(i / kUsers % 2),
                       .metadata = FreeUser(absl::StrCat("user-", i % kUsers)),
                       .stream = GetParam()});
  });
  std::map<int, int> answered;
  for (size_t i = 0; i < answers.size(); ++i) {
    answered[static_cast<int>(i) % kUsers] += answers[i].status == 200;
    EXPECT_TRUE(answers[i].status == 200 || answers[i].status == 429) << answers[i].status << answers[i].body;
  }
  for (const auto& [user, count] : answered) EXPECT_EQ(count, 10) << "user " << user;
  ExpectLedgerEqualsBill(stack, kUsers * kEach);
}

INSTANTIATE_TEST_SUITE_P(UnaryAndStreamed, FreeUserLimits, testing::Bool(),
                         [](const auto& param) { return param.param ? "Streamed" : "Unary"; });

TEST(Limits, APaidUserIsCountedApartAndGetsTheBetterModel) {
  Stack stack;
  stack.DeployRoute(WalkthroughRoute());
  for (int i = 0; i < 11; ++i) stack.Chat({.metadata = FreeUser("ann")});
  const HttpAnswer paid = stack.Chat(
      {.proxy = 1, .metadata = {{"plan", "paid"}, {"email", "ann@example.com"}}, .body = {{"max_tokens", 20}}});
  EXPECT_EQ(paid.status, 200);
  EXPECT_EQ(paid.Header("cf-aig-model"), "gpt-5.1");
  EXPECT_EQ(paid.Header("signalbox-path"), "start/plan/paid-requests/paid-budget/paid-model/end");
  EXPECT_THAT(paid.Header("signalbox-route"), HasSubstr("my-trillion-dollar-saas@"));
}

// A cost limit of a thousandth of a dollar: strict holds mean that what was spent never passes it.
TEST(Limits, ParallelRequestsNeverPassADollarLimit) {
  json route = json::parse(WalkthroughRoute());
  for (json& element : route["elements"]) {
    if (element["id"] == "free-requests") element["properties"]["limit"] = 100'000;
    if (element["id"] == "free-budget") element["properties"]["limit"] = 0.001;
  }
  Stack stack;
  stack.DeployRoute(route.dump());
  const std::vector<HttpAnswer> answers = Parallel(300, 32, [&](int i) {
    return stack.Chat(
        {.proxy = static_cast<size_t>(i % 2), .metadata = FreeUser("bob"), .body = {{"max_tokens", 300}}});
  });
  EXPECT_GT(CountStatus(answers, 200), 3);
  EXPECT_GT(CountStatus(answers, 429), 3);
  EXPECT_EQ(CountStatus(answers, 200) + CountStatus(answers, 429), 300);
  ExpectLedgerEqualsBill(stack, 300);
  EXPECT_LE(stack.Provider("/bill")["total_nanos"].get<int64_t>(), 1'000'000);
}

TEST(Limits, AModelThatFailsTwiceIsRetriedAndOnlyItsAnswerIsPaid) {
  Stack stack({.provider_flags = {"--fail=first=2:503"}});
  stack.DeployRoute(WalkthroughRoute());
  const HttpAnswer answer = stack.Chat({.metadata = FreeUser("cat")});
  EXPECT_EQ(answer.status, 200) << answer.body;
  const std::vector<json> records = stack.AwaitRecords(1);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0]["attempts"].size(), 3u);
  EXPECT_EQ(stack.Provider("/bill")["total_nanos"].get<int64_t>(), CostNanos(records[0]));
}

TEST(Limits, AFailingModelFallsBackAndTheStepSaysSo) {
  Stack stack({.provider_flags = {"--fail=model=gpt-5.1:status=500"}});
  stack.DeployRoute(WalkthroughRoute());
  const HttpAnswer answer = stack.Chat({.metadata = {{"plan", "paid"}, {"email", "dan@example.com"}}});
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.Header("cf-aig-model"), "gpt-4o-mini");
  EXPECT_EQ(answer.Header("cf-aig-step"), "1");
}

}  // namespace
}  // namespace signalbox
