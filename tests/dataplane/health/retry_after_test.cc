#include "dataplane/health/retry_after.h"

#include <map>
#include <string>

#include "gtest/gtest.h"
#include "tests/dataplane/health/seconds.h"

namespace signalbox {
namespace {

constexpr int64_t kNowUs = 1'763'800'000LL * 1'000'000;  // 2025-11-22T08:26:40Z

using Headers = std::map<std::string, std::string, std::less<>>;

HeaderReader Reader(const Headers& headers) {
  return [&headers](std::string_view name) -> std::string_view {
    const auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
  };
}

std::optional<int64_t> Read(const Headers& headers, int status = 429) {
  return RetryAfterUs(status, Reader(headers), kNowUs);
}

TEST(RetryAfter, SecondsAreSeconds) {
  EXPECT_EQ(Read({{"retry-after", "2"}}), 2 * kSecondUs);
  EXPECT_EQ(Read({{"retry-after", "0.25"}}), kSecondUs / 4);
  EXPECT_EQ(Read({{"retry-after", "0"}}), 0);
  EXPECT_EQ(Read({{"retry-after", "2"}}, 503), 2 * kSecondUs);
}

TEST(RetryAfter, MillisecondsAreFinerAndWin) {
  EXPECT_EQ(Read({{"retry-after-ms", "120"}, {"retry-after", "1"}}), 120'000);
  EXPECT_EQ(Read({{"retry-after-ms", "soon"}, {"retry-after", "1"}}), kSecondUs);
}

TEST(RetryAfter, ADateIsTheTimeUntilIt) {
  EXPECT_EQ(Read({{"retry-after", "Sat, 22 Nov 2025 08:26:50 GMT"}}), 10 * kSecondUs);
  EXPECT_EQ(Read({{"retry-after", "Sat, 22 Nov 2025 08:00:00 GMT"}}), 0) << "it is over";
}

TEST(RetryAfter, WhatMeansNoTimeIsNotThere) {
  EXPECT_EQ(Read({}), std::nullopt);
  for (const char* text : {"later", "-1", "nan", "1s", "Sat, 42 Nov 2025 08:26:50 GMT", ""}) {
    EXPECT_EQ(Read({{"retry-after", text}}), std::nullopt) << text;
  }
}

TEST(RetryAfter, IsADayAtMost) {
  for (const char* text : {"1e300", "inf", "99999999999999999999"}) {
    EXPECT_EQ(Read({{"retry-after", text}}), 86'400 * kSecondUs) << text;
  }
}

TEST(RetryAfter, OpenAiTellsWhenASpentLimitIsBack) {
  const Headers headers = {{"x-ratelimit-remaining-requests", "0"},
                           {"x-ratelimit-reset-requests", "20ms"},
                           {"x-ratelimit-remaining-tokens", "0"},
                           {"x-ratelimit-reset-tokens", "1m3.5s"}};
  EXPECT_EQ(Read(headers), 63'500'000);
  EXPECT_EQ(Read(headers, 200), std::nullopt) << "an answer asks nobody to wait";
  EXPECT_EQ(Read(headers, 500), std::nullopt);
}

TEST(RetryAfter, ALimitWithRoomLeftDoesNotCount) {
  EXPECT_EQ(Read({{"x-ratelimit-remaining-requests", "12"},
                  {"x-ratelimit-reset-requests", "8m"},
                  {"x-ratelimit-remaining-tokens", "0"},
                  {"x-ratelimit-reset-tokens", "6s"}}),
            6 * kSecondUs);
  EXPECT_EQ(Read({{"x-ratelimit-remaining-requests", "12"}, {"x-ratelimit-reset-requests", "8m"}}), std::nullopt);
}

TEST(RetryAfter, AnthropicTellsTheMoment) {
  EXPECT_EQ(Read({{"anthropic-ratelimit-input-tokens-remaining", "0"},
                  {"anthropic-ratelimit-input-tokens-reset", "2025-11-22T08:27:00Z"},
                  {"anthropic-ratelimit-requests-remaining", "49"},
                  {"anthropic-ratelimit-requests-reset", "2025-11-22T09:00:00Z"}}),
            20 * kSecondUs);
}

TEST(RetryDelayInBody, IsGeminisWordForIt) {
  const std::string body = R"({"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo",
    "retryDelay": "34.5s"}]}})";
  EXPECT_EQ(RetryDelayInBody(429, body), 34'500'000);
  EXPECT_EQ(RetryDelayInBody(503, body), 34'500'000);
  EXPECT_EQ(RetryDelayInBody(500, body), std::nullopt);
}

TEST(RetryDelayInBody, WhatMeansNoTimeIsNotThere) {
  for (const char* body : {"", "{}", R"({"retryDelay":)", R"({"retryDelay":34})", R"({"retryDelay":"34)",
                           R"({"retryDelay":"soon"})", R"({"retryDelay":"-1s"})", R"("retryDelay")"}) {
    EXPECT_EQ(RetryDelayInBody(429, body), std::nullopt) << body;
  }
}

TEST(ShouldRetry, IsWhatTheProviderSays) {
  const Headers none, yes = {{"x-should-retry", "true"}}, no = {{"x-should-retry", "false"}},
                      odd = {{"x-should-retry", "1"}};
  EXPECT_EQ(ShouldRetry(Reader(none)), std::nullopt);
  EXPECT_EQ(ShouldRetry(Reader(yes)), true);
  EXPECT_EQ(ShouldRetry(Reader(no)), false);
  EXPECT_EQ(ShouldRetry(Reader(odd)), std::nullopt);
}

}  // namespace
}  // namespace signalbox
