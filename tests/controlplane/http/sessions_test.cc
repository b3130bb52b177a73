#include "controlplane/http/sessions.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {
namespace {

class RevocableTokens : public TokenAuthority {
 public:
  absl::StatusOr<Caller> Authenticate(std::string_view token) const override {
    if (token == revoked) return absl::UnauthenticatedError("the token is unknown or revoked");
    if (token == "proxy") return Caller{"9", "proxy-1", Role::kProxy};
    if (token.starts_with("t")) return Caller{std::string(token), std::string(token), role};
    return absl::UnauthenticatedError("the token is unknown or revoked");
  }
  std::string revoked;
  Role role = Role::kEditor;
};

class SessionsTest : public ::testing::Test {
 protected:
  std::string Start(const std::string& token) {
    const auto started = sessions_.Start(token);
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? started->id : "";
  }
  RevocableTokens tokens_;
  ManualClock clock_;
  Sessions sessions_{tokens_, clock_};
};

TEST_F(SessionsTest, AnIdStandsForItsTokenUntilItEnds) {
  const auto started = sessions_.Start("t1");
  ASSERT_TRUE(started.ok());
  const auto found = sessions_.Find(started->id);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->token, "t1");
  EXPECT_EQ(found->csrf, started->session.csrf);
  EXPECT_EQ(found->caller.name, "t1");
  sessions_.End(started->id);
  EXPECT_EQ(sessions_.Find(started->id).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(sessions_.Find("").status().code(), absl::StatusCode::kUnauthenticated);
}

TEST_F(SessionsTest, UnknownTokensAndProxiesAreToldTheSame) {
  const absl::Status unknown = sessions_.Start("nobody").status();
  EXPECT_EQ(unknown.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(sessions_.Start("proxy").status(), unknown);
  EXPECT_EQ(sessions_.size(), 0u);
}

TEST_F(SessionsTest, ARevokedTokenEndsItsSessionsAtOnce) {
  const std::string id = Start("t1");
  tokens_.revoked = "t1";
  EXPECT_EQ(sessions_.Find(id).status().code(), absl::StatusCode::kUnauthenticated);
  tokens_.revoked = "";
  EXPECT_EQ(sessions_.Find(id).status().code(), absl::StatusCode::kUnauthenticated) << "it does not come back";
}

TEST_F(SessionsTest, TheRoleIsWhatTheTokenHasNow) {
  const std::string id = Start("t1");
  tokens_.role = Role::kViewer;
  EXPECT_EQ(sessions_.Find(id)->caller.role, Role::kViewer);
}

TEST_F(SessionsTest, UnusedItEndsAndUsedItEndsLater) {
  const std::string idle = Start("t1"), used = Start("t2");
  clock_.Advance(kSessionIdleUs - 1);
  EXPECT_TRUE(sessions_.Find(used).ok());
  clock_.Advance(1);
  EXPECT_FALSE(sessions_.Find(idle).ok());
  for (int64_t age_us = kSessionIdleUs; age_us < kSessionUsMax - kSessionIdleUs / 2; age_us += kSessionIdleUs / 2) {
    ASSERT_TRUE(sessions_.Find(used).ok()) << age_us;
    clock_.Advance(kSessionIdleUs / 2);
  }
  clock_.Advance(kSessionIdleUs / 2);
  EXPECT_FALSE(sessions_.Find(used).ok()) << "however much it is used";
}

TEST_F(SessionsTest, OneTokenCrowdsOutNobodyElse) {
  const std::string other = Start("t2"), first = Start("t1");
  for (size_t i = 0; i < kSessionsPerTokenMax; ++i) {
    clock_.Advance(1);
    Start("t1");
  }
  EXPECT_EQ(sessions_.size(), kSessionsPerTokenMax + 1);
  EXPECT_FALSE(sessions_.Find(first).ok()) << "the one used longest ago ended";
  EXPECT_TRUE(sessions_.Find(other).ok());
}

TEST_F(SessionsTest, TheirNumberIsBounded) {
  Sessions few(tokens_, clock_, 3);
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(1);
    ids.push_back(few.Start(absl::StrCat("t", i))->id);
  }
  EXPECT_EQ(few.size(), 3u);
  EXPECT_FALSE(few.Find(ids[1]).ok()) << "used longest ago";
  EXPECT_TRUE(few.Find(ids[2]).ok());
}

}  // namespace
}  // namespace signalbox
