#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "common/limits.h"
#include "dataplane/provider/openai_wire.h"

namespace signalbox {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::unique_ptr<ChatBody> MustParse(std::string_view text) {
  BodyFault fault;
  std::unique_ptr<ChatBody> body = ChatBody::Parse(text, fault);
  EXPECT_NE(body, nullptr) << fault.message << "\n" << text;
  return body;
}

BodyFault MustRefuse(std::string_view text) {
  BodyFault fault;
  EXPECT_EQ(ChatBody::Parse(text, fault), nullptr) << text;
  EXPECT_EQ(fault.status, 400);
  return fault;
}

ChatBody::Rewrite To(std::string model) {
  ChatBody::Rewrite rewrite;
  rewrite.model = std::move(model);
  return rewrite;
}

std::string Spliced(std::string_view text, const ChatBody::Rewrite& rewrite) {
  return MustParse(text)->Splice(rewrite);
}

TEST(ChatBody, ReadsTheKeysTheGatewayOwns) {
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

TEST(ChatBody, ABareBodyHasTheDefaultsOfTheApi) {
  const auto body = MustParse(R"({"model":"m"})");
  EXPECT_FALSE(body->stream());
  EXPECT_FALSE(body->client_wants_usage());
  EXPECT_EQ(body->choices(), 1);
  EXPECT_EQ(body->output_cap(), std::nullopt);
  EXPECT_TRUE(body->metadata().empty());
  EXPECT_EQ(body->body_bytes(), 13u);
}

TEST(ChatBody, NullMeansAbsentForOptionalKeys) {
  const auto body = MustParse(R"({"model":"m","stream":null,"n":null,"max_tokens":null,"max_completion_tokens":null,
      "stream_options":null,"metadata":null})");
  EXPECT_FALSE(body->stream());
  EXPECT_EQ(body->choices(), 1);
  EXPECT_EQ(body->output_cap(), std::nullopt);
  EXPECT_TRUE(body->metadata().empty());
}

TEST(ChatBody, KeysAreComparedUnescaped) {
  const auto body = MustParse(R"({"\u006dodel":"m","max\u005ftokens":7})");
  EXPECT_EQ(body->model(), "m");
  EXPECT_EQ(body->output_cap(), 7);
}

TEST(ChatBody, ADuplicateOfAnOwnedKeyIsRefusedByName) {
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

TEST(ChatBody, ADuplicateOfOthersKeysIsTheClientsAffair) {
  EXPECT_EQ(MustParse(R"({"model":"m","user":"a","user":"b"})")->Get({"user"}).text, "b");
}

TEST(ChatBody, OwnedKeysOfAWrongTypeAreRefusedByName) {
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

TEST(ChatBody, WhatIsNotJsonIsRefusedWithItsPlace) {
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

TEST(ChatBody, EveryPrefixOfABodyIsRefused) {
  const std::string text = R"({"model":"m\\\"","a":[{"b":"]}"},-1.5e3,true,null],"n":2})";
  MustParse(text);
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(MustRefuse(std::string_view(text).substr(0, length)).code, "invalid_json") << length;
  }
}

TEST(ChatBody, FieldsAreFoundByPath) {
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

TEST(ChatBody, PartsThatMayCostMoreThanTheirBytesAreCounted) {
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

TEST(ChatBody, PartsOfEverySecondMessagesKeyAreCountedToo) {
  const auto body =
      MustParse(R"({"model":"m","messages":[{"content":[{"type":"image_url"}]}],"messages":[{"content":"text"}]})");
  EXPECT_EQ(body->parts().images, 1);
}

TEST(ChatBody, ABufferWithRoomBehindItIsReadWhereItStands) {
  std::string text = R"({"model":"m","n":2})";
  const size_t size = text.size();
  text.append(64, '\0');
  BodyFault fault;
  const auto body = ChatBody::Parse(std::string_view(text).substr(0, size), text.size(), fault);
  ASSERT_NE(body, nullptr);
  EXPECT_EQ(body->choices(), 2);
  EXPECT_EQ(body->body_bytes(), size);
}

TEST(ChatBody, ALargeBodyIsReadAndSpliced) {
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
  ChatBody::Rewrite rewrite = To("m");
  rewrite.output_cap = 256;
  EXPECT_EQ(Spliced(R"({"model":"m"})", rewrite), R"({"model":"m","max_completion_tokens":256})");
  rewrite.cap_field = "max_tokens";
  EXPECT_EQ(Spliced("{ \"model\": \"m\" }  ", rewrite), "{ \"model\": \"m\",\"max_tokens\":256 }  ");
}

TEST(Splice, ACapIsLoweredInTheClientsOwnFieldAndNeverRaised) {
  ChatBody::Rewrite rewrite = To("m");
  rewrite.output_cap = 100;
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens": 5000 })", rewrite), R"({"model":"m","max_tokens": 100 })");
  EXPECT_EQ(Spliced(R"({"model":"m","max_tokens": 50 })", rewrite), R"({"model":"m","max_tokens": 50 })");
  EXPECT_EQ(Spliced(R"({"max\u005ftokens":500,"model":"m","max_completion_tokens":50})", rewrite),
            R"({"max\u005ftokens":100,"model":"m","max_completion_tokens":50})");
}

TEST(Splice, ACapThatIsNullIsWrittenOverOnlyWhenItIsTheProvidersField) {
  ChatBody::Rewrite rewrite = To("m");
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
  ChatBody::Rewrite silent = To("m");
  silent.request_usage = false;
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true})", silent), R"({"model":"m","stream":true})");
}

TEST(Splice, ParametersReplaceTheClientsValuesAndAreAddedElse) {
  ChatBody::Rewrite rewrite = To("m");
  rewrite.parameters_json = R"({"temperature": 0.2, "stop":["a","b"]})";
  EXPECT_EQ(Spliced(R"({"temperature":1,"model":"m","temp\u0065rature":{"x":1}})", rewrite),
            R"({"temperature":0.2,"model":"m","temp\u0065rature":0.2,"stop":["a","b"]})");
}

TEST(Splice, ParametersCannotChangeWhatTheGatewayDecides) {
  ChatBody::Rewrite rewrite = To("gpt");
  rewrite.parameters_json = R"({"model":"other","stream":false,"n":4})";
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"n":2})", rewrite),
            R"({"model":"gpt","stream":true,"stream_options":{"include_usage":true},"n":2})");
  rewrite.parameters_json = R"({"n":1,"stream_options":{"x":1}})";
  EXPECT_EQ(Spliced(R"({"model":"m","n":2})", rewrite), R"({"model":"gpt","n":1})");
  EXPECT_EQ(Spliced(R"({"model":"m","stream":true,"n":2})", rewrite),
            R"({"model":"gpt","stream":true,"n":1,"stream_options":{"x":1,"include_usage":true}})");
}

TEST(Splice, ACapInTheParametersIsAnUpperBound) {
  ChatBody::Rewrite rewrite = To("m");
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

    ChatBody::Rewrite rewrite = To("gpt-5.1");
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

}  // namespace
}  // namespace signalbox
