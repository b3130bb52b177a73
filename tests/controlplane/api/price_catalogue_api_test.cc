#include "tests/controlplane/api/api_fixture.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

constexpr char kUrl[] = "https://prices.example/data.json";
constexpr char kData[] = R"([{"id": "openai", "models": [
    {"id": "gpt-4o-mini", "match": {"starts_with": "gpt-4o-mini"}, "prices": {"input_mtok": 1, "output_mtok": 2}},
    {"id": "gpt-5.1", "match": {"equals": "gpt-5.1"}, "prices": {"input_mtok": 3, "output_mtok": 4}}]}])";

TEST_F(ApiTest, TheCatalogueIsTheBuildsUntilARefreshAndNothingIsFetchedWithoutAnAddress) {
  const auto status = Call(*prices_, &v1::Prices::Stub::GetPriceCatalogue, v1::GetPriceCatalogueRequest());
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_TRUE(status->bundled());
  EXPECT_EQ(status->models(), 2);
  EXPECT_EQ(status->refresh_url(), "");
  EXPECT_EQ(status->next_refresh_us(), 0);
  const auto refused = Call(*prices_, &v1::Prices::Stub::RefreshPrices, v1::RefreshPricesRequest());
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("--price_url=URL"));
  token_ = "";
  EXPECT_EQ(Call(*prices_, &v1::Prices::Stub::RefreshPrices, v1::RefreshPricesRequest()).status().code(),
            absl::StatusCode::kUnauthenticated);
}

TEST_F(ApiTest, ARefreshIsPublishedAFailedOneIsToldAndTheBuildsPricesComeBackWhenAsked) {
  Stop();
  price_url_ = kUrl;
  price_data_ = kData;
  Start();
  const auto refreshed = Call(*prices_, &v1::Prices::Stub::RefreshPrices, v1::RefreshPricesRequest());
  ASSERT_TRUE(refreshed.ok()) << refreshed.status();
  EXPECT_EQ(refreshed->source(), kUrl);
  EXPECT_EQ(refreshed->refresh_url(), kUrl);
  EXPECT_FALSE(refreshed->bundled());
  EXPECT_EQ(publisher_.commits, 1);
  v1::GetPriceRequest get;
  get.set_gateway("default");
  get.set_provider("openai");
  get.set_model("gpt-4o-mini-2024-07-18");
  EXPECT_EQ(Call(*prices_, &v1::Prices::Stub::GetPrice, get)->input_nanos_per_mtok(), 1'000'000'000);

  price_data_ = "<html>";
  const auto bad = Call(*prices_, &v1::Prices::Stub::RefreshPrices, v1::RefreshPricesRequest());
  EXPECT_EQ(bad.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(bad.status().message(), "the catalogue at https://prices.example/data.json is not taken: it is not JSON");
  const auto after = Call(*prices_, &v1::Prices::Stub::GetPriceCatalogue, v1::GetPriceCatalogueRequest());
  EXPECT_EQ(after->last_error(), bad.status().message());
  EXPECT_EQ(after->sha256(), refreshed->sha256());
  EXPECT_EQ(publisher_.commits, 1);

  v1::RefreshPricesRequest back;
  back.set_bundled(true);
  EXPECT_TRUE(Call(*prices_, &v1::Prices::Stub::RefreshPrices, back)->bundled());
  EXPECT_EQ(Call(*prices_, &v1::Prices::Stub::GetPrice, get).status().code(), absl::StatusCode::kNotFound);
  back.set_force(true);
  EXPECT_EQ(Call(*prices_, &v1::Prices::Stub::RefreshPrices, back).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace signalbox
