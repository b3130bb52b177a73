#include "dataplane/routing/request_options.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace signalbox {
namespace {

using Sent = std::vector<std::pair<std::string, std::string>>;

std::variant<RequestOptions, Refusal> Read(const Sent& sent) {
  HeaderFields headers;
  for (const auto& [name, value] : sent) headers.Add(name, value);
  return ReadRequestOptions(headers);
}

RequestOptions Options(const Sent& sent) {
  const auto read = Read(sent);
  if (const auto* refusal = std::get_if<Refusal>(&read)) {
    ADD_FAILURE() << refusal->message;
    return {};
  }
  return std::get<RequestOptions>(read);
}

// The sentence of the refusal; empty: there was none.
std::string Fault(const Sent& sent) {
  const auto read = Read(sent);
  const auto* refusal = std::get_if<Refusal>(&read);
  if (refusal == nullptr) return "";
  EXPECT_EQ(refusal->status, 400);
  EXPECT_EQ(refusal->code, "invalid_header");
  EXPECT_EQ(refusal->param, sent.back().first);
  return refusal->message;
}

TEST(ReadRequestOptions, WithoutHeadersNothingIsAsked) {
  const RequestOptions options = Options({});
  EXPECT_FALSE(options.cache_ttl_s.has_value());
  EXPECT_FALSE(options.skip_cache);
  EXPECT_FALSE(options.max_attempts.has_value());
  EXPECT_FALSE(options.collect_log.has_value());
  EXPECT_EQ(options.custom_cost, "");
  EXPECT_EQ(options.event_id, "");
}

TEST(ReadRequestOptions, EveryHeaderHasItsMeaningUnderBothNames) {
  for (const std::string prefix : {"cf-aig-", "signalbox-"}) {
    const RequestOptions options = Options({{prefix + "cache-ttl", "0"},
                                            {prefix + "skip-cache", "true"},
                                            {prefix + "cache-key", "k 1"},
                                            {prefix + "max-attempts", "5"},
                                            {prefix + "retry-delay", "0"},
                                            {prefix + "backoff", "linear"},
                                            {prefix + "request-timeout", "1500"},
                                            {prefix + "custom-cost", "{}"},
                                            {prefix + "collect-log", "false"},
                                            {prefix + "collect-log-payload", "true"},
                                            {prefix + "event-id", "ev-1"},
                                            {prefix + "byok-alias", "eu"}});
    EXPECT_EQ(options.cache_ttl_s, 0) << prefix;
    EXPECT_TRUE(options.skip_cache);
    EXPECT_EQ(options.cache_key, "k 1");
    EXPECT_EQ(options.max_attempts, 5);
    EXPECT_EQ(options.retry_delay_ms, 0);
    EXPECT_EQ(options.backoff, "linear");
    EXPECT_EQ(options.request_timeout_ms, 1500);
    EXPECT_EQ(options.custom_cost, "{}");
    EXPECT_EQ(options.collect_log, false);
    EXPECT_EQ(options.collect_log_payload, true);
    EXPECT_EQ(options.event_id, "ev-1");
    EXPECT_EQ(options.byok_alias, "eu");
  }
}

TEST(ReadRequestOptions, AFaultNamesTheHeaderAndWhatWouldBeRight) {
  EXPECT_EQ(Fault({{"cf-aig-max-attempts", "6"}}), "the header cf-aig-max-attempts must be an integer from 1 to 5");
  EXPECT_EQ(Fault({{"cf-aig-max-attempts", "0"}}), "the header cf-aig-max-attempts must be an integer from 1 to 5");
  EXPECT_EQ(Fault({{"signalbox-request-timeout", "0"}}),
            "the header signalbox-request-timeout must be an integer from 1 to 3600000");
  EXPECT_EQ(Fault({{"cf-aig-skip-cache", "yes"}}), "the header cf-aig-skip-cache must be true or false");
  EXPECT_EQ(Fault({{"cf-aig-backoff", "quadratic"}}),
            "the header cf-aig-backoff must be constant, linear or exponential");
  EXPECT_EQ(Fault({{"cf-aig-event-id", ""}}), "the header cf-aig-event-id must be 1 to 256 printable ASCII characters");
  EXPECT_EQ(Fault({{"cf-aig-event-id", "caf\xC3\xA9"}}),
            "the header cf-aig-event-id must be 1 to 256 printable ASCII characters");
  EXPECT_NE(Fault({{"cf-aig-cache-key", std::string(257, 'x')}}), "");
  EXPECT_EQ(Fault({{"cf-aig-cache-key", std::string(256, 'x')}}), "");
}

TEST(ReadRequestOptions, AHeaderSentTwiceIsAFaultAlsoUnderItsTwoNames) {
  EXPECT_EQ(
      Fault({{"cf-aig-cache-ttl", "1"}, {"signalbox-cache-ttl", "1"}}),
      "the header signalbox-cache-ttl is sent more than once: send cf-aig-cache-ttl or signalbox-cache-ttl, once");
  EXPECT_NE(Fault({{"cf-aig-event-id", "a"}, {"cf-aig-event-id", "b"}}), "");
}

TEST(ReadEventId, IsThereWhateverElseIsWrongAndGoneWhenItIsItself) {
  HeaderFields headers;
  EXPECT_EQ(ReadEventId(headers), "");
  headers.Set("cf-aig-event-id", "ev-1");
  headers.Set("cf-aig-max-attempts", "many");
  EXPECT_EQ(ReadEventId(headers), "ev-1");
  headers.Set("signalbox-event-id", "ev-2");
  EXPECT_EQ(ReadEventId(headers), "");
}

}  // namespace
}  // namespace signalbox
