#include "controlplane/http/json_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "signalbox/v1/gateway.pb.h"
#include "signalbox/v1/route.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FillRequest, PathQueryAndBodyMeetInOneMessage) {
  v1::DeployRequest request;
  ASSERT_TRUE(FillRequest({{"gateway", "default"}, {"route", "my-saas"}}, {{"waitMs", "500"}},
                          R"({"version": "7", "comment": "go"})", request)
                  .ok());
  EXPECT_EQ(request.gateway(), "default");
  EXPECT_EQ(request.route(), "my-saas");
  EXPECT_EQ(request.version(), 7);
  EXPECT_EQ(request.comment(), "go");
  EXPECT_EQ(request.wait_ms(), 500);
}

TEST(FillRequest, ADottedPathFieldFillsASubMessage) {
  v1::ApplyProviderRequest request;
  ASSERT_TRUE(FillRequest({{"provider.gateway", "default"}, {"provider.name", "openai"}}, {},
                          R"({"provider": {"kind": "openai", "name": "openai"}})", request)
                  .ok());
  EXPECT_EQ(request.provider().gateway(), "default");
  EXPECT_EQ(request.provider().name(), "openai");
}

TEST(FillRequest, ABodyThatContradictsThePathIsRefused) {
  v1::ApplyProviderRequest request;
  const absl::Status status = FillRequest({{"provider.name", "openai"}}, {}, R"({"provider": {"name": "x"}})", request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"provider.name\" is \"x\" in the body and \"openai\" in the"));
  EXPECT_EQ(ParamOf(status), "provider.name");
}

TEST(FillRequest, TextThatIsNotUtf8IsRefused) {
  v1::GetRouteRequest request;
  const absl::Status status = FillRequest({{"gateway", "default"}, {"route", "\xff"}}, {}, "", request);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"route\" is not UTF-8"));
}

TEST(FillRequest, ARepeatedQueryFieldAddsUp) {
  v1::QueryUsageRequest request;
  ASSERT_TRUE(FillRequest({}, {{"by", "route"}, {"by", "model"}, {"start_time_us", "12"}}, "", request).ok());
  EXPECT_THAT(request.by(), ElementsAre("route", "model"));
  EXPECT_EQ(request.start_time_us(), 12);
}

TEST(FillRequest, EnumsAndBooleansGoByName) {
  v1::ListRequestsRequest list;
  ASSERT_TRUE(FillRequest({}, {{"outcome", "REFUSED"}}, "", list).ok());
  EXPECT_EQ(list.outcome(), v1::REFUSED);
  v1::DeleteRouteRequest remove;
  ASSERT_TRUE(FillRequest({}, {{"force", "true"}}, "", remove).ok());
  EXPECT_TRUE(remove.force());
}

TEST(FillRequest, BadQueryFieldsAreNamed) {
  const auto fault = [](const QueryFields& query) {
    v1::ListRequestsRequest request;
    const absl::Status status = FillRequest({{"gateway", "g"}}, query, "", request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(ParamOf(status), query.back().first);
    return std::string(status.message());
  };
  EXPECT_THAT(fault({{"colour", "red"}}), HasSubstr("is not a parameter of this call"));
  EXPECT_THAT(fault({{"pageSize", "ten"}}), HasSubstr("must be a whole number, not \"ten\""));
  EXPECT_THAT(fault({{"pageSize", "99999999999"}}), HasSubstr("must be a whole number"));
  EXPECT_THAT(fault({{"outcome", "FINE"}}), HasSubstr("has no value \"FINE\""));
  EXPECT_THAT(fault({{"route", "a"}, {"route", "b"}}), HasSubstr("is given twice"));
  EXPECT_THAT(fault({{"gateway", "other"}}), HasSubstr("is in the path already"));
}

TEST(FillRequest, ABodyThatIsNotTheMessageIsRefused) {
  for (const char* body :
       {"{", "[]", "5", "\"text\"", R"({"colour": 1})", R"({"version": "x"})", R"({"comment": {}})"}) {
    v1::DeployRequest request;
    const absl::Status status = FillRequest({}, {}, body, request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << body;
    EXPECT_THAT(std::string(status.message()), HasSubstr("not the JSON of signalbox.v1.DeployRequest")) << body;
  }
}

TEST(FillRequest, ADeepBodyIsRefusedNotARecursion) {
  v1::DeployRequest request;
  EXPECT_FALSE(FillRequest({}, {}, std::string(100'000, '['), request).ok());
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  EXPECT_FALSE(FillRequest({}, {}, objects, request).ok());
}

TEST(ParseQuery, Decodes) {
  const auto fields = ParseQuery("a=1%202&b=x+y&&c&d=%C3%A9");
  ASSERT_TRUE(fields.ok()) << fields.status();
  EXPECT_THAT(*fields, ElementsAre(std::pair("a", "1 2"), std::pair("b", "x y"), std::pair("c", ""),
                                   std::pair("d", "\xC3\xA9")));
  EXPECT_EQ(ParseQuery("a=%4").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace signalbox
