#include "dataplane/routing/request_fields.h"

#include <gtest/gtest.h>

namespace signalbox {
namespace {

using Kind = FieldValue::Kind;

struct Parts {
  std::string json = R"({"model":"dynamic/r","messages":[],"max_tokens":50,"tools":[{"type":"function"}]})";
  v1::SnapshotKey key;
  HeaderFields headers;

  std::unique_ptr<RequestBody> Body() const {
    BodyFault fault;
    std::unique_ptr<RequestBody> body = RequestBody::Parse(json, fault);
    EXPECT_NE(body, nullptr) << fault.message;
    return body;
  }
  std::variant<Metadata, Refusal> Merge() const { return MergeMetadata(key, headers, *Body()); }
  std::string Merged() const {
    const auto merged = Merge();
    return std::holds_alternative<Metadata>(merged) ? MetadataJson(std::get<Metadata>(merged))
                                                    : std::get<Refusal>(merged).message;
  }
};

v1::FieldRef Field(v1::FieldRef::Root root, std::vector<std::string> path) {
  v1::FieldRef field;
  field.set_root(root);
  for (auto& part : path) field.add_path(part);
  return field;
}

TEST(MergeMetadata, StrongestFirstKeyByKey) {
  Parts parts;
  parts.json = R"({"model":"m","messages":[],"metadata":{"plan":"body","from":"body","email":"body"}})";
  parts.headers.Set("cf-aig-metadata", R"({"plan":"header","email":"header","n":5,"beta":true})");
  parts.key.set_pinned_metadata_json(R"({"plan":"pinned"})");
  EXPECT_EQ(parts.Merged(), R"({"beta":true,"email":"header","from":"body","n":5.0,"plan":"pinned"})");
}

TEST(MergeMetadata, TheAliasIsReadAndBothAreRefused) {
  Parts parts;
  parts.headers.Set("signalbox-metadata", R"({"plan":"free"})");
  EXPECT_EQ(parts.Merged(), R"({"plan":"free"})");
  parts.headers.Set("cf-aig-metadata", R"({"plan":"paid"})");
  EXPECT_EQ(parts.Merged(), "send metadata in one header: cf-aig-metadata or signalbox-metadata, once");
}

TEST(MergeMetadata, RefusalsNameTheHeaderAndTheFault) {
  const std::pair<std::string, std::string> cases[] = {
      {"not json", "the cf-aig-metadata header must be a JSON object"},
      {"[1]", "the cf-aig-metadata header must be a JSON object"},
      {R"({"a":{"b":1}})", "the cf-aig-metadata header must be flat: \"a\" is not a string, number or boolean"},
      {R"({"a":1,"a":2})", "the cf-aig-metadata header names \"a\" twice"},
      {"", "the cf-aig-metadata header must be a JSON object"},
  };
  for (const auto& [value, message] : cases) {
    Parts parts;
    parts.headers.Set("cf-aig-metadata", value);
    const auto merged = parts.Merge();
    ASSERT_TRUE(std::holds_alternative<Refusal>(merged)) << value;
    EXPECT_EQ(std::get<Refusal>(merged).status, 400);
    EXPECT_EQ(std::get<Refusal>(merged).code, "invalid_metadata");
    EXPECT_EQ(std::get<Refusal>(merged).message, message);
  }
}

TEST(MergeMetadata, MoreThan32EntriesAreRefused) {
  std::string json = "{";
  for (int i = 0; i < 33; ++i) json += (i > 0 ? ",\"k" : "\"k") + std::to_string(i) + "\":1";
  Parts parts;
  parts.headers.Set("cf-aig-metadata", json + "}");
  EXPECT_EQ(parts.Merged(), "the cf-aig-metadata header may have at most 32 entries");
}

TEST(MergeMetadata, MoreBytesThanASpendRecordTakesAreRefused) {
  Parts parts;
  parts.json = R"({"model":"m","messages":[],"metadata":{"note":")" + std::string(64 << 10, 'x') + "\"}}";
  const auto merged = parts.Merge();
  ASSERT_TRUE(std::holds_alternative<Refusal>(merged));
  EXPECT_EQ(std::get<Refusal>(merged).code, "invalid_metadata");
  EXPECT_EQ(std::get<Refusal>(merged).message, "metadata may have at most 65536 bytes, not 65540");
  parts.json = R"({"model":"m","messages":[],"metadata":{"note":")" + std::string((64 << 10) - 4, 'x') + "\"}}";
  EXPECT_TRUE(std::holds_alternative<Metadata>(parts.Merge()));
}

TEST(RequestFields, ReachesAllThreeRoots) {
  Parts parts;
  parts.headers.Set("X-Region", "eu");
  parts.headers.Set("cf-aig-metadata", R"({"plan":"free","user.id":7,"none":null})");
  const std::unique_ptr<RequestBody> body = parts.Body();
  const Metadata metadata = std::get<Metadata>(MergeMetadata(parts.key, parts.headers, *body));
  const RequestFields fields(metadata, *body, parts.headers);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::METADATA, {"plan"})).text, "free");
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::METADATA, {"user", "id"})).number, 7);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::METADATA, {"none"})).kind, Kind::kNull);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::METADATA, {"absent"})).kind, Kind::kMissing);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::BODY, {"max_tokens"})).number, 50);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::BODY, {"tools"})).kind, Kind::kArray);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::BODY, {"tools", "x", "y"})).kind, Kind::kMissing);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::HEADERS, {"x-region"})).text, "eu");
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::HEADERS, {"x-none"})).kind, Kind::kMissing);
}

TEST(RequestFields, TheGatewayKeyIsNoField) {
  Parts parts;
  parts.headers.Set("Authorization", "Bearer sbx_secret");
  parts.headers.Set("cf-aig-authorization", "Bearer sbx_secret");
  const std::unique_ptr<RequestBody> body = parts.Body();
  const Metadata metadata;
  const RequestFields fields(metadata, *body, parts.headers);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::HEADERS, {"authorization"})).kind, Kind::kMissing);
  EXPECT_EQ(fields.Get(Field(v1::FieldRef::HEADERS, {"cf-aig-authorization"})).kind, Kind::kMissing);
}

}  // namespace
}  // namespace signalbox
