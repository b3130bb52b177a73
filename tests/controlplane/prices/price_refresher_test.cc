#include "controlplane/prices/price_refresher.h"

#include <gmock/gmock.h>
#include <httplib.h>

#include <fstream>
#include <future>
#include <string>
#include <thread>
#include <utility>

#include "controlplane/prices/genai_prices.h"
#include "controlplane/prices/price_fetch.h"
#include "tests/controlplane/store/store_fixture.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

constexpr char kUrl[] = "https://prices.example/data.json";
constexpr int64_t kHourUs = 3'600'000'000;

std::string DataOf(int models, int free_models = 0) {
  std::string list;
  for (int i = 0; i < models; ++i) {
    const std::string name = "m-" + std::to_string(i);
    list += (i == 0 ? "" : ",") + (R"({"id": ")" + name + R"(", "match": {"equals": ")" + name + R"("}, "prices": )") +
            (i < models - free_models ? R"({"input_mtok": 1, "output_mtok": 2}})" : "{}}");
  }
  return R"([{"id": "openai", "models": [)" + list + "]}]";
}

class PriceRefresherTest : public StoreTest {
 protected:
  RefreshOptions Options() {
    RefreshOptions options;
    options.url = kUrl;
    options.interval_s = 24 * 3'600;
    options.fetch = [this](const std::string& url, const std::function<bool()>&) {
      EXPECT_EQ(url, kUrl);
      return answer_;
    };
    options.read = [](std::string_view text, std::string origin) {
      return ParseGenaiPrices(text, std::move(origin), ModelLimits());
    };
    options.on_published = [this] { ++published_; };
    return options;
  }
  std::string Refusal(PriceRefresher& refresher) {
    const std::string before = store_->catalogue().InForce().sha256();
    const absl::Status status = refresher.Refresh(/*force=*/false);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(store_->catalogue().InForce().sha256(), before);
    EXPECT_EQ(refresher.Status()->last_error(), std::string(status.message()));
    return std::string(status.message());
  }

  absl::StatusOr<std::string> answer_ = DataOf(4);
  int published_ = 0;
};

TEST_F(PriceRefresherTest, WhatIsNewIsTakenOnce) {
  PriceRefresher refresher(store_->catalogue(), clock_, Options());
  EXPECT_EQ(refresher.Status()->next_refresh_us(), clock_.UnixMicros()) << "due at once";
  ASSERT_TRUE(refresher.Refresh(false).ok());
  EXPECT_EQ(store_->catalogue().InForce().models(), 4);
  EXPECT_EQ(published_, 1);
  const int64_t first_us = clock_.UnixMicros();
  EXPECT_EQ(refresher.Status()->next_refresh_us(), first_us + 24 * kHourUs);
  clock_.Advance(kHourUs);
  ASSERT_TRUE(refresher.Refresh(false).ok());
  EXPECT_EQ(published_, 1) << "the same text changes nothing";
  EXPECT_EQ(refresher.Status()->update_us(), first_us);
  EXPECT_EQ(refresher.Status()->last_refresh_us(), first_us + kHourUs);
}

TEST_F(PriceRefresherTest, WhatIsBadChangesNothingAndIsTriedAgainSooner) {
  PriceRefresher refresher(store_->catalogue(), clock_, Options());
  ASSERT_TRUE(refresher.Refresh(false).ok());
  answer_ = absl::UnavailableError("https://prices.example/data.json answered 503");
  EXPECT_EQ(Refusal(refresher), "https://prices.example/data.json answered 503");
  EXPECT_EQ(refresher.Status()->next_refresh_us(), clock_.UnixMicros() + kPriceRetryUs);
  answer_ = "[";
  EXPECT_EQ(Refusal(refresher), "the catalogue at https://prices.example/data.json is not taken: it is not JSON");
  answer_ = DataOf(4).substr(0, 100);
  Refusal(refresher);
  EXPECT_EQ(published_, 1);
  answer_ = DataOf(5);
  ASSERT_TRUE(refresher.Refresh(false).ok());
  EXPECT_EQ(refresher.Status()->last_error(), "");
  EXPECT_EQ(published_, 2);
}

TEST_F(PriceRefresherTest, LosingMoreThanHalfTakesForce) {
  PriceRefresher refresher(store_->catalogue(), clock_, Options());
  answer_ = DataOf(10);
  ASSERT_TRUE(refresher.Refresh(false).ok());
  answer_ = DataOf(4);
  EXPECT_THAT(Refusal(refresher),
              HasSubstr("it has 4 models where the catalogue in force has 10: less than half; refresh with force"));
  answer_ = DataOf(10, /*free_models=*/6);
  EXPECT_THAT(Refusal(refresher), HasSubstr("it has 4 models that are not free where the catalogue in force has 10"));
  answer_ = DataOf(5);
  ASSERT_TRUE(refresher.Refresh(false).ok()) << "half is enough";
  answer_ = DataOf(1);
  ASSERT_TRUE(refresher.Refresh(true).ok());
  EXPECT_EQ(store_->catalogue().InForce().models(), 1);
  ASSERT_TRUE(refresher.UseBundled().ok());
  EXPECT_TRUE(refresher.Status()->bundled());
}

TEST_F(PriceRefresherTest, ItsThreadRefreshesWhatIsDue) {
  std::promise<void> asked;
  RefreshOptions options = Options();
  options.on_published = [&asked] { asked.set_value(); };
  PriceRefresher refresher(store_->catalogue(), clock_, std::move(options));
  refresher.Start();
  asked.get_future().get();
  refresher.Stop();
  EXPECT_EQ(store_->catalogue().InForce().origin(), kUrl);
}

TEST_F(PriceRefresherTest, AFetchIsAskedToGiveUpWhenTheRefresherStops) {
  std::promise<void> begun;
  RefreshOptions options = Options();
  options.fetch = [&begun](const std::string&, const std::function<bool()>& go_on) -> absl::StatusOr<std::string> {
    begun.set_value();
    while (go_on()) std::this_thread::yield();
    return absl::CancelledError("stopped");
  };
  PriceRefresher refresher(store_->catalogue(), clock_, std::move(options));
  refresher.Start();
  begun.get_future().get();
  refresher.Stop();
  EXPECT_EQ(refresher.Status()->last_error(), "stopped");
}

bool Always() { return true; }

TEST(CheckPriceUrl, TakesAddressesOfFilesAndServers) {
  for (const char* good : {"https://a.example/x", "http://127.0.0.1:80/", "file:///tmp/x"}) {
    EXPECT_TRUE(CheckPriceUrl(good).ok()) << good;
  }
  for (const char* bad : {"", "x", "ftp://a/x", "https://a.example", "https:///x", "file://x/y", "://a/x"}) {
    EXPECT_EQ(CheckPriceUrl(bad).code(), absl::StatusCode::kInvalidArgument) << bad;
  }
}

TEST(FetchPriceText, TakesA200AndNothingElse) {
  httplib::Server server;
  server.Get("/data.json", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content("[" + request.get_param_value("v") + "]", "application/json");
  });
  server.Get("/moved",
             [](const httplib::Request&, httplib::Response& response) { response.set_redirect("/data.json"); });
  server.Get("/large", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(std::string(kCatalogueBytesMax + 1, ' '), "application/json");
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread serving([&server] { server.listen_after_bind(); });
  const std::string base = "http://127.0.0.1:" + std::to_string(port);
  const auto fetched = FetchPriceText(base + "/data.json?v=2", Always);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(*fetched, "[2]");
  EXPECT_EQ(FetchPriceText(base + "/nothing", Always).status().message(), base + "/nothing answered 404");
  EXPECT_EQ(FetchPriceText(base + "/moved", Always).status().message(),
            base + "/moved answered 302, redirecting to /data.json; redirects are not followed");
  EXPECT_EQ(FetchPriceText(base + "/large", Always).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(FetchPriceText(base + "/data.json", [] { return false; }).status().code(), absl::StatusCode::kCancelled);
  server.stop();
  serving.join();
  const auto gone = FetchPriceText(base + "/data.json", Always);
  EXPECT_EQ(gone.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(gone.status().message()), HasSubstr("cannot fetch " + base));
}

TEST(FetchPriceText, ReadsFiles) {
  const TempDir dir;
  std::ofstream(dir.path() + "/data.json") << "[3]";
  EXPECT_EQ(*FetchPriceText("file://" + dir.path() + "/data.json", Always), "[3]");
  EXPECT_EQ(FetchPriceText("file://" + dir.path() + "/other", Always).status().message(),
            "cannot open file://" + dir.path() + "/other");
}

}  // namespace
}  // namespace signalbox
