// signalboxctl against a control plane in the test's process: what an operator types, and what it changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "controlplane/controlplane.h"
#include "tests/controlplane/cli/run_shell.h"
#include "tests/controlplane/ledger/temp_dir.h"

namespace signalbox {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ProviderCommandsTest : public ::testing::Test {
 protected:
  ProviderCommandsTest() {
    ControlPlaneOptions options;
    options.data_dir = dir_.File("plane");
    options.grpc_address = "127.0.0.1:0";
    options.http_address = "127.0.0.1:0";
    auto plane = ControlPlane::Start(options);
    EXPECT_TRUE(plane.ok()) << plane.status();
    plane_ = *std::move(plane);
  }
  ~ProviderCommandsTest() override { plane_->Stop(); }

  // `environment`: NAME=value before the command.
  Ran RunCtl(const std::string& arguments, const std::string& environment = "") {
    return RunShell(environment + " " + SIGNALBOX_BIN_DIR + "/signalboxctl --server=" + plane_->grpc_address() +
                    " --token_file=" + dir_.File("plane/admin.token") + " " + arguments);
  }

 private:
  TempDir dir_;
  std::unique_ptr<ControlPlane> plane_;
};

TEST_F(ProviderCommandsTest, AWellKnownProviderIsSetUpByItsNameAndKey) {
  const Ran applied = RunCtl("provider apply groq --secret-env KEY", "KEY=gsk-very-secret");
  EXPECT_EQ(applied.exit_code, 0) << applied.output;
  EXPECT_EQ(applied.output, "provider groq (openai) -> https://api.groq.com/openai/v1\n");
  const Ran unknown = RunCtl("provider apply acme --secret-env KEY", "KEY=gsk-very-secret");
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.output, HasSubstr("provider.base_url: is missing"));
  EXPECT_THAT(RunCtl("provider list").output,
              AllOf(HasSubstr("groq"), Not(HasSubstr("acme")), Not(HasSubstr("gsk-very-secret"))));
}

TEST_F(ProviderCommandsTest, EndpointsHaveWeightsAddressesAndKeysOfTheirOwn) {
  const Ran applied = RunCtl(
      "provider apply openai --endpoint main,weight=3,secret_env=KEY --endpoint "
      "spare,base-url=https://eu.example/v1 --health-path /models --health-interval 1m -o json",
      "KEY=sk-main");
  ASSERT_EQ(applied.exit_code, 0) << applied.output;
  EXPECT_THAT(applied.output, AllOf(HasSubstr(R"("name": "main")"), HasSubstr(R"("weight": 3)"),
                                    HasSubstr(R"("baseUrl": "https://eu.example/v1")"), HasSubstr(R"("intervalS": 60)"),
                                    Not(HasSubstr("sk-main"))));
  EXPECT_THAT(RunCtl("provider list").output, AllOf(HasSubstr("of 1 endpoints"), HasSubstr("main=3,spare=1")));
  const Ran bad = RunCtl("provider apply openai --endpoint main,weight=0");
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.output, HasSubstr(R"(--endpoint main,weight=0: "weight=0" is none of weight=N (1 or more))"));
}

TEST_F(ProviderCommandsTest, StatusIsEmptyWhileNoProxyIsThere) {
  const Ran status = RunCtl("provider status");
  EXPECT_EQ(status.exit_code, 0) << status.output;
  EXPECT_THAT(status.output, ::testing::StartsWith("PROVIDER  ENDPOINT  MODEL"));
  EXPECT_THAT(RunCtl("provider status -o json").output, HasSubstr(R"("statuses": [])"));
}

TEST_F(ProviderCommandsTest, SettingsThatAreNotGivenStayAsTheyAre) {
  ASSERT_EQ(RunCtl("route apply -f " SIGNALBOX_SOURCE_DIR "/tests/routes/valid/cached-answers.json --deploy").exit_code,
            0);
  const Ran named = RunCtl("gateway set default --default-route cached-answers --collect-log-payload");
  ASSERT_EQ(named.exit_code, 0) << named.output;
  const Ran refusing = RunCtl("gateway set default --refuse-plain-models");
  ASSERT_EQ(refusing.exit_code, 0) << refusing.output;
  EXPECT_THAT(refusing.output, AllOf(HasSubstr("cached-answers"), HasSubstr("refused"), HasSubstr("with payload")));
  const Ran in_use = RunCtl("route delete cached-answers");
  EXPECT_EQ(in_use.exit_code, 1);
  EXPECT_THAT(in_use.output, HasSubstr("is the default route of gateway"));
  const Ran none = RunCtl("gateway set default --default-route '' --allow-plain-models --no-log-payload");
  ASSERT_EQ(none.exit_code, 0) << none.output;
  EXPECT_THAT(none.output, AllOf(Not(HasSubstr("cached-answers")), HasSubstr("allowed"), HasSubstr("yes")));
  EXPECT_EQ(RunCtl("route delete cached-answers").exit_code, 0);
}

TEST_F(ProviderCommandsTest, AKeysCacheGroupIsShownWithIt) {
  ASSERT_EQ(RunCtl("key create --name web --cache-group shared").exit_code, 0);
  EXPECT_THAT(RunCtl("key list").output, HasSubstr("shared"));
}

}  // namespace
}  // namespace signalbox
