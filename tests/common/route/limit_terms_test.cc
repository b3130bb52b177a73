#include "common/route/limit_terms.h"

#include "gtest/gtest.h"

namespace signalbox {
namespace {

std::string LimitTextOf(v1::Unit unit, int64_t amount, int64_t window_seconds) {
  v1::CompiledElement::Limit limit;
  limit.set_unit(unit);
  limit.set_limit(amount);
  limit.set_window_seconds(window_seconds);
  return LimitText(limit);
}

TEST(LimitText, ReadsAsPeopleSayIt) {
  EXPECT_EQ(LimitTextOf(v1::NANO_DOLLARS, 10'000'000'000, 86'400), "$10 per day");
  EXPECT_EQ(LimitTextOf(v1::NANO_DOLLARS, 500'000'000, 3'600), "$0.50 per hour");
  EXPECT_EQ(LimitTextOf(v1::NANO_DOLLARS, 42'000, 604'800), "$0.000042 per week");
  EXPECT_EQ(LimitTextOf(v1::REQUESTS, 1, 60), "1 request per minute");
  EXPECT_EQ(LimitTextOf(v1::REQUESTS, 10, 90), "10 requests per 90 seconds");
  EXPECT_EQ(LimitTextOf(v1::TOKENS, 5'000, 259'200), "5000 tokens per 3 days");
}

TEST(LimitText, NamesACalendarsTimeZoneAndASlidingWindow) {
  v1::CompiledElement::Limit limit;
  limit.set_unit(v1::TOKENS);
  limit.set_limit(1);
  limit.set_calendar(v1::MONTH);
  EXPECT_EQ(LimitText(limit), "1 token per month in UTC");
  limit.set_timezone("Europe/Berlin");
  limit.set_technique(v1::SLIDING);
  EXPECT_EQ(LimitText(limit), "1 token per month in Europe/Berlin (sliding)");
}

}  // namespace
}  // namespace signalbox
