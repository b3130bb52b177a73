#include "controlplane/publish/publish_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "common/limits.h"
#include "tests/controlplane/publish/snapshot_samples.h"

namespace signalbox {
namespace {

std::shared_ptr<const PublishedContent> Content(const SampleSnapshot& sample, int64_t committed_us = 0) {
  ScriptedSource source;
  source.Set(sample);
  auto content = ReadContent(source, nullptr, committed_us);
  EXPECT_TRUE(content.ok()) << content.status();
  return *content;
}

v1::ProxyMessage Hello(const std::string& proxy, const std::string& boot = "boot-1", int schema = 1,
                       const v1::SnapshotId& active = {}) {
  v1::ProxyMessage message;
  message.mutable_hello()->set_proxy_id(proxy);
  message.mutable_hello()->set_boot_id(boot);
  message.mutable_hello()->set_build("0.1.0");
  message.mutable_hello()->set_schema(schema);
  if (!active.sha256().empty()) *message.mutable_hello()->mutable_active() = active;
  return message;
}

v1::ProxyMessage Ack(uint64_t nonce, const v1::SnapshotId& id) {
  v1::ProxyMessage message;
  message.mutable_ack()->set_nonce(nonce);
  *message.mutable_ack()->mutable_applied() = id;
  return message;
}

v1::ProxyMessage Nack(uint64_t nonce, const v1::SnapshotId& active, const std::string& why) {
  v1::ProxyMessage message;
  message.mutable_nack()->set_nonce(nonce);
  *message.mutable_nack()->mutable_active() = active;
  v1::Fault* fault = message.mutable_nack()->add_faults();
  fault->set_code("bad_route");
  fault->set_message(why);
  return message;
}

v1::ProxyMessage Status(const v1::SnapshotId& active, int64_t in_flight = 0) {
  v1::ProxyMessage message;
  *message.mutable_status()->mutable_active() = active;
  message.mutable_status()->set_in_flight_requests(in_flight);
  return message;
}

class PublishCoreTest : public ::testing::Test {
 protected:
  PublishCore::Actions Open(PublishCore::StreamId stream, const v1::ProxyMessage& hello) {
    core_.OnOpened(stream, now_us_);
    return core_.OnMessage(stream, hello, now_us_, now_us_);
  }
  PublishCore::Actions Say(PublishCore::StreamId stream, const v1::ProxyMessage& message) {
    return core_.OnMessage(stream, message, now_us_, now_us_);
  }

  PublishCore core_;
  int64_t now_us_ = 1'000'000;
  const std::shared_ptr<const PublishedContent> one_ = Content(VersionOfRoute(1, 1), 900'000);
  const std::shared_ptr<const PublishedContent> two_ = Content(VersionOfRoute(2, 2), 950'000);
  const std::shared_ptr<const PublishedContent> three_ = Content(VersionOfRoute(3, 3));
};

TEST_F(PublishCoreTest, NothingIsOfferedBeforeTheFirstDeployment) {
  SampleSnapshot nothing = MakeSnapshot(0, {});
  EXPECT_TRUE(core_.OnPublished(Content(nothing), now_us_).empty());
  EXPECT_TRUE(Open(1, Hello("p1")).empty());
  EXPECT_FALSE(core_.Fleet().at(0).in_sync());
}

v1::ProviderStatus Health(const std::string& gateway, const std::string& provider, const std::string& endpoint,
                          const std::string& model) {
  v1::ProviderStatus status;
  status.set_gateway(gateway);
  status.set_provider(provider);
  status.set_endpoint(endpoint);
  status.set_model(model);
  return status;
}

TEST_F(PublishCoreTest, WhatProxiesSayOfProvidersIsKeptWhileTheyAreConnected) {
  const auto rows = [&](const std::string& gateway) {
    std::vector<std::string> rows;
    for (const v1::ProviderStatus& status : core_.ProviderStatuses(gateway)) {
      rows.push_back(
          absl::StrCat(status.provider(), "/", status.endpoint(), "/", status.model(), " ", status.proxy_id()));
    }
    return rows;
  };
  Open(1, Hello("p2"));
  Open(2, Hello("p1"));
  v1::ProxyMessage said = Status({});
  *said.mutable_status()->add_providers() = Health("default", "openai", "west", "gpt-4o");
  *said.mutable_status()->add_providers() = Health("default", "openai", "east", "gpt-4o");
  *said.mutable_status()->add_providers() = Health("prod", "groq", "default", "");
  said.mutable_status()->mutable_providers(0)->set_proxy_id("somebody else");
  Say(1, said);
  said.mutable_status()->mutable_providers()->DeleteSubrange(1, 2);
  Say(2, said);
  EXPECT_THAT(rows("default"),
              ::testing::ElementsAre("openai/east/gpt-4o p2", "openai/west/gpt-4o p1", "openai/west/gpt-4o p2"));
  EXPECT_THAT(rows("prod"), ::testing::ElementsAre("groq/default/ p2"));
  Say(1, Status({}));
  EXPECT_THAT(rows("default"), ::testing::ElementsAre("openai/west/gpt-4o p1")) << "the newest word counts";
  core_.OnClosed(2, now_us_);
  EXPECT_THAT(rows("default"), ::testing::IsEmpty());
}

TEST_F(PublishCoreTest, AProxyThatSaysTooMuchOfProvidersIsCutShort) {
  Open(1, Hello("p1"));
  v1::ProxyMessage said = Status({});
  for (size_t i = 0; i <= kHealthStatusesMax; ++i) {
    *said.mutable_status()->add_providers() = Health("default", "openai", "default", absl::StrCat("m", i));
  }
  Say(1, said);
  EXPECT_EQ(core_.ProviderStatuses("default").size(), kHealthStatusesMax);
}

TEST_F(PublishCoreTest, AProxyThatHasNothingGetsEveryBlobAndOneThatHasSomeOnlyTheOthers) {
  core_.OnPublished(one_, now_us_);
  const auto to_empty = Open(1, Hello("p1"));
  ASSERT_EQ(to_empty.size(), 1u);
  EXPECT_EQ(to_empty[0].blobs.size(), 3u);
  EXPECT_EQ(to_empty[0].nonce, 1u);
  EXPECT_TRUE(Say(1, Ack(1, one_->snapshot.id)).empty());

  const auto next = core_.OnPublished(two_, now_us_);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].nonce, 2u);
  EXPECT_EQ(next[0].blobs.size(), 1u) << "only the route changed";

  v1::ProxyMessage hello = Hello("p2");
  for (const auto& [sha256, blob] : one_->blobs) hello.mutable_hello()->add_have(sha256);
  EXPECT_EQ(Open(2, hello).at(0).blobs.size(), 1u);
}

TEST_F(PublishCoreTest, AfterAnAckOnlyWhatDiffersIsOfferedToWhoUnderstandsIt) {
  const auto with_key = Content(
      MakeSnapshot(4, {SampleProvider(), SampleKey("k2"), SampleRoute("another", 1), SampleRoute("my-saas", 1)}));
  core_.OnPublished(one_, now_us_);
  for (PublishCore::StreamId stream : {1, 2, 3}) {
    v1::ProxyMessage hello = Hello(absl::StrCat("p", stream));
    hello.mutable_hello()->set_takes_changes(stream != 3);
    const auto first = Open(stream, hello);
    EXPECT_EQ(first.at(0).change, nullptr) << "nothing was acked on this stream";
    Say(stream, Ack(1, one_->snapshot.id));
  }
  const auto actions = core_.OnPublished(with_key, now_us_);
  ASSERT_EQ(actions.size(), 3u);
  ASSERT_NE(actions[0].change, nullptr);
  EXPECT_EQ(actions[1].change, actions[0].change) << "found once for the whole fleet";
  EXPECT_EQ(actions[2].change, nullptr);
  EXPECT_EQ(actions[2].blobs, actions[0].change->blobs);
  EXPECT_EQ(actions[0].change->base.sequence(), 1);
  ASSERT_EQ(actions[0].change->manifest.size(), 2u);
  EXPECT_EQ(actions[0].change->manifest[0].name(), "gateways/default/keys/k2");
  EXPECT_EQ(actions[0].change->manifest[1].name(), "gateways/default/routes/id-another");
  EXPECT_THAT(actions[0].change->removed, ::testing::ElementsAre("gateways/default/keys/k1"));
  EXPECT_EQ(actions[0].change->blobs.size(), 2u);
  // Refused, it still has what it acked; drifted, it may have anything.
  Say(1, Nack(2, one_->snapshot.id, "no"));
  Say(2, Nack(2, one_->snapshot.id, "no"));
  Say(2, Status(three_->snapshot.id));
  const auto next = core_.OnPublished(two_, now_us_);
  ASSERT_EQ(next.size(), 2u);
  ASSERT_NE(next[0].change, nullptr);
  EXPECT_EQ(next[0].change->base.sequence(), 1);
  EXPECT_EQ(next[1].change, nullptr);
}

TEST_F(PublishCoreTest, OneOfferIsOutstandingAndTheNextIsTheLatest) {
  core_.OnPublished(one_, now_us_);
  ASSERT_EQ(Open(1, Hello("p1")).size(), 1u);
  EXPECT_TRUE(core_.OnPublished(two_, now_us_).empty());
  EXPECT_TRUE(core_.OnPublished(three_, now_us_).empty());
  const auto next = Say(1, Ack(1, one_->snapshot.id));
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].content, three_);
}

TEST_F(PublishCoreTest, ARefusedSnapshotIsParkedForTheBuildUntilTheContentChanges) {
  core_.OnPublished(one_, now_us_);
  Open(1, Hello("p1"));
  EXPECT_TRUE(Say(1, Nack(1, {}, "element \"mini\" points nowhere")).empty());
  EXPECT_TRUE(Say(1, Status({})).empty());
  v1::ProxyStatus status = core_.Fleet().at(0);
  EXPECT_FALSE(status.in_sync());
  EXPECT_EQ(status.rejected_id().sequence(), 1);
  EXPECT_EQ(status.rejected(0).message(), "element \"mini\" points nowhere");

  // Neither a reconnect nor another boot of the same build gets it again; the same content under a new number neither.
  core_.OnClosed(1, now_us_);
  EXPECT_TRUE(Open(2, Hello("p1", "boot-2")).empty());
  EXPECT_EQ(core_.Fleet().at(0).rejected_size(), 1);
  EXPECT_TRUE(core_.OnPublished(Content(VersionOfRoute(5, 1)), now_us_).empty());
  EXPECT_EQ(core_.Fleet().at(0).rejected_id().sequence(), 5);

  EXPECT_EQ(core_.OnPublished(Content(VersionOfRoute(6, 2)), now_us_).size(), 1u);
  EXPECT_EQ(core_.Fleet().at(0).rejected_size(), 0);
}

TEST_F(PublishCoreTest, AnotherBuildGetsWhatTheOneBeforeRefused) {
  core_.OnPublished(one_, now_us_);
  Open(1, Hello("p1"));
  Say(1, Nack(1, {}, "no"));
  core_.OnClosed(1, now_us_);
  v1::ProxyMessage hello = Hello("p1", "boot-2");
  hello.mutable_hello()->set_build("0.2.0");
  EXPECT_EQ(Open(2, hello).size(), 1u);
}

TEST_F(PublishCoreTest, AProxyOfAnOlderSchemaGetsNoOfferAndIsShownWithTheReason) {
  core_.OnPublished(one_, now_us_);
  EXPECT_TRUE(Open(1, Hello("p1", "boot-1", 0)).empty());
  const v1::ProxyStatus status = core_.Fleet().at(0);
  ASSERT_EQ(status.rejected_size(), 1);
  EXPECT_EQ(status.rejected(0).code(), "schema_too_new");
  EXPECT_EQ(status.rejected(0).message(), "needs schema 1, proxy understands 0; upgrade the proxy");
  const auto progress = core_.ProgressOf(1, now_us_);
  EXPECT_TRUE(progress.complete);
  EXPECT_EQ(progress.results.at(0).state(), v1::ProxyResult::REJECTED);
}

TEST_F(PublishCoreTest, DriftIsMendedOnceAndThenShown) {
  core_.OnPublished(two_, now_us_);
  Open(1, Hello("p1"));
  Say(1, Ack(1, two_->snapshot.id));
  EXPECT_TRUE(core_.Fleet().at(0).in_sync());

  const auto again = Say(1, Status(one_->snapshot.id));
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].blobs.size(), 3u) << "what it holds is not known any more";
  EXPECT_TRUE(Say(1, Ack(again[0].nonce, two_->snapshot.id)).empty());
  EXPECT_TRUE(Say(1, Status(one_->snapshot.id)).empty());
  EXPECT_TRUE(Say(1, Status(one_->snapshot.id)).empty());
  EXPECT_FALSE(core_.Fleet().at(0).in_sync());
  EXPECT_EQ(core_.Fleet().at(0).rejected(0).code(), "drift");
  EXPECT_EQ(core_.OnPublished(three_, now_us_).size(), 1u);
}

TEST_F(PublishCoreTest, AStatusSentBeforeTheAnswerIsNoDrift) {
  core_.OnPublished(one_, now_us_);
  Open(1, Hello("p1"));
  EXPECT_TRUE(Say(1, Status({}, 7)).empty());
  EXPECT_EQ(core_.Fleet().at(0).in_flight_requests(), 7);
  EXPECT_TRUE(Say(1, Ack(1, one_->snapshot.id)).empty());
}

TEST_F(PublishCoreTest, ALowerSequenceOfAnotherLineageIsOffered) {
  core_.OnPublished(three_, now_us_);
  Open(1, Hello("p1"));
  Say(1, Ack(1, three_->snapshot.id));
  const auto restored = Content(MakeSnapshot(1, {SampleProvider(), SampleRoute("my-saas", 9)}, "lineage-b"));
  ASSERT_EQ(core_.OnPublished(restored, now_us_).size(), 1u);
}

TEST_F(PublishCoreTest, ASequenceFromBeforeARestoreDoesNotCountAsApplied) {
  v1::SnapshotId from_before = three_->snapshot.id;
  from_before.set_sequence(100);
  core_.OnPublished(two_, now_us_);
  Open(1, Hello("p1", "boot-1", 1, from_before));
  EXPECT_EQ(core_.ProgressOf(2, now_us_).results.at(0).state(), v1::ProxyResult::NOT_HEARD);
}

TEST_F(PublishCoreTest, TheNewerStreamOfAProxyWins) {
  core_.OnPublished(one_, now_us_);
  Open(1, Hello("p1", "boot-1"));
  const auto actions = Open(2, Hello("p1", "boot-2"));
  ASSERT_EQ(actions.size(), 2u);
  EXPECT_EQ(actions[0].stream, 1u);
  EXPECT_EQ(actions[0].close.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(actions[0].close.message(), "replaced by a newer stream of proxy p1, boot boot-2");
  EXPECT_EQ(actions[1].stream, 2u);
  EXPECT_TRUE(Say(1, Ack(1, one_->snapshot.id)).empty()) << "what the old stream still says does not count";
  core_.OnClosed(1, now_us_);
  EXPECT_TRUE(core_.Fleet().at(0).connected());
  EXPECT_EQ(core_.Fleet().at(0).boot_id(), "boot-2");
}

TEST_F(PublishCoreTest, MessagesAgainstTheProtocolEndTheStreamAndNothingElse) {
  core_.OnPublished(one_, now_us_);
  const auto expect_closed = [](const PublishCore::Actions& actions, const std::string& text) {
    ASSERT_EQ(actions.size(), 1u) << text;
    EXPECT_EQ(actions[0].content, nullptr);
    EXPECT_EQ(actions[0].close.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(actions[0].close.message()), ::testing::HasSubstr(text));
  };
  expect_closed(Open(1, Status({})), "the first message must be Hello");
  expect_closed(Open(2, Hello("")), "proxy_id must have 1 to 128 bytes");
  Open(3, Hello("p3"));
  expect_closed(Say(3, Hello("p3")), "a second Hello");
  Open(4, Hello("p4"));
  expect_closed(Say(4, Ack(9, one_->snapshot.id)), "Ack of nonce 9, which is not outstanding");
  Open(5, Hello("p5"));
  expect_closed(Say(5, Ack(1, two_->snapshot.id)), "was offered");
  Open(6, Hello("p6"));
  expect_closed(Say(6, Nack(2, {}, "")), "Nack of nonce 2, which is not outstanding");
}

TEST_F(PublishCoreTest, TheFleetIsAwaitedUntilEachAnsweredAndLatencyRunsFromTheCommit) {
  core_.OnPublished(one_, now_us_);
  Open(1, Hello("a"));
  Open(2, Hello("b"));
  Open(3, Hello("c", "boot-1", 0));
  EXPECT_FALSE(core_.ProgressOf(1, now_us_).complete);
  now_us_ = 1'002'000;
  Say(1, Ack(1, one_->snapshot.id));
  core_.OnClosed(2, now_us_);
  auto progress = core_.ProgressOf(1, now_us_);
  EXPECT_FALSE(progress.complete) << "b was connected a moment ago";
  ASSERT_EQ(progress.results.size(), 3u);
  EXPECT_EQ(progress.results[0].state(), v1::ProxyResult::APPLIED);
  EXPECT_EQ(progress.results[0].latency_us(), 102'000);
  EXPECT_EQ(progress.results[1].state(), v1::ProxyResult::NOT_HEARD);
  EXPECT_EQ(progress.results[2].state(), v1::ProxyResult::REJECTED);
  EXPECT_FALSE(core_.ProgressOf(2, now_us_).complete) << "not published yet";

  now_us_ += kAwaitedAfterDisconnectUs + 1;
  progress = core_.ProgressOf(1, now_us_);
  EXPECT_TRUE(progress.complete);
  EXPECT_EQ(progress.results.size(), 2u);
}

TEST_F(PublishCoreTest, SilentStreamsEndAndProxiesLongGoneAreForgotten) {
  Open(1, Hello("a"));
  now_us_ += kSilentStreamUs;
  const auto actions = core_.OnTick(now_us_);
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(actions[0].close.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(core_.Fleet().at(0).connected());
  now_us_ += kForgetAfterDisconnectUs - 1;
  core_.OnTick(now_us_);
  EXPECT_EQ(core_.Fleet().size(), 1u);
  now_us_ += 1;
  core_.OnTick(now_us_);
  EXPECT_TRUE(core_.Fleet().empty());
}

TEST(OfferChunks, StayWithinTheLimitAndCarryEveryByteOnceInOrder) {
  std::vector<v1::Resource> resources = {SampleProvider(), SampleRoute("big", 1, std::string(5 << 20, 'x'))};
  for (int i = 0; i < 3'000; ++i) resources.push_back(SampleKey(absl::StrCat(std::string(400, 'k'), i)));
  const auto content = Content(MakeSnapshot(1, resources));
  std::vector<std::string> shas;
  for (const auto& [sha256, blob] : content->blobs) shas.push_back(sha256);
  OfferChunks chunks(7, content, shas);
  std::map<std::string, std::string> blobs;
  std::vector<v1::ManifestEntry> manifest;
  int count = 0;
  while (!chunks.done()) {
    v1::ControlMessage message;
    *message.mutable_offer() = chunks.Next();
    EXPECT_LE(message.ByteSizeLong(), kOfferChunkBytesMax);
    EXPECT_EQ(message.offer().nonce(), 7u);
    EXPECT_EQ(message.offer().last(), chunks.done());
    for (const auto& entry : message.offer().manifest()) manifest.push_back(entry);
    for (const auto& piece : message.offer().blobs()) blobs[piece.sha256()] += piece.data();
    ++count;
  }
  EXPECT_GE(count, 6);
  EXPECT_EQ(ManifestSha256(manifest), content->snapshot.id.sha256());
  ASSERT_EQ(blobs.size(), content->blobs.size());
  for (const auto& [sha256, data] : blobs) EXPECT_EQ(data, *content->blobs.at(sha256));
}

TEST(OfferChunks, AChangeOfAnySizeStaysWithinTheLimitToo) {
  std::vector<v1::Resource> before, after;
  for (int i = 0; i < 3'000; ++i) before.push_back(SampleKey(absl::StrCat(std::string(400, 'k'), i)));
  for (int i = 0; i < 3'000; ++i) after.push_back(SampleKey(absl::StrCat(std::string(400, 'l'), i)));
  const auto base = Content(MakeSnapshot(1, before));
  const auto content = Content(MakeSnapshot(2, after));
  const auto change = std::make_shared<const ContentChange>(ChangeBetween(*base, *content));
  OfferChunks chunks(7, content, change);
  std::vector<std::string> removed;
  size_t entries = 0;
  std::map<std::string, std::string> blobs;
  while (!chunks.done()) {
    v1::ControlMessage message;
    *message.mutable_offer() = chunks.Next();
    EXPECT_LE(message.ByteSizeLong(), kOfferChunkBytesMax);
    EXPECT_EQ(message.offer().base().sequence(), 1);
    removed.insert(removed.end(), message.offer().removed().begin(), message.offer().removed().end());
    entries += static_cast<size_t>(message.offer().manifest_size());
    for (const auto& piece : message.offer().blobs()) blobs[piece.sha256()] += piece.data();
  }
  EXPECT_EQ(removed, change->removed);
  EXPECT_EQ(removed.size(), 3'000u);
  EXPECT_EQ(entries, 3'000u);
  EXPECT_EQ(blobs.size(), 3'000u);
  for (const auto& [sha256, data] : blobs) EXPECT_EQ(data, *content->blobs.at(sha256));
}

TEST(ReadContent, ABlobThatIsNotWhatItsHashSaysIsRefusedByName) {
  SampleSnapshot sample = VersionOfRoute(1, 1);
  sample.blobs.begin()->second += "x";
  ScriptedSource source;
  source.Set(sample);
  const auto content = ReadContent(source, nullptr, 0);
  EXPECT_EQ(content.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(content.status().message()), ::testing::HasSubstr("the stored blob is not what its sha256"));
}

TEST_F(PublishCoreTest, AfterARestartRememberedProxiesAreAwaitedUntilTheyComeOrTimePasses) {
  core_.OnRemembered({"p-1", "p-2"}, now_us_);
  const auto content = Content(MakeSnapshot(7, {SampleProvider(), SampleRoute("my-saas", 1)}));
  core_.OnPublished(content, now_us_);
  const int64_t sequence = content->snapshot.id.sequence();
  EXPECT_FALSE(core_.ProgressOf(sequence, now_us_).complete) << "an empty fleet is none that runs it";
  ASSERT_EQ(core_.ProgressOf(sequence, now_us_).results.size(), 2u);
  EXPECT_EQ(core_.ProgressOf(sequence, now_us_).results[0].state(), v1::ProxyResult::NOT_HEARD);
  EXPECT_FALSE(core_.Fleet()[0].connected());
  Open(1, Hello("p-1", "boot-1", 1, content->snapshot.id));
  EXPECT_FALSE(core_.ProgressOf(sequence, now_us_).complete);
  now_us_ += kAwaitedAfterDisconnectUs + 1;
  EXPECT_TRUE(core_.ProgressOf(sequence, now_us_).complete) << "p-2 is gone for good";
  EXPECT_EQ(core_.ProgressOf(sequence, now_us_).results.size(), 1u);
}

TEST_F(PublishCoreTest, TheFleetSaysWhereAProxyServesAndSinceWhenItRunsWhatItRuns) {
  core_.OnPublished(one_, now_us_);
  v1::ProxyMessage hello = Hello("p1");
  hello.mutable_hello()->set_http_address("127.0.0.1:8080");
  hello.mutable_hello()->set_http_tls(true);
  Open(1, hello);
  EXPECT_EQ(core_.Fleet().at(0).http_address(), "127.0.0.1:8080");
  EXPECT_TRUE(core_.Fleet().at(0).http_tls());
  EXPECT_EQ(core_.Fleet().at(0).applied_us(), 0);
  now_us_ += 5'000;
  Say(1, Ack(1, one_->snapshot.id));
  EXPECT_EQ(core_.Fleet().at(0).applied_us(), now_us_);
  const int64_t applied_us = now_us_;
  now_us_ += 5'000;
  Open(2, Hello("p1", "boot-1", 1, one_->snapshot.id));
  EXPECT_EQ(core_.Fleet().at(0).applied_us(), applied_us) << "another connection changes nothing";
  EXPECT_EQ(core_.Fleet().at(0).http_address(), "") << "it says where it serves with each one";
  Open(3, Hello("p1", "boot-2", 1, two_->snapshot.id));
  EXPECT_EQ(core_.Fleet().at(0).applied_us(), 0) << "when it applied that, nobody knows";
}

}  // namespace
}  // namespace signalbox
