#include "dataplane/provider/universal_body.h"

#include <gtest/gtest.h>

#include "common/limits.h"

namespace signalbox {
namespace {

std::vector<UniversalEntry> Read(std::string_view json) {
  auto read = ReadUniversalBody(json);
  if (const auto* fault = std::get_if<BodyFault>(&read)) {
    ADD_FAILURE() << fault->message;
    return {};
  }
  return std::get<std::vector<UniversalEntry>>(std::move(read));
}

// "param: sentence".
std::string Fault(std::string_view json, std::string_view code = "invalid_request") {
  const auto read = ReadUniversalBody(json);
  const auto* fault = std::get_if<BodyFault>(&read);
  if (fault == nullptr) return "";
  EXPECT_EQ(fault->status, 400);
  EXPECT_EQ(fault->code, code);
  return fault->param + ": " + fault->message;
}

TEST(ReadUniversalBody, EntriesAreInOrderAndTheirBodiesAsWritten) {
  const std::string json = R"( [ {"provider":"openai","endpoint":"v1/chat/completions","headers":{},
      "query":{ "model" : "gpt-4o", "temperature": 1.0, "x":[{"]":"}"}] }} ,
     {"query":{},"endpoint":"v1/messages?beta=true","provider":"anthropic"}] )";
  const std::vector<UniversalEntry> entries = Read(json);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].provider, "openai");
  EXPECT_EQ(entries[0].endpoint, "v1/chat/completions");
  EXPECT_EQ(entries[0].query, R"({ "model" : "gpt-4o", "temperature": 1.0, "x":[{"]":"}"}] })");
  EXPECT_EQ(entries[1].provider, "anthropic");
  EXPECT_EQ(entries[1].endpoint, "v1/messages?beta=true");
  EXPECT_EQ(entries[1].query, "{}");
}

TEST(ReadUniversalBody, OneEntryMayStandAlone) {
  ASSERT_EQ(Read(R"({"provider":"openai","endpoint":"chat/completions","query":{}})").size(), 1u);
}

TEST(ReadUniversalBody, ConfigIsTheHeadersItStandsForAndTheEntrysOwnHeadersComeAfter) {
  const std::vector<UniversalEntry> entries = Read(
      R"([{"provider":"p","endpoint":"e","query":{},"headers":{"CF-AIG-Max-Attempts":"2","x-n":1.50},
           "config":{"requestTimeout":1500,"maxAttempts":3,"retryDelay":0,"backoff":"linear","skipCache":true}}])");
  const std::vector<std::pair<std::string, std::string>> expected = {{"cf-aig-request-timeout", "1500"},
                                                                     {"cf-aig-max-attempts", "3"},
                                                                     {"cf-aig-retry-delay", "0"},
                                                                     {"cf-aig-backoff", "linear"},
                                                                     {"cf-aig-skip-cache", "true"},
                                                                     {"cf-aig-max-attempts", "2"},
                                                                     {"x-n", "1.50"}};
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].headers, expected);
}

TEST(ReadUniversalBody, AFaultNamesItsPlace) {
  EXPECT_EQ(Fault("[", "invalid_json"), ": the body is not valid JSON: send an array of calls");
  EXPECT_EQ(Fault("3"), ": the body must be an array of calls");
  EXPECT_EQ(Fault("[]"), ": the body must be an array of 1 to 16 calls");
  EXPECT_EQ(Fault("[3]"), "[0]: [0] must be an object");
  EXPECT_EQ(Fault(R"([{"provider":"p","endpoint":"e","query":{}},{"provider":"p","query":{}}])"),
            "[1].endpoint: [1].endpoint is missing");
  EXPECT_EQ(Fault(R"([{"provider":"p","endpoint":"e","query":[]}])"),
            "[0].query: [0].query must be an object: the provider's body");
  EXPECT_EQ(Fault(R"([{"provider":"p","provider":"q","endpoint":"e","query":{}}])"),
            "[0].provider: [0].provider is there twice");
  EXPECT_EQ(Fault(R"([{"provider":"p","endpoint":"e","query":{},"retries":3}])"),
            "[0].retries: [0].retries is unknown: an entry has provider, endpoint, headers, query, config");
  EXPECT_EQ(Fault(R"([{"provider":"p","endpoint":"e","query":{},"config":{"max_attempts":3}}])"),
            "[0].config.max_attempts: [0].config.max_attempts is unknown: config has requestTimeout, maxAttempts, "
            "retryDelay, backoff, cacheTtl, skipCache");
  EXPECT_EQ(Fault(R"([{"provider":"p","endpoint":"a b","query":{}}])"),
            "[0].endpoint: [0].endpoint must be printable ASCII without blanks");
}

TEST(ReadUniversalBody, HeadersThatCannotBeSentAreRefused) {
  for (const char* headers :
       {R"({"x":"a\r\ny: b"})", R"({"x\r\n":"a"})", R"({"":"a"})", R"({"x":["a"]})", R"(["x"])"}) {
    const std::string json = std::string(R"([{"provider":"p","endpoint":"e","query":{},"headers":)") + headers + "}]";
    EXPECT_EQ(Fault(json).substr(0, 11), "[0].headers") << headers;
  }
  const std::string large(kRequestHeaderBytesMax, 'x');
  EXPECT_EQ(Fault(R"([{"provider":"p","endpoint":"e","query":{},"headers":{"x":")" + large + R"("}}])"),
            "[0].headers: [0].headers has over 32768 bytes");
}

TEST(ReadUniversalBody, MoreEntriesThanTheBoundAreRefused) {
  const std::string entry = R"({"provider":"p","endpoint":"e","query":{}})";
  std::string json = "[" + entry;
  for (size_t i = 1; i < kUniversalEntriesMax; ++i) json += "," + entry;
  EXPECT_EQ(Read(json + "]").size(), kUniversalEntriesMax);
  EXPECT_EQ(Fault(json + "," + entry + "]"), ": the body must be an array of 1 to 16 calls");
}

TEST(ReadUniversalBody, WhateverAByteBecomesEntriesStayWithinTheText) {
  const std::string json =
      R"([{"provider":"p","endpoint":"e","headers":{"x":"y"},"query":{"a":[1,"b"]}},{"provider":"q","endpoint":"f","query":{}}])";
  size_t read_whole = 0;
  for (size_t at = 0; at < json.size(); ++at) {
    for (const char byte : {'"', '\\', '{', '}', '[', ']', ',', ':', ' ', '\0', '\xff', '7'}) {
      std::string mutated = json;
      mutated[at] = byte;
      const auto read = ReadUniversalBody(mutated);
      const auto* entries = std::get_if<std::vector<UniversalEntry>>(&read);
      if (entries == nullptr) continue;
      ++read_whole;
      for (const UniversalEntry& entry : *entries) {
        ASSERT_GE(entry.query.data(), mutated.data());
        ASSERT_LE(entry.query.data() + entry.query.size(), mutated.data() + mutated.size());
        ASSERT_EQ(entry.query.front(), '{');
        ASSERT_EQ(entry.query.back(), '}');
      }
    }
  }
  EXPECT_GT(read_whole, json.size() / 2) << "letters in names and texts may change";
}

}  // namespace
}  // namespace signalbox
