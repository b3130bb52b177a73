// Prices that a whole control plane keeps itself: from a file's address, over restarts.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "controlplane/controlplane.h"
#include "signalbox/v1/gateway.grpc.pb.h"
#include "tests/controlplane/ledger/temp_dir.h"
#include "tests/testing/eventually.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

// As many models as the build knows, so that no guard minds; the first of them has a price of its own.
std::string Data(const std::string& mini_input) {
  std::string models = R"({"id": "gpt-4o-mini", "match": {"equals": "gpt-4o-mini"}, "prices": {"input_mtok": )" +
                       mini_input + R"(, "output_mtok": 2}})";
  for (int i = 0; i < 2'000; ++i) {
    const std::string name = "m-" + std::to_string(i);
    models += R"(, {"id": ")" + name + R"(", "match": {"equals": ")" + name + R"("}, "prices": {"input_mtok": 1}})";
  }
  return R"([{"id": "openai", "models": [)" + models + "]}]";
}

class PriceRefreshTest : public ::testing::Test {
 protected:
  PriceRefreshTest() {
    options_.data_dir = dir_.File("plane");
    options_.grpc_address = "127.0.0.1:0";
    options_.http_address = "127.0.0.1:0";
    options_.quota = "off";
    options_.price_url = "file://" + dir_.File("data.json");
  }
  ~PriceRefreshTest() override { Stop(); }

  void Write(const std::string& data) { std::ofstream(dir_.File("data.json")) << data; }
  void Start() {
    auto plane = ControlPlane::Start(options_);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = *std::move(plane);
    prices_ = v1::Prices::NewStub(*NewChannel(plane_->grpc_address(), {}));
    token_ = *ReadTokenFile(options_.data_dir + "/admin.token");
  }
  void Stop() {
    if (plane_ != nullptr) plane_->Stop();
    plane_.reset();
  }

  v1::PriceCatalogueStatus Status() {
    grpc::ClientContext context;
    AddToken(context, token_);
    v1::PriceCatalogueStatus status;
    EXPECT_TRUE(prices_->GetPriceCatalogue(&context, v1::GetPriceCatalogueRequest(), &status).ok());
    return status;
  }
  int64_t MiniInput() {
    grpc::ClientContext context;
    AddToken(context, token_);
    v1::GetPriceRequest request;
    request.set_gateway("default");
    request.set_provider("openai");
    request.set_model("gpt-4o-mini");
    v1::ModelPrice price;
    EXPECT_TRUE(prices_->GetPrice(&context, request, &price).ok());
    return price.input_nanos_per_mtok();
  }

  TempDir dir_;
  ControlPlaneOptions options_;
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<v1::Prices::Stub> prices_;
  std::string token_;
};

TEST_F(PriceRefreshTest, PricesAreFetchedAtTheStartAndKeptOverARestartWithoutTheirSource) {
  Write(Data("7"));
  Start();
  ASSERT_TRUE(Eventually([this] { return !Status().bundled(); }));
  EXPECT_EQ(Status().source(), options_.price_url);
  EXPECT_EQ(MiniInput(), 7'000'000'000);
  EXPECT_GT(Status().next_refresh_us(), Status().last_refresh_us());
  Stop();

  std::filesystem::remove(dir_.File("data.json"));
  Start();
  EXPECT_EQ(MiniInput(), 7'000'000'000);
  Stop();

  options_.price_url = "";
  Start();
  EXPECT_EQ(MiniInput(), 7'000'000'000) << "what was fetched stays until an operator goes back to the build's";
  EXPECT_EQ(Status().next_refresh_us(), 0);
}

TEST_F(PriceRefreshTest, ABadSourceAtTheStartLeavesTheBuildsPricesInForceAndSaysWhy) {
  Write(Data("-7"));
  Start();
  ASSERT_TRUE(Eventually([this] { return !Status().last_error().empty(); }));
  EXPECT_THAT(Status().last_error(), HasSubstr("model \"gpt-4o-mini\": \"input_mtok\" must be from 0 to"));
  EXPECT_TRUE(Status().bundled());
  EXPECT_EQ(MiniInput(), 150'000'000);
}

TEST_F(PriceRefreshTest, AnAddressThatIsNoneIsRefusedAtTheStart) {
  options_.price_url = "prices.json";
  EXPECT_THAT(std::string(ControlPlane::Start(options_).status().message()),
              HasSubstr("--price_url: \"prices.json\" is no address of a price catalogue"));
  options_.price_url = "https://prices.example/data.json";
  options_.price_refresh_hours = -1;
  EXPECT_THAT(std::string(ControlPlane::Start(options_).status().message()),
              HasSubstr("--price_refresh_hours=-1 is not from 0"));
}

}  // namespace
}  // namespace signalbox
