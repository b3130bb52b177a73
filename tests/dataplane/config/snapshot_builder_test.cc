#include "dataplane/config/snapshot_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <random>
#include <thread>

#include "common/faults.h"
#include "common/limits.h"
#include "controlplane/publish/published_content.h"
#include "dataplane/config/snapshot_slot.h"
#include "tests/controlplane/publish/snapshot_samples.h"
#include "tests/dataplane/config/what_serves.h"

namespace signalbox {
namespace {

using ::testing::HasSubstr;

SnapshotOffer OfferOf(const SampleSnapshot& sample) {
  SnapshotOffer offer;
  offer.id = sample.snapshot.id;
  offer.schema = sample.snapshot.schema;
  offer.manifest = sample.snapshot.manifest;
  offer.blobs.insert(sample.blobs.begin(), sample.blobs.end());
  return offer;
}

// The one fault of an offer that must be refused.
v1::Fault FaultOf(const SnapshotOffer& offer, const BuiltSnapshot* live = nullptr, int max_schema = kSchema) {
  const auto built = BuildSnapshot(offer, live, max_schema);
  EXPECT_EQ(built.status().code(), absl::StatusCode::kInvalidArgument);
  const std::vector<v1::Fault> faults = FaultsOf(built.status());
  EXPECT_EQ(faults.size(), 1u) << FormatFaults(faults);
  return faults.empty() ? v1::Fault() : faults[0];
}

TEST(SnapshotBuilder, RoutesProvidersAndKeysAreWhereRequestsLookForThem) {
  const auto built = BuildSnapshot(OfferOf(VersionOfRoute(7, 3)), nullptr, kSchema);
  ASSERT_TRUE(built.ok()) << built.status();
  const ActiveSnapshot& active = *(*built)->active;
  EXPECT_EQ(active.id.sequence(), 7);
  EXPECT_EQ(active.gateways.at("default").routes.at("my-saas")->version(), 3);
  EXPECT_EQ(active.gateways.at("default").providers.at("openai")->secret(), "sk-very-secret");
  EXPECT_EQ(active.keys.at(Sha256Hex("k1"))->id(), "k1");
}

TEST(SnapshotBuilder, PartsThatDidNotChangeAreTheSameObjectsAndNeedNotBeSent) {
  const auto live = BuildSnapshot(OfferOf(VersionOfRoute(1, 1)), nullptr, kSchema);
  ASSERT_TRUE(live.ok());
  SnapshotOffer offer = OfferOf(VersionOfRoute(2, 2));
  (*live)->parts.ForEach([&offer](const PartList::EntryPtr& entry) { offer.blobs.erase(entry->sha256); });
  ASSERT_EQ(offer.blobs.size(), 1u);
  const auto built = BuildSnapshot(offer, live->get(), kSchema);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ((*built)->active->gateways.at("default").providers.at("openai"),
            (*live)->active->gateways.at("default").providers.at("openai"));
  const auto alone = BuildSnapshot(offer, nullptr, kSchema);
  ASSERT_EQ(FaultsOf(alone.status()).size(), 2u);
  EXPECT_EQ(FaultsOf(alone.status())[0].code(), "blob_missing");
}

TEST(SnapshotBuilder, ANewerSchemaIsRefusedBeforeAnythingElse) {
  SnapshotOffer offer = OfferOf(VersionOfRoute(1, 1));
  offer.id.set_sha256("not even right");
  const v1::Fault fault = FaultOf(offer, nullptr, 0);
  EXPECT_EQ(fault.code(), "schema_too_new");
  EXPECT_EQ(fault.message(), "needs schema 1, proxy understands 0; upgrade the proxy");
}

TEST(SnapshotBuilder, ContentThatIsNotWhatItsHashesSayIsRefused) {
  SnapshotOffer offer = OfferOf(VersionOfRoute(1, 1));
  offer.blobs.begin()->second += "x";
  EXPECT_EQ(FaultOf(offer).code(), "blob_corrupt");
  offer = OfferOf(VersionOfRoute(1, 1));
  offer.id.set_sha256(std::string(64, '0'));
  EXPECT_EQ(FaultOf(offer).code(), "bad_manifest");
  offer = OfferOf(VersionOfRoute(1, 1));
  std::swap(offer.manifest[0], offer.manifest[1]);
  offer.id.set_sha256(ManifestSha256(offer.manifest));
  EXPECT_THAT(FaultOf(offer).message(), HasSubstr("not ordered by name"));
}

TEST(SnapshotBuilder, ABlobUnderAnothersNameIsRefused) {
  SnapshotOffer offer = OfferOf(MakeSnapshot(1, {SampleProvider()}));
  offer.manifest[0].set_name("gateways/default/providers/anthropic");
  offer.id.set_sha256(ManifestSha256(offer.manifest));
  const v1::Fault fault = FaultOf(offer);
  EXPECT_EQ(fault.code(), "bad_resource");
  EXPECT_EQ(fault.path(), "gateways/default/providers/anthropic");
}

TEST(SnapshotBuilder, ARouteThatCannotBeWalkedIsRefusedByName) {
  v1::Resource route = SampleRoute("my-saas", 2);
  route.mutable_route()->mutable_elements(1)->mutable_model()->set_on_success(99);
  const v1::Fault fault = FaultOf(OfferOf(MakeSnapshot(1, {SampleProvider(), route})));
  EXPECT_EQ(fault.code(), "bad_route");
  EXPECT_EQ(fault.path(), "gateways/default/routes/id-my-saas");
  EXPECT_THAT(fault.message(), HasSubstr("\"mini\""));
}

TEST(SnapshotBuilder, ARouteWhoseProviderIsMissingIsRefused) {
  const v1::Fault fault = FaultOf(OfferOf(MakeSnapshot(1, {SampleRoute("my-saas", 4)})));
  EXPECT_EQ(fault.code(), "unknown_provider");
  EXPECT_EQ(fault.message(), "route \"my-saas\" v4: element \"mini\": provider \"openai\" is not in the snapshot");
}

TEST(SnapshotBuilder, ImplausibleProvidersAndKeysAreRefused) {
  for (const std::string url :
       {"", "api.openai.com", "ftp://x", "https://", "https:///v1", "https://a b/", "http://:80"}) {
    v1::Resource provider = SampleProvider();
    provider.mutable_provider()->set_base_url(url);
    EXPECT_EQ(FaultOf(OfferOf(MakeSnapshot(1, {provider}))).code(), "bad_provider") << url;
  }
  v1::Resource provider = SampleProvider();
  provider.mutable_provider()->set_kind("telepathy");
  EXPECT_THAT(FaultOf(OfferOf(MakeSnapshot(1, {provider}))).message(), HasSubstr("unknown kind \"telepathy\""));
  provider = SampleProvider();
  (*provider.mutable_provider()->mutable_headers())["x-team"] = "a\r\nhost: evil";
  EXPECT_THAT(FaultOf(OfferOf(MakeSnapshot(1, {provider}))).message(), HasSubstr("header \"x-team\""));
  v1::Resource key = SampleKey("k1");
  key.mutable_key()->set_sha256("short");
  EXPECT_EQ(FaultOf(OfferOf(MakeSnapshot(1, {key}))).code(), "bad_key");
  key = SampleKey("k1");
  key.mutable_key()->set_pinned_metadata_json("[1]");
  EXPECT_EQ(FaultOf(OfferOf(MakeSnapshot(1, {key}))).code(), "bad_key");
}

TEST(SnapshotBuilder, SettingsAndPricesAreWhereRequestsLookForThem) {
  const auto built =
      BuildSnapshot(OfferOf(MakeSnapshot(1, {SampleProvider(), SampleRoute("my-saas", 1), SampleSettings("my-saas"),
                                             SamplePrices({"gpt-4o", "gpt-4o-mini"})})),
                    nullptr, kSchema);
  ASSERT_TRUE(built.ok()) << built.status();
  const ActiveSnapshot::Gateway& gateway = (*built)->active->gateways.at("default");
  EXPECT_EQ(gateway.settings->settings().default_route(), "my-saas");
  ASSERT_NE(gateway.prices.at("openai").Find("gpt-4o-mini"), nullptr);
  EXPECT_EQ(gateway.prices.at("openai").Find("gpt-4o-mini")->model(), "gpt-4o-mini");
  EXPECT_EQ(gateway.prices.at("openai").Find("gpt-5"), nullptr);
}

TEST(SnapshotBuilder, ADefaultRouteThatIsNotThereIsRefused) {
  const v1::Fault fault = FaultOf(OfferOf(MakeSnapshot(1, {SampleProvider(), SampleSettings("gone")})));
  EXPECT_EQ(fault.code(), "unknown_route");
  EXPECT_EQ(fault.message(), "gateway \"default\": its default route \"gone\" is not in the snapshot");
}

TEST(SnapshotBuilder, PricesWhoseMatchCannotBeUsedAreRefused) {
  v1::Resource prices = SamplePrices({"a"});
  prices.mutable_prices()->mutable_prices(0)->mutable_match()->set_regex("(");
  const v1::Fault fault = FaultOf(OfferOf(MakeSnapshot(1, {prices})));
  EXPECT_EQ(fault.code(), "bad_prices");
  EXPECT_THAT(fault.message(), HasSubstr("prices of \"openai\": "));
}

TEST(SnapshotBuilder, EveryKindOfProviderIsAcceptedAndEndpointsAreChecked) {
  for (const std::string kind : {"openai", "azure-openai", "anthropic", "google", "bedrock"}) {
    v1::Resource provider = SampleProvider();
    provider.mutable_provider()->set_kind(kind);
    const auto built = BuildSnapshot(OfferOf(MakeSnapshot(1, {provider})), nullptr, kSchema);
    EXPECT_TRUE(built.ok()) << built.status();
  }
  const auto refuses = [](const std::function<void(v1::SnapshotProvider&)>& change, const std::string& text) {
    v1::Resource provider = SampleProvider();
    v1::SnapshotProvider::Endpoint& endpoint = *provider.mutable_provider()->add_endpoints();
    endpoint.set_name("east");
    endpoint.set_base_url("https://east.example/v1");
    endpoint.set_weight(1);
    change(*provider.mutable_provider());
    EXPECT_THAT(FaultOf(OfferOf(MakeSnapshot(1, {provider}))).message(), HasSubstr(text));
  };
  refuses([](v1::SnapshotProvider& p) { *p.add_endpoints() = p.endpoints(0); }, "two endpoints \"east\"");
  refuses([](v1::SnapshotProvider& p) { p.mutable_endpoints(0)->set_name(""); }, "an endpoint has no name");
  refuses([](v1::SnapshotProvider& p) { p.mutable_endpoints(0)->set_weight(0); }, "its weight is below 1");
  refuses([](v1::SnapshotProvider& p) { p.mutable_endpoints(0)->clear_base_url(); }, "endpoint \"east\": base_url");
  refuses([](v1::SnapshotProvider& p) { p.mutable_health_check()->set_path("models"); }, "health check");
  refuses([](v1::SnapshotProvider& p) { p.mutable_health_check()->set_path("/models"); }, "health check");
}

TEST(SnapshotBuilder, TwoRoutesOfOneNameAreRefused) {
  v1::Resource other = SampleRoute("my-saas", 1);
  other.mutable_route()->set_route_id("id-other");
  const v1::Fault fault = FaultOf(OfferOf(MakeSnapshot(1, {SampleProvider(), SampleRoute("my-saas", 1), other})));
  EXPECT_EQ(fault.code(), "duplicate_name");
}

TEST(SnapshotBuilder, EveryFaultIsNamedAtOnce) {
  v1::Resource provider = SampleProvider();
  provider.mutable_provider()->set_base_url("nowhere");
  v1::Resource key = SampleKey("k1");
  key.mutable_key()->set_sha256("");
  const auto built = BuildSnapshot(OfferOf(MakeSnapshot(1, {provider, key})), nullptr, kSchema);
  EXPECT_EQ(FaultsOf(built.status()).size(), 2u);
}

v1::Offer Chunk(uint64_t nonce, bool last) {
  v1::Offer offer;
  offer.set_nonce(nonce);
  offer.set_last(last);
  return offer;
}

void AddPiece(v1::Offer& offer, const std::string& sha256, const std::string& data, uint64_t size) {
  v1::BlobChunk* piece = offer.add_blobs();
  piece->set_sha256(sha256);
  piece->set_data(data);
  piece->set_size(size);
}

std::shared_ptr<const PublishedContent> ContentOf(const SampleSnapshot& sample) {
  ScriptedSource source;
  source.Set(sample);
  const auto content = ReadContent(source, nullptr, 0);
  EXPECT_TRUE(content.ok()) << content.status();
  return *content;
}

// `next` as a change of `base`.
SnapshotOffer ChangeOf(const SampleSnapshot& base, const SampleSnapshot& next) {
  const ContentChange change = ChangeBetween(*ContentOf(base), *ContentOf(next));
  SnapshotOffer offer;
  offer.id = next.snapshot.id;
  offer.schema = next.snapshot.schema;
  offer.base = change.base;
  offer.manifest = change.manifest;
  offer.removed = change.removed;
  for (const std::string& sha256 : change.blobs) offer.blobs[sha256] = next.blobs.at(sha256);
  return offer;
}

TEST(SnapshotBuilder, AChangeSharesWhatDidNotChangeAndLeavesWhatItIsBuiltOnAlone) {
  std::vector<v1::Resource> resources = {SampleProvider(), SampleKey("k1")};
  for (int i = 0; i < 200; ++i) resources.push_back(SampleRoute(absl::StrCat("route-", i), 1));
  const SampleSnapshot before = MakeSnapshot(1, resources);
  resources[100] = SampleRoute("route-98", 2);
  const SampleSnapshot after = MakeSnapshot(2, resources);
  const auto live = BuildSnapshot(OfferOf(before), nullptr, kSchema);
  ASSERT_TRUE(live.ok()) << live.status();
  const SnapshotOffer offer = ChangeOf(before, after);
  EXPECT_EQ(offer.manifest.size(), 1u);
  EXPECT_EQ(offer.blobs.size(), 1u);
  const auto built = BuildSnapshot(offer, live->get(), kSchema);
  ASSERT_TRUE(built.ok()) << built.status();
  const auto& old_routes = (*live)->active->gateways.at("default").routes;
  const auto& new_routes = (*built)->active->gateways.at("default").routes;
  EXPECT_EQ(old_routes.at("route-98")->version(), 1);
  EXPECT_EQ(new_routes.at("route-98")->version(), 2);
  for (int i = 0; i < 200; ++i) {
    if (i == 98) continue;
    const std::string name = absl::StrCat("route-", i);
    EXPECT_EQ(&old_routes.at(name)->elements(), &new_routes.at(name)->elements());
  }
}

TEST(SnapshotBuilder, AChangeOfAnythingButWhatServesSaysNothing) {
  const SampleSnapshot base = VersionOfRoute(1, 1);
  const SnapshotOffer offer = ChangeOf(base, VersionOfRoute(2, 2));
  const auto other = BuildSnapshot(OfferOf(VersionOfRoute(3, 1)), nullptr, kSchema);
  ASSERT_TRUE(other.ok());
  for (const BuiltSnapshot* live : {static_cast<const BuiltSnapshot*>(nullptr), other->get()}) {
    const auto built = BuildSnapshot(offer, live, kSchema);
    EXPECT_EQ(built.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(built.status().message(), "snapshot 2: offered as a change of 1, which is not what serves");
  }
}

TEST(SnapshotBuilder, AChangeThatDoesNotLeadToItsIdentityIsRefused) {
  const SampleSnapshot base = VersionOfRoute(1, 1);
  const auto live = BuildSnapshot(OfferOf(base), nullptr, kSchema);
  ASSERT_TRUE(live.ok());
  SnapshotOffer offer = ChangeOf(base, VersionOfRoute(2, 2));
  offer.removed = {"gateways/default/keys/k1"};
  EXPECT_EQ(FaultOf(offer, live->get()).code(), "bad_manifest");
  offer.removed = {"gateways/default/keys/k2"};
  EXPECT_EQ(FaultOf(offer, live->get()).message(), "it is to be removed and is not there");
  // What it takes away is missed like what was never there.
  offer = ChangeOf(base, MakeSnapshot(2, {SampleKey("k1"), SampleRoute("my-saas", 1)}));
  EXPECT_EQ(FaultOf(offer, live->get()).code(), "unknown_provider");
}

TEST(SnapshotBuilder, NamesChangeHandsInOneChange) {
  v1::Resource a = SampleRoute("a", 1), b = SampleRoute("b", 1);
  const SampleSnapshot before = MakeSnapshot(1, {SampleProvider(), a, b});
  a.mutable_route()->set_name("b");
  b.mutable_route()->set_name("a");
  const SampleSnapshot after = MakeSnapshot(2, {SampleProvider(), a, b});
  const auto live = BuildSnapshot(OfferOf(before), nullptr, kSchema);
  ASSERT_TRUE(live.ok());
  const auto built = BuildSnapshot(ChangeOf(before, after), live->get(), kSchema);
  ASSERT_TRUE(built.ok()) << built.status();
  EXPECT_EQ((*built)->active->gateways.at("default").routes.at("a")->route_id(), "id-b");
  EXPECT_EQ((*built)->active->gateways.at("default").routes.at("b")->route_id(), "id-a");
}

// Workers read what serves while the next snapshot is made of it.
TEST(SnapshotBuilder, WhatServesCanBeReadWhileAChangeIsBuiltOnIt) {
  std::vector<v1::Resource> resources = {SampleProvider(), SampleKey("k1")};
  for (int i = 0; i < 100; ++i) resources.push_back(SampleRoute(absl::StrCat("route-", i), 1));
  SampleSnapshot before = MakeSnapshot(1, resources);
  auto live = BuildSnapshot(OfferOf(before), nullptr, kSchema);
  ASSERT_TRUE(live.ok()) << live.status();
  SnapshotSlot slot;
  slot.Swap((*live)->active);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&slot, &done] {
      int64_t newest = 0;
      while (!done) {
        const auto active = slot.Get();
        int64_t sum = 0;
        active->gateways.at("default").routes.ForEach(
            [&sum](const std::string&, const auto& route) { sum += route->version(); });
        EXPECT_GE(sum, newest) << "versions only grow";
        newest = sum;
      }
    });
  }
  for (int sequence = 2; sequence < 100; ++sequence) {
    const int changed = sequence % 100;
    resources[static_cast<size_t>(2 + changed)] = SampleRoute(absl::StrCat("route-", changed), sequence);
    const SampleSnapshot after = MakeSnapshot(sequence, resources);
    live = BuildSnapshot(ChangeOf(before, after), live->get(), kSchema);
    ASSERT_TRUE(live.ok()) << live.status();
    slot.Swap((*live)->active);
    before = after;
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
}

// Any content from any other, in changes of every size, is what it is when it comes whole.
TEST(SnapshotBuilder, AChainOfChangesGivesWhatWholeOffersGive) {
  std::mt19937_64 random(7);
  const auto draw = [&random](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
  std::map<std::string, v1::Resource> resources;
  SampleSnapshot before = MakeSnapshot(1, {});
  auto live = BuildSnapshot(OfferOf(before), nullptr, kSchema);
  ASSERT_TRUE(live.ok()) << live.status();
  for (int sequence = 2; sequence < 120; ++sequence) {
    const int changes = draw(20) == 0 ? 300 : 1 + draw(4);
    for (int i = 0; i < changes; ++i) {
      const std::string name = absl::StrCat("n-", draw(300));
      v1::Resource resource;
      switch (draw(5)) {
        case 0:
          resource = SampleKey(name);
          break;
        case 1:
          resource = SampleProvider(absl::StrCat("sk-", draw(3)));
          resource.mutable_provider()->set_name(draw(3) == 0 ? "openai" : absl::StrCat("p-", draw(5)));
          break;
        case 2:
          resource = SamplePrices({absl::StrCat("m-", draw(3))});
          break;
        default:
          resource = SampleRoute(name, 1 + draw(3));
      }
      if (draw(8) == 0) {  // of a gateway that comes and goes
        resource = SampleSettings("");
        resource.mutable_gateway()->set_gateway(absl::StrCat("g-", draw(3)));
      }
      if (draw(3) == 0) {
        resources.erase(NameOf(resource));
      } else {
        resources[NameOf(resource)] = resource;
      }
    }
    const v1::Resource provider = SampleProvider();
    resources.emplace(NameOf(provider), provider);
    std::vector<v1::Resource> list;
    for (const auto& [name, resource] : resources) list.push_back(resource);
    const SampleSnapshot after = MakeSnapshot(sequence, list);
    const auto changed = BuildSnapshot(ChangeOf(before, after), live->get(), kSchema);
    ASSERT_TRUE(changed.ok()) << sequence << ": " << changed.status();
    const auto whole = BuildSnapshot(OfferOf(after), nullptr, kSchema);
    ASSERT_TRUE(whole.ok()) << sequence << ": " << whole.status();
    ASSERT_EQ(WhatServes(*(*changed)->active), WhatServes(*(*whole)->active)) << sequence;
    // And what differs is found whatever blocks the lists have.
    std::map<std::string, std::string> reached;
    (*live)->parts.ForEach([&](const PartList::EntryPtr& entry) { reached[entry->name] = entry->sha256; });
    PartList::Compare((*live)->parts, (*whole)->parts,
                      [&](const PartList::EntryPtr& entry) { reached[entry->name] = entry->sha256; },
                      [&](const PartList::EntryPtr& entry) { EXPECT_EQ(reached.erase(entry->name), 1u); });
    ASSERT_EQ(reached.size(), (*whole)->parts.size());
    (*whole)->parts.ForEach(
        [&](const PartList::EntryPtr& entry) { EXPECT_EQ(reached.at(entry->name), entry->sha256); });
    live = changed;
    before = after;
  }
}

TEST(PartList, IsOrderedAndCopiesAreAloneHoweverItIsFilled) {
  std::mt19937_64 random(3);
  std::map<std::string, std::string> expected;
  PartList list;
  const auto check = [](const PartList& parts, const std::map<std::string, std::string>& entries) {
    std::vector<v1::ManifestEntry> manifest;
    parts.ForEach([&manifest](const PartList::EntryPtr& entry) {
      manifest.emplace_back().set_name(entry->name);
      manifest.back().set_sha256(entry->sha256);
    });
    ASSERT_EQ(parts.size(), entries.size());
    ASSERT_EQ(manifest.size(), entries.size());
    size_t i = 0;
    for (const auto& [name, sha256] : entries) {
      ASSERT_EQ(manifest[i].name(), name);
      ASSERT_EQ(manifest[i++].sha256(), sha256);
      ASSERT_NE(parts.Find(name), nullptr);
    }
    ASSERT_EQ(parts.Sha256(), ManifestSha256(manifest));
  };
  check(list, expected);
  for (int round = 0; round < 40; ++round) {
    const PartList before(list);
    const std::map<std::string, std::string> expected_before = expected;
    for (int i = 0; i < 100; ++i) {
      const std::string name = absl::StrCat("n", random() % 700);
      if (random() % 3 == 0) {
        ASSERT_EQ(list.Remove(name), expected.erase(name) == 1);
        continue;
      }
      auto entry = std::make_shared<PartList::Entry>();
      entry->name = name;
      entry->sha256 = Sha256(absl::StrCat(random() % 3));
      expected[name] = entry->sha256;
      list.Put(std::move(entry));
    }
    check(list, expected);
    check(before, expected_before);
    list = PartList(list);
  }
}

TEST(SharedMap, CopiesAreAloneAndNothingIsLost) {
  std::mt19937_64 random(5);
  SharedMap<int> map;
  std::map<std::string, int> expected;
  EXPECT_TRUE(map.empty());
  EXPECT_EQ(map.Find("a"), nullptr);
  for (int round = 0; round < 40; ++round) {
    const SharedMap<int> before(map);
    const std::map<std::string, int> expected_before = expected;
    for (int i = 0; i < 100; ++i) {
      const std::string key = absl::StrCat("k", random() % 500);
      if (random() % 2 == 0) {
        ASSERT_EQ(map.Erase(key), expected.erase(key) == 1);
      } else {
        ASSERT_EQ(map.Insert(key, i), expected.emplace(key, i).second);
      }
    }
    const auto check = [](const SharedMap<int>& shared, const std::map<std::string, int>& plain) {
      std::map<std::string, int> seen;
      shared.ForEach([&seen](const std::string& key, int value) { seen[key] = value; });
      ASSERT_EQ(seen, plain);
      ASSERT_EQ(shared.size(), plain.size());
      for (const auto& [key, value] : plain) ASSERT_EQ(shared.at(key), value);
    };
    check(map, expected);
    check(before, expected_before);
    SharedMap<int> copy = map;
    map = copy;
  }
}

TEST(OfferAssembler, PiecesBecomeWholeBlobs) {
  OfferAssembler assembler;
  v1::Offer one = Chunk(4, false);
  AddPiece(one, "a", "whole", 5);
  AddPiece(one, "b", "in ", 9);
  v1::Offer two = Chunk(4, true);
  AddPiece(two, "b", "pieces", 9);
  AddPiece(two, "c", "", 0);
  EXPECT_FALSE(*assembler.Add(one));
  EXPECT_TRUE(*assembler.Add(two));
  EXPECT_EQ(assembler.nonce(), 4u);
  const SnapshotOffer offer = assembler.Take();
  EXPECT_EQ(offer.blobs.at("a"), "whole");
  EXPECT_EQ(offer.blobs.at("b"), "in pieces");
  EXPECT_EQ(offer.blobs.at("c"), "");
}

TEST(OfferAssembler, ChunksThatDoNotFitTogetherAreRefused) {
  const auto refuses = [](const std::vector<v1::Offer>& chunks, const std::string& text) {
    OfferAssembler assembler;
    absl::Status status;
    for (const v1::Offer& chunk : chunks) status.Update(assembler.Add(chunk).status());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  };
  refuses({Chunk(1, false), Chunk(2, true)}, "broken off by a chunk of offer 2");
  v1::Offer half = Chunk(1, true);
  AddPiece(half, "a", "ha", 4);
  refuses({half}, "ends within a blob");
  v1::Offer other = Chunk(1, true);
  AddPiece(other, "a", "ha", 4);
  AddPiece(other, "b", "x", 1);
  refuses({other}, "another blob begins");
  v1::Offer longer = Chunk(1, true);
  AddPiece(longer, "a", "too long", 4);
  refuses({longer}, "longer than it said");
  v1::Offer twice = Chunk(1, true);
  AddPiece(twice, "a", "x", 1);
  AddPiece(twice, "a", "x", 1);
  refuses({twice}, "comes twice");
  v1::Offer huge = Chunk(1, true);
  AddPiece(huge, "a", "x", kBlobBytesMax + 1);
  refuses({huge}, "more than");
}

}  // namespace
}  // namespace signalbox
