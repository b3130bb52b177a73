#include "controlplane/publish/publish_core.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/manifest.h"

namespace signalbox {
namespace {

static_assert(kSilentStreamUs >= 3 * kStatusUs, "a few late Status messages must not close a stream");
constexpr size_t kLatenciesKept = 16;

std::string Describe(const v1::SnapshotId& id) {
  if (id.sha256().empty()) return "no snapshot";
  return absl::StrCat("snapshot ", id.sequence(), " (", id.sha256().substr(0, 12), ")");
}

v1::Fault MakeFault(const std::string& code, const std::string& message) {
  v1::Fault fault;
  fault.set_severity(v1::SEVERITY_ERROR);
  fault.set_path("$");
  fault.set_code(code);
  fault.set_message(message);
  return fault;
}

absl::Status Violation(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("snapshot stream: ", what));
}

}  // namespace

void PublishCore::OnRemembered(const std::vector<std::string>& proxy_ids, int64_t now_us) {
  for (const std::string& id : proxy_ids) {
    const auto [entry, added] = proxies_.try_emplace(id);
    if (!added) continue;
    entry->second.status.set_proxy_id(id);
    entry->second.disconnected_us = now_us;
    entry->second.schema = std::numeric_limits<int>::max();  // whatever it understands, its Hello will say
  }
}

PublishCore::Actions PublishCore::OnPublished(std::shared_ptr<const PublishedContent> content, int64_t now_us) {
  if (content_ != nullptr && content_->snapshot.id.lineage() != content->snapshot.id.lineage()) {
    for (auto& [id, proxy] : proxies_) proxy.latencies.clear();  // sequences of another lineage do not compare
  }
  content_ = std::move(content);
  Actions actions;
  // Refusals of older content no longer say anything about what is published, also for proxies that are away.
  for (auto& [id, proxy] : proxies_) proxy.refused = RefusalOf(proxy, *content_);
  for (auto& [id, stream] : streams_) Consider(id, stream, actions);
  return actions;
}

void PublishCore::OnOpened(StreamId stream, int64_t now_us) { streams_[stream].heard_us = now_us; }

PublishCore::Actions PublishCore::OnMessage(StreamId id, const v1::ProxyMessage& message, int64_t now_us,
                                            int64_t unix_us) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return {};  // closed by us; what was still under way does not count
  Stream& stream = found->second;
  stream.heard_us = now_us;
  if (message.kind_case() == v1::ProxyMessage::kHello) return OnHello(id, stream, message.hello(), now_us, unix_us);

  absl::Status status;
  if (stream.proxy_id.empty()) {
    status = Violation("the first message must be Hello");
  } else {
    Proxy& proxy = proxies_.at(stream.proxy_id);
    proxy.status.set_last_heard_us(unix_us);
    switch (message.kind_case()) {
      case v1::ProxyMessage::kAck:
        status = OnAck(stream, proxy, message.ack(), now_us, unix_us);
        break;
      case v1::ProxyMessage::kNack:
        status = OnNack(stream, proxy, message.nack());
        break;
      case v1::ProxyMessage::kStatus:
        OnStatus(stream, proxy, message.status());
        break;
      default:
        break;  // a kind that a newer proxy may know: not ours to refuse
    }
  }
  Actions actions;
  if (!status.ok()) {
    OnClosed(id, now_us);
    actions.push_back({.stream = id, .close = status});
  } else {
    Consider(id, stream, actions);
  }
  return actions;
}

PublishCore::Actions PublishCore::OnHello(StreamId id, Stream& stream, const v1::Hello& hello, int64_t now_us,
                                          int64_t unix_us) {
  Actions actions;
  absl::Status refusal;
  if (!stream.proxy_id.empty()) {
    refusal = Violation("a second Hello");
  } else if (hello.proxy_id().empty() || hello.proxy_id().size() > kNameBytesMax) {
    refusal = Violation(absl::StrCat("proxy_id must have 1 to ", kNameBytesMax, " bytes"));
  } else if (!proxies_.contains(hello.proxy_id()) && proxies_.size() >= kProxiesMax) {
    refusal = absl::ResourceExhaustedError(absl::StrCat("there are ", kProxiesMax, " proxies already"));
  }
  if (!refusal.ok()) {
    OnClosed(id, now_us);
    actions.push_back({.stream = id, .close = refusal});
    return actions;
  }
  Proxy& proxy = proxies_[hello.proxy_id()];
  if (proxy.stream != 0) {
    const StreamId older = proxy.stream;
    OnClosed(older, now_us);
    actions.push_back({.stream = older,
                       .close = absl::AbortedError(absl::StrCat("replaced by a newer stream of proxy ",
                                                                hello.proxy_id(), ", boot ", hello.boot_id()))});
  }
  if (proxy.status.build() != hello.build() || proxy.schema != hello.schema()) proxy.parked.clear();
  if (proxy.status.boot_id() != hello.boot_id()) proxy.latencies.clear();
  // Another connection of the same process says the same again; what it runs it applied when it said so.
  if (!SameSnapshot(proxy.status.applied(), hello.active())) proxy.status.set_applied_us(0);
  stream.proxy_id = hello.proxy_id();
  stream.takes_changes = hello.takes_changes();
  stream.named.insert(hello.have().begin(), hello.have().end());
  proxy.stream = id;
  proxy.schema = hello.schema();
  proxy.status.set_proxy_id(hello.proxy_id());
  proxy.status.set_boot_id(hello.boot_id());
  proxy.status.set_build(hello.build());
  *proxy.status.mutable_labels() = hello.labels();
  proxy.status.set_http_address(hello.http_address());
  proxy.status.set_http_tls(hello.http_tls());
  proxy.status.set_connected(true);
  *proxy.status.mutable_applied() = hello.active();
  proxy.status.set_last_heard_us(unix_us);
  proxy.status.set_in_flight_requests(0);
  proxy.refused.reset();
  Consider(id, stream, actions);
  return actions;
}

absl::Status PublishCore::OnAck(Stream& stream, Proxy& proxy, const v1::Ack& ack, int64_t now_us, int64_t unix_us) {
  if (!stream.unanswered.has_value() || stream.unanswered->nonce != ack.nonce()) {
    return Violation(absl::StrCat("Ack of nonce ", ack.nonce(), ", which is not outstanding"));
  }
  const std::shared_ptr<const PublishedContent> content = stream.unanswered->content;
  if (!SameSnapshot(ack.applied(), content->snapshot.id)) {
    return Violation(
        absl::StrCat("Ack of ", Describe(ack.applied()), " where ", Describe(content->snapshot.id), " was offered"));
  }
  stream.unanswered.reset();
  stream.named.clear();
  stream.acked = content;
  *proxy.status.mutable_applied() = content->snapshot.id;
  proxy.status.set_applied_us(unix_us);
  proxy.refused.reset();
  proxy.latencies.push_back({content->snapshot.id.sequence(), std::max<int64_t>(0, now_us - content->committed_us)});
  if (proxy.latencies.size() > kLatenciesKept) proxy.latencies.pop_front();
  return absl::OkStatus();
}

absl::Status PublishCore::OnNack(Stream& stream, Proxy& proxy, const v1::Nack& nack) {
  if (!stream.unanswered.has_value() || stream.unanswered->nonce != nack.nonce()) {
    return Violation(absl::StrCat("Nack of nonce ", nack.nonce(), ", which is not outstanding"));
  }
  Refusal refusal{stream.unanswered->content->snapshot.id, {nack.faults().begin(), nack.faults().end()}};
  if (refusal.faults.empty()) refusal.faults.push_back(MakeFault("refused", "refused without saying why"));
  stream.unanswered.reset();
  *proxy.status.mutable_applied() = nack.active();
  proxy.refused = refusal;
  proxy.parked.push_back(std::move(refusal));
  if (proxy.parked.size() > kParkedPerProxyMax) proxy.parked.pop_front();
  return absl::OkStatus();
}

void PublishCore::OnStatus(Stream& stream, Proxy& proxy, const v1::Status& status) {
  proxy.status.set_in_flight_requests(status.in_flight_requests());
  proxy.providers.assign(status.providers().begin(), status.providers().end());
  if (proxy.providers.size() > kHealthStatusesMax) proxy.providers.resize(kHealthStatusesMax);
  for (v1::ProviderStatus& provider : proxy.providers) provider.set_proxy_id(stream.proxy_id);
  // With an offer unanswered the proxy may be anywhere between the two: its answer will tell.
  if (stream.unanswered.has_value() || SameSnapshot(status.active(), proxy.status.applied())) return;
  const v1::SnapshotId acked = proxy.status.applied();
  *proxy.status.mutable_applied() = status.active();
  proxy.status.set_applied_us(0);
  stream.named.clear();  // what it really holds is unknown now
  stream.acked.reset();
  if (content_ == nullptr || !SameSnapshot(acked, content_->snapshot.id)) return;
  if (SameSnapshot(stream.drift_offered, acked)) {
    // It acked twice and serves something else: a fault to show, not to repeat.
    proxy.refused = Refusal{acked,
                            {MakeFault("drift", absl::StrCat("acked ", Describe(acked), " twice but serves ",
                                                             Describe(status.active()), "; restart the proxy"))}};
    proxy.parked.push_back(*proxy.refused);
    if (proxy.parked.size() > kParkedPerProxyMax) proxy.parked.pop_front();
    return;
  }
  stream.drift_offered = acked;
}

void PublishCore::Consider(StreamId id, Stream& stream, Actions& actions) {
  if (stream.proxy_id.empty() || stream.unanswered.has_value()) return;
  if (content_ == nullptr || content_->snapshot.id.sequence() == 0) return;
  Proxy& proxy = proxies_.at(stream.proxy_id);
  if (SameSnapshot(proxy.status.applied(), content_->snapshot.id)) {
    proxy.refused.reset();
    return;
  }
  proxy.refused = RefusalOf(proxy, *content_);
  if (proxy.refused.has_value()) return;
  Action action{.stream = id, .nonce = ++stream.last_nonce, .content = content_};
  if (stream.acked != nullptr && stream.takes_changes) {
    action.change = ChangeFrom(stream.acked);
  } else {
    action.blobs = BlobsFor(stream);
  }
  stream.unanswered = Unanswered{action.nonce, content_};
  actions.push_back(std::move(action));
}

std::shared_ptr<const ContentChange> PublishCore::ChangeFrom(const std::shared_ptr<const PublishedContent>& base) {
  if (change_.from != base || change_.to != content_) {
    change_ = {base, content_, std::make_shared<const ContentChange>(ChangeBetween(*base, *content_))};
  }
  return change_.change;
}

std::vector<std::string> PublishCore::BlobsFor(const Stream& stream) {
  if (stream.acked != nullptr) return ChangeFrom(stream.acked)->blobs;
  std::vector<std::string> blobs;
  for (const auto& [sha256, blob] : content_->blobs) {
    if (!stream.named.contains(sha256)) blobs.push_back(sha256);
  }
  std::sort(blobs.begin(), blobs.end());
  return blobs;
}

std::optional<PublishCore::Refusal> PublishCore::RefusalOf(const Proxy& proxy, const PublishedContent& content) const {
  const PublishedSnapshot& snapshot = content.snapshot;
  if (snapshot.id.sequence() == 0 || SameSnapshot(proxy.status.applied(), snapshot.id)) return std::nullopt;
  if (snapshot.schema > proxy.schema) {
    return Refusal{snapshot.id,
                   {MakeFault("schema_too_new", absl::StrCat("needs schema ", snapshot.schema, ", proxy understands ",
                                                             proxy.schema, "; upgrade the proxy"))}};
  }
  for (const Refusal& parked : proxy.parked) {
    if (parked.id.sha256() == snapshot.id.sha256()) return Refusal{snapshot.id, parked.faults};
  }
  return std::nullopt;
}

void PublishCore::OnClosed(StreamId id, int64_t now_us) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const std::string proxy_id = found->second.proxy_id;
  streams_.erase(found);
  const auto proxy = proxies_.find(proxy_id);
  if (proxy == proxies_.end() || proxy->second.stream != id) return;
  proxy->second.stream = 0;
  proxy->second.disconnected_us = now_us;
  proxy->second.status.set_connected(false);
  proxy->second.providers.clear();
}

PublishCore::Actions PublishCore::OnTick(int64_t now_us) {
  Actions actions;
  for (const auto& [id, stream] : streams_) {
    if (now_us - stream.heard_us < kSilentStreamUs) continue;
    actions.push_back({.stream = id,
                       .close = absl::DeadlineExceededError(absl::StrCat("nothing heard from the proxy for ",
                                                                         kSilentStreamUs / 1'000'000, " seconds"))});
  }
  for (const Action& action : actions) OnClosed(action.stream, now_us);
  std::erase_if(proxies_, [now_us](const auto& entry) {
    return entry.second.stream == 0 && now_us - entry.second.disconnected_us >= kForgetAfterDisconnectUs;
  });
  return actions;
}

std::vector<v1::ProxyStatus> PublishCore::Fleet() const {
  std::vector<v1::ProxyStatus> fleet;
  fleet.reserve(proxies_.size());
  for (const auto& [id, proxy] : proxies_) {
    v1::ProxyStatus status = proxy.status;
    status.set_in_sync(content_ != nullptr && content_->snapshot.id.sequence() != 0 &&
                       SameSnapshot(status.applied(), content_->snapshot.id));
    if (proxy.refused.has_value()) {
      status.mutable_rejected()->Assign(proxy.refused->faults.begin(), proxy.refused->faults.end());
      *status.mutable_rejected_id() = proxy.refused->id;
    }
    fleet.push_back(std::move(status));
  }
  return fleet;
}

std::vector<v1::ProviderStatus> PublishCore::ProviderStatuses(const std::string& gateway) const {
  std::vector<v1::ProviderStatus> statuses;
  for (const auto& [id, proxy] : proxies_) {
    for (const v1::ProviderStatus& status : proxy.providers) {
      if (status.gateway() == gateway) statuses.push_back(status);
    }
  }
  const auto place = [](const v1::ProviderStatus& status) {
    return std::tie(status.provider(), status.endpoint(), status.model(), status.proxy_id());
  };
  std::sort(statuses.begin(), statuses.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
  return statuses;
}

PublishCore::Progress PublishCore::ProgressOf(int64_t sequence, int64_t now_us) const {
  Progress progress;
  // Before the commit itself is published nobody can have answered it.
  const bool published = content_ != nullptr && content_->snapshot.id.sequence() >= sequence;
  progress.complete = true;
  for (const auto& [id, proxy] : proxies_) {
    if (proxy.stream == 0 && now_us - proxy.disconnected_us > kAwaitedAfterDisconnectUs) continue;
    v1::ProxyResult result;
    result.set_proxy_id(id);
    const v1::SnapshotId& applied = proxy.status.applied();
    // A sequence past the published one is of the time before a restore from a backup.
    if (published && applied.lineage() == content_->snapshot.id.lineage() && applied.sequence() >= sequence &&
        applied.sequence() <= content_->snapshot.id.sequence()) {
      result.set_state(v1::ProxyResult::APPLIED);
      const auto latency = std::find_if(proxy.latencies.begin(), proxy.latencies.end(),
                                        [sequence](const Latency& entry) { return entry.sequence >= sequence; });
      if (latency != proxy.latencies.end()) result.set_latency_us(latency->latency_us);
    } else if (published && proxy.refused.has_value() && proxy.refused->id.sequence() >= sequence) {
      result.set_state(v1::ProxyResult::REJECTED);
      result.mutable_faults()->Assign(proxy.refused->faults.begin(), proxy.refused->faults.end());
    } else {
      result.set_state(v1::ProxyResult::NOT_HEARD);
      progress.complete = false;
    }
    progress.results.push_back(std::move(result));
  }
  return progress;
}

}  // namespace signalbox
