// Snapshots for tests: gateways with small routes that differ by their version, and a source that a test scripts.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/manifest.h"
#include "common/mutex.h"
#include "common/sha256.h"
#include "controlplane/publish/snapshot_source.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

inline v1::Resource SampleRoute(const std::string& name, int64_t version, const std::string& padding = "") {
  v1::Resource resource;
  v1::CompiledRoute& route = *resource.mutable_route();
  route.set_gateway("default");
  route.set_route_id(absl::StrCat("id-", name));
  route.set_name(name);
  route.set_version(version);
  v1::CompiledElement* start = route.add_elements();
  start->set_id("start");
  start->mutable_start()->set_next(1);
  v1::CompiledElement* model = route.add_elements();
  model->set_id("mini");
  model->mutable_model()->set_provider("openai");
  model->mutable_model()->set_model("gpt-4o-mini");
  model->mutable_model()->set_on_success(2);
  v1::CompiledElement* end = route.add_elements();
  end->set_id("end");
  end->mutable_end()->set_message(padding);
  return resource;
}

inline v1::Resource SampleProvider(const std::string& secret = "sk-very-secret") {
  v1::Resource resource;
  v1::SnapshotProvider& provider = *resource.mutable_provider();
  provider.set_gateway("default");
  provider.set_name("openai");
  provider.set_kind("openai");
  provider.set_base_url("https://api.openai.com/v1");
  provider.set_secret(secret);
  return resource;
}

inline v1::Resource SampleKey(const std::string& id) {
  v1::Resource resource;
  v1::SnapshotKey& key = *resource.mutable_key();
  key.set_gateway("default");
  key.set_id(id);
  key.set_sha256(Sha256Hex(id));
  return resource;
}

inline v1::Resource SampleSettings(const std::string& default_route) {
  v1::Resource resource;
  resource.mutable_gateway()->set_gateway("default");
  resource.mutable_gateway()->mutable_settings()->set_default_route(default_route);
  return resource;
}

inline v1::Resource SamplePrices(const std::vector<std::string>& models) {
  v1::Resource resource;
  v1::SnapshotPrices& prices = *resource.mutable_prices();
  prices.set_gateway("default");
  prices.set_provider("openai");
  for (const std::string& model : models) {
    v1::ModelPrice* price = prices.add_prices();
    price->set_provider("openai");
    price->set_model(model);
    price->set_input_nanos_per_mtok(1'000'000'000);
  }
  return resource;
}

inline std::string NameOf(const v1::Resource& resource) {
  if (resource.has_route()) return RouteResource(resource.route().gateway(), resource.route().route_id());
  if (resource.has_provider()) return ProviderResource(resource.provider().gateway(), resource.provider().name());
  if (resource.has_gateway()) return GatewayResource(resource.gateway().gateway());
  if (resource.has_prices()) return PricesResource(resource.prices().gateway(), resource.prices().provider());
  return KeyResource(resource.key().gateway(), resource.key().id());
}

// A published snapshot and its blobs, as a store would hold them.
struct SampleSnapshot {
  PublishedSnapshot snapshot;
  std::map<std::string, std::string> blobs;
};

inline SampleSnapshot MakeSnapshot(int64_t sequence, const std::vector<v1::Resource>& resources,
                                   const std::string& lineage = "lineage-a") {
  std::map<std::string, std::string> by_name;
  for (const v1::Resource& resource : resources) by_name[NameOf(resource)] = resource.SerializeAsString();
  SampleSnapshot sample;
  for (const auto& [name, data] : by_name) {
    v1::ManifestEntry& entry = sample.snapshot.manifest.emplace_back();
    entry.set_name(name);
    entry.set_sha256(Sha256(data));
    sample.blobs[entry.sha256()] = data;
  }
  sample.snapshot.id.set_lineage(lineage);
  sample.snapshot.id.set_sequence(sequence);
  sample.snapshot.id.set_sha256(ManifestSha256(sample.snapshot.manifest));
  return sample;
}

inline SampleSnapshot VersionOfRoute(int64_t sequence, int64_t version) {
  return MakeSnapshot(sequence, {SampleProvider(), SampleKey("k1"), SampleRoute("my-saas", version)});
}

class ScriptedSource final : public SnapshotSource {
 public:
  void Set(SampleSnapshot sample) {
    MutexLock lock(mutex_);
    sample_ = std::move(sample);
  }
  absl::StatusOr<PublishedSnapshot> ReadSnapshot() const override {
    MutexLock lock(mutex_);
    ++snapshots_read_;
    return sample_.snapshot;
  }
  absl::StatusOr<std::string> ReadBlob(const std::string& sha256) const override {
    MutexLock lock(mutex_);
    const auto blob = sample_.blobs.find(sha256);
    if (blob == sample_.blobs.end()) return absl::NotFoundError("no such blob is published");
    return blob->second;
  }
  int snapshots_read() const {
    MutexLock lock(mutex_);
    return snapshots_read_;
  }

 private:
  mutable Mutex mutex_;
  SampleSnapshot sample_ SB_GUARDED_BY(mutex_);
  mutable int snapshots_read_ SB_GUARDED_BY(mutex_) = 0;
};

}  // namespace signalbox
