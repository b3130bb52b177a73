// The whole protocol, deterministically: the publishing core, chunks, assembling and building against each other over
// links that are lost at random, with proxies that restart, refuse and forget. A failure replays from its seed. The
// link asserts the protocol's laws on every send; the end asserts that every proxy serves the latest content, or says
// why not.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/faults.h"
#include "common/limits.h"
#include "controlplane/publish/publish_core.h"
#include "dataplane/config/snapshot_builder.h"
#include "tests/controlplane/publish/snapshot_samples.h"
#include "tests/dataplane/config/what_serves.h"

namespace signalbox {
namespace {

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed) {
    for (int i = 0; i < 6; ++i) {
      SimulatedProxy& proxy = proxies_[absl::StrCat("proxy-", i)];
      proxy.schema = i == 5 ? 0 : kSchema;
      proxy.takes_changes = i != 4;
    }
  }

  void Run() {
    for (int step = 0; step < 600; ++step) Step();
    Settle();
    Check();
  }

 private:
  struct SimulatedProxy {
    int schema = kSchema;
    bool takes_changes = true;
    int boot = 1;
    PublishCore::StreamId stream = 0;  // 0: not connected
    std::shared_ptr<const BuiltSnapshot> live;
    std::shared_ptr<const BuiltSnapshot> kept;  // what a restart finds
    OfferAssembler assembler;
    std::deque<v1::Offer> to_proxy;  // under way on its stream
    std::deque<v1::ProxyMessage> to_control;
    std::string refusing;           // sha256 of the snapshot whose Nack is under way
    std::set<std::string> refused;  // sha256 of snapshots whose Nack arrived
    bool offer_unanswered = false;  // as its stream saw it
    uint64_t last_nonce = 0;
  };

  int Draw(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  void Step() {
    now_us_ += Draw(50'000);
    auto entry = std::next(proxies_.begin(), Draw(static_cast<int>(proxies_.size())));
    const std::string& id = entry->first;
    SimulatedProxy& proxy = entry->second;
    switch (Draw(16)) {
      case 0:
        Publish();
        break;
      case 1:
        if (proxy.stream != 0) Lose(proxy);
        break;
      case 2:  // a restart, perhaps before the old stream's end was noticed
        proxy.live = proxy.kept;
        ++proxy.boot;
        Forget(proxy);
        Connect(id, proxy);
        break;
      case 3:  // drift: it serves again what it kept on disk before, without saying
        if (Draw(4) == 0 && proxy.stream != 0 && !proxy.offer_unanswered) proxy.live = nullptr;
        break;
      case 4:
        if (proxy.stream != 0) Say(proxy, StatusOf(proxy));
        break;
      case 5:
      case 6:
        if (proxy.stream == 0) Connect(id, proxy);
        break;
      default:
        Deliver(proxy);
    }
  }

  void Publish() {
    const int64_t version = ++version_;
    v1::Resource route = SampleRoute("my-saas", 1 + Draw(4), std::string(Draw(12) == 0 ? 1'500'000 : 100, 'p'));
    // Some content no proxy can walk.
    if (Draw(4) == 0) route.mutable_route()->mutable_elements(0)->mutable_start()->set_next(99);
    std::vector<v1::Resource> resources = {SampleProvider(), SampleRoute("stable", 1), route};
    for (int i = Draw(3); i > 0; --i) resources.push_back(SampleKey(absl::StrCat("key-", i)));
    source_.Set(MakeSnapshot(version, resources));
    auto content = ReadContent(source_, core_.published().get(), now_us_);
    ASSERT_TRUE(content.ok()) << content.status();
    Run(core_.OnPublished(*content, now_us_));
  }

  void Connect(const std::string& id, SimulatedProxy& proxy) {
    proxy.stream = ++last_stream_;
    core_.OnOpened(proxy.stream, now_us_);
    v1::ProxyMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_proxy_id(id);
    hello.set_boot_id(absl::StrCat(proxy.boot));
    hello.set_build("b");
    hello.set_schema(proxy.schema);
    hello.set_takes_changes(proxy.takes_changes);
    if (proxy.live != nullptr) {
      *hello.mutable_active() = proxy.live->active->id;
      proxy.live->parts.ForEach([&hello](const PartList::EntryPtr& entry) { hello.add_have(entry->sha256); });
    }
    Say(proxy, std::move(message));
  }

  void Lose(SimulatedProxy& proxy) {
    core_.OnClosed(proxy.stream, now_us_);
    Forget(proxy);
  }
  // The proxy's end of the stream is gone.
  void Forget(SimulatedProxy& proxy) {
    proxy.stream = 0;
    proxy.assembler = OfferAssembler();
    proxy.to_proxy.clear();
    proxy.to_control.clear();
    proxy.offer_unanswered = false;
    proxy.last_nonce = 0;
  }

  v1::ProxyMessage StatusOf(const SimulatedProxy& proxy) {
    v1::ProxyMessage message;
    message.mutable_status();
    if (proxy.live != nullptr) *message.mutable_status()->mutable_active() = proxy.live->active->id;
    return message;
  }

  void Say(SimulatedProxy& proxy, v1::ProxyMessage message) { proxy.to_control.push_back(std::move(message)); }

  // One message in one direction.
  bool Deliver(SimulatedProxy& proxy) {
    if (proxy.stream == 0) return false;
    if (!proxy.to_control.empty() && (proxy.to_proxy.empty() || Draw(2) == 0)) {
      const v1::ProxyMessage message = std::move(proxy.to_control.front());
      proxy.to_control.pop_front();
      if (message.has_ack() || message.has_nack()) proxy.offer_unanswered = false;
      if (message.has_nack()) proxy.refused.insert(proxy.refusing);
      Run(core_.OnMessage(proxy.stream, message, now_us_, now_us_));
      return true;
    }
    if (proxy.to_proxy.empty()) return false;
    const v1::Offer chunk = std::move(proxy.to_proxy.front());
    proxy.to_proxy.pop_front();
    Receive(proxy, chunk);
    return true;
  }

  void Receive(SimulatedProxy& proxy, const v1::Offer& chunk) {
    const absl::StatusOr<bool> whole = proxy.assembler.Add(chunk);
    ASSERT_TRUE(whole.ok()) << whole.status();
    if (!*whole) return;
    const uint64_t nonce = proxy.assembler.nonce();
    const SnapshotOffer offer = proxy.assembler.Take();
    const auto built = BuildSnapshot(offer, proxy.live.get(), proxy.schema);
    if (absl::IsFailedPrecondition(built.status())) {  // it drifted; its hello will tell the truth
      Lose(proxy);
      return;
    }
    if (built.ok() && offer.base.has_value()) CheckAsBuiltAlone(**built);
    v1::ProxyMessage answer;
    if (built.ok()) {
      proxy.live = *built;
      proxy.kept = *built;
      answer.mutable_ack()->set_nonce(nonce);
      *answer.mutable_ack()->mutable_applied() = offer.id;
    } else {
      const auto faults = FaultsOf(built.status());
      // What the control plane believes a proxy holds must be right unless the proxy drifted.
      for (const v1::Fault& fault : faults) {
        if (fault.code() == "blob_missing") {
          Lose(proxy);  // its hello will tell the truth
          return;
        }
      }
      proxy.refusing = offer.id.sha256();
      answer.mutable_nack()->set_nonce(nonce);
      if (proxy.live != nullptr) *answer.mutable_nack()->mutable_active() = proxy.live->active->id;
      answer.mutable_nack()->mutable_faults()->Assign(faults.begin(), faults.end());
    }
    Say(proxy, std::move(answer));
  }

  // Whatever it was built on, it is what was published.
  static void CheckAsBuiltAlone(const BuiltSnapshot& built) {
    size_t bytes = 0;
    built.parts.ForEach([&bytes](const PartList::EntryPtr& entry) { bytes += entry->part.bytes->size(); });
    if (bytes > 100'000) return;  // takes long and shows no more
    SnapshotOffer alone;
    alone.id = built.active->id;
    alone.schema = built.schema;
    built.parts.ForEach([&alone](const PartList::EntryPtr& entry) {
      v1::ManifestEntry& named = alone.manifest.emplace_back();
      named.set_name(entry->name);
      named.set_sha256(entry->sha256);
      alone.blobs.emplace(entry->sha256, *entry->part.bytes);
    });
    const auto again = BuildSnapshot(alone, nullptr, kSchema);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(WhatServes(*(*again)->active), WhatServes(*built.active));
  }

  // The laws of the protocol, at the moment of sending.
  void Run(const PublishCore::Actions& actions) {
    for (const PublishCore::Action& action : actions) {
      SimulatedProxy* proxy = nullptr;
      for (auto& [id, candidate] : proxies_) {
        if (candidate.stream == action.stream) proxy = &candidate;
      }
      if (action.content == nullptr) {
        // Only the older of two streams of one proxy is ever closed: no proxy here breaks the protocol.
        EXPECT_EQ(action.close.code(), absl::StatusCode::kAborted) << action.close;
        EXPECT_EQ(proxy, nullptr);
        continue;
      }
      if (proxy == nullptr) continue;  // a stream whose proxy is gone, which was not noticed yet
      EXPECT_FALSE(proxy->offer_unanswered) << "two offers outstanding";
      EXPECT_EQ(action.nonce, proxy->last_nonce + 1);
      EXPECT_EQ(action.content, core_.published()) << "not the latest";
      EXPECT_LE(action.content->snapshot.schema, proxy->schema) << "a schema the proxy does not understand";
      EXPECT_FALSE(proxy->refused.contains(action.content->snapshot.id.sha256())) << "a refused snapshot again";
      proxy->offer_unanswered = true;
      proxy->last_nonce = action.nonce;
      EXPECT_TRUE(action.change == nullptr || proxy->takes_changes);
      changes_ += action.change != nullptr;
      OfferChunks chunks = action.change == nullptr ? OfferChunks(action.nonce, action.content, action.blobs)
                                                    : OfferChunks(action.nonce, action.content, action.change);
      while (!chunks.done()) {
        v1::Offer chunk = chunks.Next();
        EXPECT_LE(chunk.ByteSizeLong(), kOfferChunkBytesMax);
        proxy->to_proxy.push_back(std::move(chunk));
      }
    }
  }

  // No more trouble: everybody is connected, tells what it serves, and everything under way arrives.
  void Settle() {
    for (int round = 0; round < 3; ++round) {
      for (auto& [id, proxy] : proxies_) {
        if (proxy.stream == 0) Connect(id, proxy);
        while (Deliver(proxy)) {
        }
        if (proxy.stream != 0) Say(proxy, StatusOf(proxy));
        while (Deliver(proxy)) {
        }
      }
    }
  }

  void Check() {
    ASSERT_NE(core_.published(), nullptr);
    EXPECT_GT(changes_, 0);
    const v1::SnapshotId& latest = core_.published()->snapshot.id;
    std::map<std::string, v1::ProxyStatus> fleet;
    for (v1::ProxyStatus& status : core_.Fleet()) fleet[status.proxy_id()] = status;
    EXPECT_TRUE(core_.ProgressOf(latest.sequence(), now_us_).complete);
    for (const auto& [id, proxy] : proxies_) {
      const bool refuses = proxy.schema < kSchema || proxy.refused.contains(latest.sha256());
      EXPECT_EQ(fleet.at(id).in_sync(), !refuses) << id;
      EXPECT_EQ(fleet.at(id).rejected_size() > 0, refuses) << id;
      if (refuses) continue;
      ASSERT_NE(proxy.live, nullptr) << id;
      EXPECT_EQ(proxy.live->active->id.sha256(), latest.sha256()) << id;
      EXPECT_EQ(proxy.live->active->id.sequence(), latest.sequence()) << id;
    }
  }

  std::mt19937_64 random_;
  int64_t now_us_ = 1;
  int64_t version_ = 0;
  PublishCore::StreamId last_stream_ = 0;
  int changes_ = 0;  // offers that had a base
  ScriptedSource source_;
  PublishCore core_;
  std::map<std::string, SimulatedProxy> proxies_;
};

TEST(SnapshotProtocolSimulation, EveryProxyEndsOnTheLatestContentOrSaysWhyNot) {
  for (uint64_t seed = 1; seed <= 30 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    Simulation(seed).Run();
  }
}

}  // namespace
}  // namespace signalbox
