#include "dataplane/provider/request_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "common/limits.h"

namespace signalbox {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::unique_ptr<RequestBody> MustParse(std::string_view text) {
  BodyFault fault;
  std::unique_ptr<RequestBody> body = RequestBody::Parse(text, fault);
  EXPECT_NE(body, nullptr) << fault.message << "\n" << text;
  return body;
}

BodyFault MustRefuse(std::string_view text) {
  BodyFault fault;
  EXPECT_EQ(RequestBody::Parse(text, fault), nullptr) << text;
  EXPECT_EQ(fault.status, 400);
  return fault;
}

RequestBody::Rewrite To(std::string model) {
  RequestBody::Rewrite rewrite;
  rewrite.model = std::move(model);
  return rewrite;
}

std::string Spliced(std::string_view text, const RequestBody::Rewrite& rewrite) {
  return MustParse(text)->Splice(rewrite);
}

TEST(RequestBody, ReadsTheKeysTheGatewayOwns) {
  const auto body = MustParse(R"( {"model":"dynamic/a","stream":true,"stream_options":{"include_usage":true},"n":3,
      "max_tokens":20,"max_completion_tokens":10,"metadata":{"email":"a@b","paid":true,"age":5,"none":null}} )");
  EXPECT_EQ(body->model(), "dynamic/a");
  EXPECT_TRUE(body->stream());
  EXPECT_TRUE(body->client_wants_usage());
  EXPECT_EQ(body->choices(), 3);
  EXPECT_EQ(body->output_cap(), 10);
  const auto metadata = body->metadata();
  ASSERT_EQ(metadata.size(), 4u);
  EXPECT_EQ(metadata[0].first, "email");
  EXPECT_EQ(metadata[0].second.string_value(), "a@b");
  EXPECT_TRUE(metadata[1].second.bool_value());
  EXPECT_EQ(metadata[2].second.number_value(), 5);
  EXPECT_TRUE(metadata[3].second.has_null_value());
}

TEST(RequestBody, ABareBodyHasTheDefaultsOfTheApi) {
  const auto body = MustParse(R"({"model":"m"})");
  EXPECT_FALSE(body->stream());
  EXPECT_FALSE(body->client_wants_usage());
  EXPECT_EQ(body->choices(), 1);
  EXPECT_EQ(body->output_cap(), std::nullopt);
  EXPECT_TRUE(body->metadata().empty());
  EXPECT_EQ(body->body_bytes(), 13u);
}

TEST(RequestBody, NullMeansAbsentForOptionalKeys) {
  const auto body = MustParse(R"({"model":"m","stream":null,"n":null,"max_tokens":null,"max_completion_tokens":null,
      "stream_options":null,"metadata":null})");
  EXPECT_FALSE(body->stream());
  EXPECT_EQ(body->choices(), 1);
  EXPECT_EQ(body->output_cap(), std::nullopt);
  EXPECT_TRUE(body->metadata().empty());
}

TEST(RequestBody, KeysAreComparedUnescaped) {
  const auto body = MustParse(R"({"\u006dodel":"m","max\u005ftokens":7})");
  EXPECT_EQ(body->model(), "m");
  EXPECT_EQ(body->output_cap(), 7);
}

TEST(RequestBody, ADuplicateOfAnOwnedKeyIsRefusedByName) {
  for (const char* text :
       {R"({"model":"m","max_tokens":1,"max_tokens":9})", R"({"model":"m","max_tokens":1,"max\u005ftokens":9})",
        R"({"max\u005f\u0074okens":null,"model":"m","max_tokens":9})"}) {
    const BodyFault fault = MustRefuse(text);
    EXPECT_EQ(fault.code, "duplicate_key");
    EXPECT_EQ(fault.param, "max_tokens");
    EXPECT_EQ(fault.message, "the body has \"max_tokens\" twice: send it once");
  }
  EXPECT_EQ(MustRefuse(R"({"model":"m","metadata":{"a":1,"\u0061":2}})").param, "metadata.a");
}

TEST(RequestBody, ADuplicateOfOthersKeysIsTheClientsAffair) {
  EXPECT_EQ(MustParse(R"({"model":"m","user":"a","user":"b"})")->Get({"user"}).text, "b");
}

TEST(RequestBody, OwnedKeysOfAWrongTypeAreRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "model"},
      {R"({"model":null})", "model"},
      {R"({"model":5})", "model"},
      {R"({"model":"m","stream":"true"})", "stream"},
      {R"({"model":"m","stream":1})", "stream"},
      {R"({"model":"m","stream_options":[]})", "stream_options"},
      {R"({"model":"m","stream_options":{"include_usage":"yes"}})", "stream_options.include_usage"},
      {R"({"model":"m","n":0})", "n"},
      {R"({"model":"m","n":129})", "n"},
      {R"({"model":"m","n":"2"})", "n"},
      {R"({"model":"m","n":1.5})", "n"},
      {R"({"model":"m","max_tokens":0})", "max_tokens"},
      {R"({"model":"m","max_tokens":-1})", "max_tokens"},
      {R"({"model":"m","max_tokens":"5"})", "max_tokens"},
      {R"({"model":"m","max_tokens":1.5})", "max_tokens"},
      {R"({"model":"m","max_tokens":1e3})", "max_tokens"},
      {R"({"model":"m","max_tokens":true})", "max_tokens"},
      {R"({"model":"m","max_completion_tokens":9223372036854775808})", "max_completion_tokens"},
      {R"({"model":"m","metadata":"a"})", "metadata"},
      {R"({"model":"m","metadata":{"a":{}}})", "metadata.a"},
      {R"({"model":"m","metadata":{"a":1,"b":[1]}})", "metadata.b"},
  };
  for (const auto& [text, param] : cases) {
    const BodyFault fault = MustRefuse(text);
    EXPECT_EQ(fault.code, "invalid_request") << text;
    EXPECT_EQ(fault.param, param) << text;
    EXPECT_THAT(fault.message, HasSubstr("\"" + param + "\"")) << text;
  }
  EXPECT_EQ(MustParse(R"({"model":"m","max_tokens":9223372036854775807})")->output_cap(),
            std::numeric_limits<int64_t>::max());
  EXPECT_EQ(MustParse(R"({"model":"m","n":128})")->choices(), 128);
}

TEST(RequestBody, WhatIsNotJsonIsRefusedWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "the body is empty"},
      {"   ", "not valid JSON"},
      {"nonsense", "(at byte 1)"},
      {R"({"model":"m","a":[tru,01]})", "(at byte 21)"},
      {R"({"model":"m"} x)", "(at byte 14)"},
      {R"({"model":"m"}{})", "(at byte 13)"},
      {R"({"model":"m",})", "(at byte 13)"},
      {R"({"model":"m","a":01})", "not valid JSON"},
      {R"({"model":"m)", "not valid JSON"},
      {R"({'model':'m'})", "(at byte 1)"},
      {"{\"model\":\"a\xff\"}", "(at byte 11)"},
      {"{\"model\":\"a\nb\"}", "not valid JSON"},
      {R"({"model":"\ud800"})", "not valid JSON"},
      {"\xEF\xBB\xBF{\"model\":\"m\"}", "byte order mark"},
      {"[1]", "must be a JSON object"},
      {"\"model\"", "must be a JSON object"},
      {"null", "must be a JSON object"},
      {std::string(R"({"model":"m","a":)") + std::string(2000, '[') + std::string(2000, ']') + "}", "1024 levels deep"},
  };
  for (const auto& [text, part] : cases) {
    const BodyFault fault = MustRefuse(text);
    EXPECT_EQ(fault.code, "invalid_json") << text;
    EXPECT_THAT(fault.message, HasSubstr(part)) << text;
  }
}

TEST(RequestBody, EveryPrefixOfABodyIsRefused) {
  const std::string text = R"({"model":"m\\\"","a":[{"b":"]}"},-1.5e3,true,null],"n":2})";
  MustParse(text);
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(MustRefuse(std::string_view(text).substr(0, length)).code, "invalid_json") << length;
  }
}

TEST(RequestBody, FieldsAreFoundByPath) {
  const auto body = MustParse(
      R"({"model":"m","a":{"b":{"c":5}},"s":"x\ny","t":[1,"two",null,{"k":1}],"no":null,"yes":true,"big":18446744073709551615})");
  EXPECT_EQ(body->Get({"a", "b", "c"}).number, 5);
  EXPECT_EQ(body->Get({"a", "b"}).kind, FieldValue::Kind::kObject);
  EXPECT_EQ(body->Get({"a", "x"}).kind, FieldValue::Kind::kMissing);
  EXPECT_EQ(body->Get({"a", "b", "c", "d"}).kind, FieldValue::Kind::kMissing);
  EXPECT_EQ(body->Get({"s"}).text, "x\ny");
  EXPECT_EQ(body->Get({"no"}).kind, FieldValue::Kind::kNull);
  EXPECT_TRUE(body->Get({"yes"}).boolean);
  EXPECT_EQ(body->Get({"big"}).number, 18446744073709551615.0);
  const FieldValue list = body->Get({"t"});
  ASSERT_EQ(list.items.size(), 4u);
  EXPECT_EQ(list.items[1].text, "two");
  EXPECT_EQ(list.items[3].kind, FieldValue::Kind::kObject);
  EXPECT_EQ(body->Get({"t", "1"}).text, "two");
  EXPECT_EQ(body->Get({"t", "9"}).kind, FieldValue::Kind::kMissing);
  EXPECT_EQ(body->Get({"t", "x"}).kind, FieldValue::Kind::kMissing);
}

TEST(RequestBody, PartsThatMayCostMoreThanTheirBytesAreCounted) {
  const auto body = MustParse(R"({"model":"m","messages":[
    {"role":"user","content":"plain"},
    {"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"http://x"}},
                              {"type":"input_image"},{"type":"input_audio"},{"type":"file"},{"type":"hologram"},{}]},
    {"role":"assistant","content":[{"type":"refusal","refusal":"no"}],"audio":{"id":"audio_1"}},
    {"role":"user","content":{"type":"image_url"}},
    {"role":"user","content":[{"type":"text","\u0074ype":"image_url"}]},
    {"role":"user","content":null},5]})");
  EXPECT_EQ(body->parts().images, 4);
  EXPECT_EQ(body->parts().audio, 2);
  EXPECT_EQ(body->parts().files, 3);
}

TEST(RequestBody, PartsOfEverySecondMessagesKeyAreCountedToo) {
  const auto body =
      MustParse(R"({"model":"m","messages":[{"content":[{"type":"image_url"}]}],"messages":[{"content":"text"}]})");
  EXPECT_EQ(body->parts().images, 1);
}

TEST(RequestBody, ABufferWithRoomBehindItIsReadWhereItStands) {
  std::string text = R"({"model":"m","n":2})";
  const size_t size = text.size();
  text.append(64, '\0');
  BodyFault fault;
  const auto body =
      RequestBody::Parse(Format::kChat, std::string_view(text).substr(0, size), text.size(), PathSays(), fault);
  ASSERT_NE(body, nullptr);
  EXPECT_EQ(body->choices(), 2);
  EXPECT_EQ(body->body_bytes(), size);
}

TEST(RequestBody, ALargeBodyIsReadAndSpliced) {
  std::string text =
      R"({"model":"dynamic/a","messages":[{"role":"user","content":")" + std::string(8 << 20, 'x') + "\"}]}";
  const std::string spliced = Spliced(text, To("gpt"));
  EXPECT_EQ(spliced.size(), text.size() - 6);
}

TEST(Splice, OnlyTheModelChanges) {
  EXPECT_EQ(
      Spliced("  { \"x\" : [ 1 ,2.50, 1e3 ],\t\"model\" :\"dynamic/a\" , \"u\":\"\\u00e9\\/é\" }\n", To("gpt-4o")),
      "  { \"x\" : [ 1 ,2.50, 1e3 ],\t\"model\" :\"gpt-4o\" , \"u\":\"\\u00e9\\/é\" }\n");
}

TEST(Splice, AModelNameIsQuoted) {
  EXPECT_EQ(Spliced(R"({"model":"m"})", To("a\"b\\c\n")), R"({"model":"a\"b\\c\u000a"})");
}

TEST(Splice, ACapIsAddedWhereTheClientHasNone) {
  RequestBody::Rewrite rewrite = To("m");
  rewrite.output_cap = 256;
  EXPECT_EQ(Spliced(R"({"model":"m"})", rewrite), R"({"model":"m","max_completion_tokens":256})");
  rewrite.cap_field = "max_tokens";
  EXPECT_EQ(Spliced("{ \"model\": \"m\" }  ", rewrite), "{ \"model\": \"m\",\"max_tokens\":256 }  ");
}

TEST(Splice, ACapIsLoweredInTheClientsOwnFieldAndNeverRaised) {
  RequestBody::Rewrite rewrite = To("m");
  rewrite.output_cap = 100;
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens": 5000 })", rewrite), R"({"model":"m","max_tokens": 100 })");
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens": 50 })", rewrite), R"({"model":"m","max_tokens": 50 })");
  EXPECT_EQ(Spliced(R"({"max\u005ftokens":500,"model":"m","max_completion_tokens":50})", rewrite),
            R"({"max\u005ftokens":100,"model":"m","max_completion_tokens":50})");
}

TEST(Splice, ACapThatIsNullIsWrittenOverOnlyWhenItIsTheProvidersField) {
  RequestBody::Rewrite rewrite = To("m");
  rewrite.output_cap = 100;
  EXPECT_EQ(Spliced(R"({"model":"m","max_completion_tokens":null})", rewrite),
            R"({"model":"m","max_completion_tokens":100})");
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens":null})", rewrite),
            R"({"model":"m","max_tokens":null,"max_completion_tokens":100})");
}

TEST(Splice, UsageIsAskedForOnStreamsOnly) {
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true})", To("m")),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":false})", To("m")), R"({"model":"m","stream":false})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":null})", To("m")),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true}})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":{ }})", To("m")),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true }})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":{"x": [1] }})", To("m")),
            R"({"model":"m","stream":true,"stream_options":{"x": [1],"include_usage":true }})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":{"include_usage": false,"x":1}})", To("m")),
            R"({"model":"m","stream":true,"stream_options":{"include_usage": true,"x":1}})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":{"include_usage":false,"include\u005fusage":null}})",
                    To("m")),
            R"({"model":"m","stream":true,"stream_options":{"include_usage":true,"include\u005fusage":true}})");
  RequestBody::Rewrite silent = To("m");
  silent.request_usage = false;
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true})", silent), R"({"model":"m","stream":true})");
}

TEST(Splice, ParametersReplaceTheClientsValuesAndAreAddedElse) {
  RequestBody::Rewrite rewrite = To("m");
  rewrite.parameters_json = R"({"temperature": 0.2, "stop":["a","b"]})";
  EXPECT_EQ(Spliced(R"({"temperature":1,"model":"m","temp\u0065rature":{"x":1}})", rewrite),
            R"({"temperature":0.2,"model":"m","temp\u0065rature":0.2,"stop":["a","b"]})");
}

TEST(Splice, ParametersCannotChangeWhatTheGatewayDecides) {
  RequestBody::Rewrite rewrite = To("gpt");
  rewrite.parameters_json = R"({"model":"other","stream":false,"n":4})";
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"n":2})", rewrite),
            R"({"model":"gpt","stream":true,"stream_options":{"include_usage":true},"n":2})");
  rewrite.parameters_json = R"({"n":1,"stream_options":{"x":1}})";
  EXPECT_EQ(Spliced(R"({"model":"m","n":2})", rewrite), R"({"model":"gpt","n":1})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"n":2})", rewrite),
            R"({"model":"gpt","stream":true,"n":1,"stream_options":{"x":1,"include_usage":true}})");
}

TEST(Splice, ACapInTheParametersIsAnUpperBound) {
  RequestBody::Rewrite rewrite = To("m");
  rewrite.parameters_json = R"({"max_tokens":300})";
  EXPECT_EQ(Spliced(R"({"model":"m"})", rewrite), R"({"model":"m","max_completion_tokens":300})");
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens":1000})", rewrite), R"({"model":"m","max_tokens":300})");
  rewrite.output_cap = 200;
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens":1000})", rewrite), R"({"model":"m","max_tokens":200})");
  rewrite.output_cap = 400;
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens":1000})", rewrite), R"({"model":"m","max_tokens":300})");
}

// Writes random JSON with odd but legal spelling: spaces, escapes, deep nesting, brackets in strings.
class RandomJson {
 public:
  explicit RandomJson(uint32_t seed) : random_(seed) {}
  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::string Space() {
    static const char* const kSpaces[] = {"", "", "", " ", "\n", "\t ", "\r\n  "};
    return kSpaces[Below(std::size(kSpaces))];
  }
  std::string String() {
    static const char* const kPieces[] = {"a",    "{",    "}",   "[",       "]",         ",",  ":",
                                          "\\\"", "\\\\", "\\n", "\\u00e9", "é",         "漢", "\\ud83d\\ude00",
                                          "😀",    " ",    "/",   "\\/",     "max_tokens"};
    std::string out = "\"";
    for (size_t i = Below(8); i > 0; --i) out += kPieces[Below(std::size(kPieces))];
    return out + "\"";
  }
  std::string Value(int depth) {
    static const char* const kScalars[] = {"0",    "-1",    "1.50", "1e3",           "-0.0E-2",
                                           "true", "false", "null", "12345678901234"};
    const size_t kind = Below(depth > 0 ? 5 : 3);
    if (kind == 0) return String();
    if (kind <= 2) return kScalars[Below(std::size(kScalars))];
    std::string out(1, kind == 3 ? '[' : '{');
    const size_t count = Below(4);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out += ",";
      out += Space();
      if (kind == 4) out += String() + Space() + ":" + Space();
      out += Value(depth - 1) + Space();
    }
    if (count == 0) out += Space();
    return out + (kind == 3 ? "]" : "}");
  }

 private:
  std::mt19937 random_;
};

TEST(SpliceProperty, ParsesAlikeButForTheOwnedKeysAndKeepsEveryOtherByte) {
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    SCOPED_TRACE(seed);
    RandomJson random(seed);
    // Members in random order; the owned ones are marked so that the expectation is written by other means.
    struct Member {
      std::string key, value, expected;
    };
    const bool stream = random.Below(2) == 0;
    std::vector<Member> members = {{"\"model\"", "\"dynamic/x\"", "\"gpt-5.1\""}};
    members.push_back({"\"stream\"", stream ? "true" : "false", stream ? "true" : "false"});
    const bool has_cap = random.Below(2) == 0;
    if (has_cap) members.push_back({"\"max\\u005ftokens\"", "999", "77"});
    const bool has_options = random.Below(2) == 0;
    if (has_options) {
      const std::string rest = "\"z\" :" + random.Value(1);
      members.push_back({"\"stream_options\"", "{\"include_usage\": false ," + rest + "}",
                         std::string("{\"include_usage\": ") + (stream ? "true" : "false") + " ," + rest + "}"});
    }
    for (size_t i = random.Below(6); i > 0; --i) {
      const std::string value = random.Value(4);
      members.push_back({"\"k" + std::to_string(i) + random.String().substr(1), value, value});
    }
    for (size_t i = members.size() - 1; i > 0; --i) std::swap(members[i], members[random.Below(i + 1)]);
    std::string added;
    if (!has_cap) added += ",\"max_completion_tokens\":77";
    if (stream && !has_options) added += ",\"stream_options\":{\"include_usage\":true}";

    std::string text = random.Space() + "{" + random.Space();
    std::string expected = text;
    for (size_t i = 0; i < members.size(); ++i) {
      const std::string before =
          (i > 0 ? "," + random.Space() : "") + members[i].key + random.Space() + ":" + random.Space();
      const std::string after = i + 1 < members.size() ? random.Space() : "";
      text += before + members[i].value + after;
      expected += before + members[i].expected + after;
    }
    const std::string end = random.Space() + "}" + random.Space();
    text += end;
    expected += added + end;

    RequestBody::Rewrite rewrite = To("gpt-5.1");
    rewrite.output_cap = 77;
    const std::string spliced = Spliced(text, rewrite);
    ASSERT_EQ(spliced, expected) << text;
    ASSERT_EQ(Spliced(spliced, rewrite), spliced) << "splicing twice changes nothing more";

    const json in = json::parse(text);
    json out = json::parse(spliced);
    EXPECT_EQ(out["model"], "gpt-5.1");
    for (const char* owned : {"model", "max_tokens", "max_completion_tokens", "stream_options"}) out.erase(owned);
    for (const auto& [key, value] : out.items()) EXPECT_EQ(value, in.at(key)) << key;
  }
}

TEST(BoundInput, BytesArePricedAtTheDearestInputPriceRoundedUp) {
  const auto body = MustParse(R"({"model":"m"})");
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1'250'000'000);
  price.set_cache_write_nanos_per_mtok(1'500'000'001);
  price.set_cached_input_nanos_per_mtok(125'000'000);
  const InputBound bound = BoundInput(*body, 1000, price);
  ASSERT_TRUE(bound.unbounded.ok());
  EXPECT_EQ(bound.nanos, 1'500'001);
  EXPECT_EQ(bound.tokens, 1000);
  EXPECT_EQ(BoundInput(*body, 0, price).nanos, 19'501);  // never under the body's own 13 bytes
  EXPECT_EQ(BoundInput(*body, 0, price).tokens, 13);
}

TEST(BoundInput, OnlyTiersThatThePromptCanReachCountAndTheCallItselfDoes) {
  BodyFault fault;
  const auto body = RequestBody::Parse(R"({"model":"m"})", fault);
  ASSERT_NE(body, nullptr) << fault.message;
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1'000'000);
  price.set_request_nanos(5);
  v1::PriceTier& tier = *price.add_tiers();
  tier.set_above_input_tokens(1'000);
  tier.mutable_rates()->set_input_nanos_per_mtok(2'000'000);
  tier.mutable_rates()->set_request_nanos(7);
  EXPECT_EQ(BoundInput(*body, 1'000, price).nanos, 1'005);
  EXPECT_EQ(BoundInput(*body, 1'001, price).nanos, 2'009);
}

TEST(BoundInput, APartWithAKnownMaximumAddsIt) {
  const auto body = MustParse(R"({"model":"m","messages":[{"content":[{"type":"image_url"},{"type":"image_url"}]}]})");
  v1::ModelPrice price;
  price.set_input_nanos_per_mtok(1'000'000);
  price.set_image_tokens_max(1500);
  EXPECT_EQ(BoundInput(*body, 1000, price).nanos, 4000);
  EXPECT_EQ(BoundInput(*body, 1000, price).tokens, 4000);
  EXPECT_EQ(BoundInput(*body, 1000, v1::ModelPrice()).tokens, 1000) << "without a maximum: its bytes";
  price.set_image_tokens_max(std::numeric_limits<int64_t>::max());
  price.set_input_nanos_per_mtok(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(BoundInput(*body, 1000, price).nanos, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(BoundInput(*body, 1000, price).tokens, std::numeric_limits<int64_t>::max());
}

TEST(BoundInput, APartWithoutAKnownMaximumIsRefusedByKindAndModel) {
  v1::ModelPrice price;
  price.set_model("gpt-5.1");
  price.set_image_tokens_max(10);
  const auto audio =
      MustParse(R"({"model":"m","messages":[{"content":[{"type":"image_url"},{"type":"input_audio"}]}]})");
  const absl::Status status = BoundInput(*audio, 1000, price).unbounded;
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            "the request has 1 audio part, and the price of model \"gpt-5.1\" does not say how many tokens one can "
            "become: set audio_tokens_max in its price, or send no audio parts");
  const auto file = MustParse(R"({"model":"m","messages":[{"content":[{"type":"file"},{"type":"file"}]}]})");
  EXPECT_THAT(std::string(BoundInput(*file, 1, price).unbounded.message()), HasSubstr("2 file parts"));
}

// Other formats than chat completions.

std::unique_ptr<RequestBody> Read(Format format, std::string_view json, const PathSays& path = PathSays()) {
  BodyFault fault;
  auto body = RequestBody::Parse(format, json, json.size(), path, fault);
  EXPECT_NE(body, nullptr) << fault.message;
  return body;
}

std::string FaultOf(Format format, std::string_view json) {
  BodyFault fault;
  EXPECT_EQ(RequestBody::Parse(format, json, json.size(), PathSays(), fault), nullptr);
  return fault.code + ": " + fault.message + " [" + fault.param + "]";
}

TEST(RequestBody, AMessagesBodyIsSplicedByItsOwnNames) {
  const auto body =
      Read(Format::kMessages,
           R"({ "model":"dynamic/x", "max_tokens": 500, "messages":[], "stream":true, "metadata":{"user_id":"u1"} })");
  EXPECT_EQ(body->model(), "dynamic/x");
  EXPECT_TRUE(body->stream());
  EXPECT_TRUE(body->client_wants_usage());
  EXPECT_EQ(body->output_cap(), 500);
  EXPECT_EQ(body->metadata().at(0).first, "user_id");
  RequestBody::Rewrite rewrite;
  rewrite.model = "claude-sonnet-4-5";
  rewrite.output_cap = 100;
  EXPECT_EQ(
      body->Splice(rewrite),
      R"({ "model":"claude-sonnet-4-5", "max_tokens": 100, "messages":[], "stream":true, "metadata":{"user_id":"u1"} })");
}

TEST(RequestBody, AResponsesBodyHasOneCap) {
  const auto body = Read(Format::kResponses, R"({"model":"m","input":"hi"})");
  EXPECT_EQ(body->output_cap(), std::nullopt);
  RequestBody::Rewrite rewrite;
  rewrite.model = "m";
  rewrite.output_cap = 64;
  rewrite.cap_field = "max_tokens";  // a chat completion's
  rewrite.parameters_json = R"({"temperature":0,"max_tokens":32})";
  EXPECT_EQ(body->Splice(rewrite), R"({"model":"m","input":"hi","max_output_tokens":32,"temperature":0})");
}

TEST(RequestBody, EmbeddingsPutNothingOutAndAreNeverCapped) {
  const auto body = Read(Format::kEmbeddings, R"({"model":"e","input":["a","b"]})");
  EXPECT_EQ(body->output_cap(), 1);
  RequestBody::Rewrite rewrite;
  rewrite.model = "e2";
  rewrite.output_cap = 1;
  EXPECT_EQ(body->Splice(rewrite), R"({"model":"e2","input":["a","b"]})");
}

TEST(RequestBody, AModelInThePathCountsMoreThanTheBodysAndIsAddedWhereThatNamesNone) {
  PathSays path;
  path.model = "my-deployment";
  RequestBody::Rewrite rewrite;
  rewrite.model = "my-deployment";
  const std::string named = R"({ "model":"gpt-4o", "messages":[] })";
  const auto body = Read(Format::kChat, named, path);
  EXPECT_EQ(body->model(), "my-deployment");
  EXPECT_EQ(body->Splice(rewrite), named);
  EXPECT_EQ(Read(Format::kChat, R"({"messages":[]})", path)->Splice(rewrite),
            R"({"messages":[],"model":"my-deployment"})");
}

TEST(RequestBody, GoogleSaysModelAndStreamInThePathAndItsCapInsideTheConfig) {
  PathSays path;
  path.model = "gemini-2.5-pro";
  path.stream = true;
  const auto body =
      Read(Format::kGenerateContent,
           R"({"contents":[],"generationConfig":{"temperature":1,"maxOutputTokens":900,"candidateCount":3}})", path);
  EXPECT_EQ(body->model(), "gemini-2.5-pro");
  EXPECT_TRUE(body->stream());
  EXPECT_EQ(body->output_cap(), 900);
  EXPECT_EQ(body->choices(), 3);
  RequestBody::Rewrite rewrite;
  rewrite.model = "other";
  rewrite.output_cap = 70;
  EXPECT_EQ(body->Splice(rewrite),
            R"({"contents":[],"generationConfig":{"temperature":1,"maxOutputTokens":70,"candidateCount":3}})");
  EXPECT_EQ(Read(Format::kGenerateContent, "{}", path)->Splice(rewrite),
            R"({"generationConfig":{"maxOutputTokens":70}})");
  EXPECT_EQ(Read(Format::kConverse, R"({"inferenceConfig":{}})", path)->Splice(rewrite),
            R"({"inferenceConfig":{"maxTokens":70}})");
}

TEST(RequestBody, AnotherSpellingOfTheConfigCannotHideASecondCap) {
  EXPECT_EQ(FaultOf(Format::kGenerateContent, R"({"generation_config":{"maxOutputTokens":9}})"),
            "invalid_request: write \"generationConfig\" for \"generation_config\" [generation_config]");
  EXPECT_EQ(FaultOf(Format::kGenerateContent, R"({"generationConfig":{"max_output_tokens":9}})"),
            "invalid_request: write \"maxOutputTokens\" for \"generationConfig.max_output_tokens\" "
            "[generationConfig.max_output_tokens]");
  EXPECT_EQ(FaultOf(Format::kGenerateContent, R"({"generationConfig":{"maxOutputTokens":9,"max\u004futputTokens":8}})"),
            "duplicate_key: the body has \"generationConfig.maxOutputTokens\" twice: send it once "
            "[generationConfig.maxOutputTokens]");
}

TEST(RequestBody, WhatMayCostMoreThanItsBytesIsCountedInEveryFormat) {
  const auto parts = [](Format format, std::string_view json) {
    const RequestBody::Parts p = Read(format, json)->parts();
    return std::vector<int64_t>{p.images, p.audio, p.files, p.tools ? 1 : 0};
  };
  using Counts = std::vector<int64_t>;
  EXPECT_EQ(parts(Format::kMessages,
                  R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image"},
                     {"type":"tool_result","content":[{"type":"image"},{"type":"text"}]},{"type":"document"}]}],
                     "tools":[{"name":"f"},{"type":"web_search_20250305"}]})"),
            (Counts{2, 0, 2, 1}));
  EXPECT_EQ(parts(Format::kResponses,
                  R"({"model":"m","input":[{"role":"user","content":[{"type":"input_text"},{"type":"input_image"},
                     {"type":"input_audio"},{"type":"input_file"}]},{"type":"item_reference","id":"x"}],
                     "previous_response_id":"r"})"),
            (Counts{1, 1, 3, 0}));
  EXPECT_EQ(parts(Format::kGenerateContent,
                  R"({"contents":[{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png"}},
                     {"file_data":{"mime_type":"audio/mp3"}},{"fileData":{"fileUri":"x"}}]}],
                     "tools":[{"googleSearch":{}}],"cachedContent":"c"})"),
            (Counts{1, 1, 3, 1}));
  EXPECT_EQ(parts(Format::kConverse,
                  R"({"messages":[{"content":[{"text":"a"},{"image":{}},{"document":{}},
                     {"toolResult":{"content":[{"image":{}},{"text":"x"}]}}]}],"toolConfig":{}})"),
            (Counts{2, 0, 1, 1}));
}

}  // namespace
}  // namespace signalbox
