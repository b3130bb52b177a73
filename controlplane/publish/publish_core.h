// The publishing side of the snapshot protocol as a state machine: what happened goes in, what to send or close comes
// out. Pure: no gRPC, threads or clock (`now_us` is monotonic microseconds); the caller serialises calls.
//
// Invariants: at most one unanswered offer per stream, always of the newest content when it was sent; content that a
// proxy's build refused is not offered to it again; one live stream per proxy id, the newest.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/publish/published_content.h"
#include "signalbox/v1/route.pb.h"
#include "signalbox/v1/snapshot.pb.h"

namespace signalbox {

// A stream this long without a word is closed; proxies send a Status every kStatusUs.
inline constexpr int64_t kSilentStreamUs = 60'000'000;
// A proxy this long disconnected is no longer waited for, and then forgotten.
inline constexpr int64_t kAwaitedAfterDisconnectUs = 120'000'000;
inline constexpr int64_t kForgetAfterDisconnectUs = 600'000'000;
inline constexpr size_t kParkedPerProxyMax = 32;
inline constexpr size_t kProxiesMax = 10'000;

class PublishCore {
 public:
  using StreamId = uint64_t;  // never reused

  // Exactly one of the two: an offer to write, or a stream to end with `close`.
  struct Action {
    StreamId stream = 0;
    uint64_t nonce = 0;
    std::shared_ptr<const PublishedContent> content;
    std::shared_ptr<const ContentChange> change;  // all there is to say; null: the whole content is to be sent
    std::vector<std::string> blobs;               // of the whole: sha256 of those the proxy lacks
    absl::Status close;
  };
  using Actions = std::vector<Action>;

  // Proxies that were there before a restart: awaited like those that just disconnected.
  void OnRemembered(const std::vector<std::string>& proxy_ids, int64_t now_us);
  // Newer content replaces older at once; streams with an unanswered offer get it after their answer.
  Actions OnPublished(std::shared_ptr<const PublishedContent> content, int64_t now_us);
  void OnOpened(StreamId stream, int64_t now_us);
  // `unix_us` is only for display. A message against the protocol closes its stream with INVALID_ARGUMENT.
  Actions OnMessage(StreamId stream, const v1::ProxyMessage& message, int64_t now_us, int64_t unix_us);
  void OnClosed(StreamId stream, int64_t now_us);  // of a stream closed by an action too
  // Closes silent streams, forgets proxies long gone. Call every second or so.
  Actions OnTick(int64_t now_us);

  std::vector<v1::ProxyStatus> Fleet() const;  // ordered by id
  // Of proxies that are connected, as they last said; ordered by provider, endpoint, model and proxy.
  std::vector<v1::ProviderStatus> ProviderStatuses(const std::string& gateway) const;
  const std::shared_ptr<const PublishedContent>& published() const { return content_; }

  // Where the fleet stands with content at least as new as `sequence`.
  struct Progress {
    bool complete = false;  // nobody awaited is NOT_HEARD
    std::vector<v1::ProxyResult> results;
  };
  Progress ProgressOf(int64_t sequence, int64_t now_us) const;

 private:
  struct Unanswered {
    uint64_t nonce = 0;
    std::shared_ptr<const PublishedContent> content;
  };
  struct Stream {
    std::string proxy_id;  // empty before Hello
    int64_t heard_us = 0;
    uint64_t last_nonce = 0;
    bool takes_changes = false;
    std::optional<Unanswered> unanswered;
    // The blobs the proxy holds: those its Hello named until it acked a content, then that one's.
    std::set<std::string> named;
    std::shared_ptr<const PublishedContent> acked;
    // The content that was offered again because Status contradicted an Ack: once, not in a loop.
    v1::SnapshotId drift_offered;
  };
  // A fleet in step needs the same one.
  struct Change {
    std::shared_ptr<const PublishedContent> from;
    std::shared_ptr<const PublishedContent> to;
    std::shared_ptr<const ContentChange> change;
  };
  struct Refusal {
    v1::SnapshotId id;
    std::vector<v1::Fault> faults;
  };
  struct Latency {
    int64_t sequence = 0;
    int64_t latency_us = 0;
  };
  struct Proxy {
    v1::ProxyStatus status;  // `in_sync` is filled in on reading
    StreamId stream = 0;     // 0: disconnected
    int64_t disconnected_us = 0;
    int schema = 0;
    std::deque<Refusal> parked;                 // by this build and schema, newest last
    std::optional<Refusal> refused;             // the newest content, if it did
    std::deque<Latency> latencies;              // of the newest acks
    std::vector<v1::ProviderStatus> providers;  // empty while it is away
  };

  Actions OnHello(StreamId id, Stream& stream, const v1::Hello& hello, int64_t now_us, int64_t unix_us);
  absl::Status OnAck(Stream& stream, Proxy& proxy, const v1::Ack& ack, int64_t now_us, int64_t unix_us);
  absl::Status OnNack(Stream& stream, Proxy& proxy, const v1::Nack& nack);
  void OnStatus(Stream& stream, Proxy& proxy, const v1::Status& status);
  // What `id` should be offered now, if anything.
  void Consider(StreamId id, Stream& stream, Actions& actions);
  // To what is published.
  std::shared_ptr<const ContentChange> ChangeFrom(const std::shared_ptr<const PublishedContent>& base);
  std::vector<std::string> BlobsFor(const Stream& stream);  // what `stream` lacks of what is published
  std::optional<Refusal> RefusalOf(const Proxy& proxy, const PublishedContent& content) const;

  std::shared_ptr<const PublishedContent> content_;  // null or sequence 0: nothing is offered
  Change change_;                                    // the last one asked for
  std::map<StreamId, Stream> streams_;
  std::map<std::string, Proxy> proxies_;  // by id
};

}  // namespace signalbox
