// What the cache is to one request: before limits are asked it looks up the answer of the model that the walk comes to
// if they pass, waiting for an identical request in flight; the answer of the model that was asked goes into an
// AnswerKeep, which may outlive the walk. A lead ends at the latest with the one of the two that has it. Worker's
// thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/route/walker.h"
#include "dataplane/cache/answer_cache.h"
#include "dataplane/request/active_request.h"

namespace signalbox {

// One answer on its way to the client and into the cache.
class AnswerKeep {
 public:
  // `model` outlives it. `lowered_cap`: the gateway lowered the cap of the request.
  AnswerKeep(AnswerCache& cache, std::string key, int64_t ttl_us, Lead lead, const v1::CompiledElement::Model& model,
             bool lowered_cap)
      : cache_(cache),
        key_(std::move(key)),
        ttl_us_(ttl_us),
        lead_(std::move(lead)),
        model_(model),
        lowered_cap_(lowered_cap) {}

  // The client gets this, and the provider's headers are among it without the gateway's own.
  void Begin(int status, const std::string& content_type, const HeaderFields& headers, bool stream);
  void Append(std::string_view bytes) { capture_.Append(bytes); }
  // The answer ended well, and `record` knows its cost. A success is kept, unless it is too large or ended at a cap
  // that the gateway lowered (`hit_cap`); with any other answer those who wait for it go on alone.
  void End(bool hit_cap, const v1::SpendRecord& record);

 private:
  AnswerCache& cache_;
  const std::string key_;
  const int64_t ttl_us_;
  Lead lead_;
  const v1::CompiledElement::Model& model_;
  const bool lowered_cap_;
  v1::CachedAnswer answer_;
  AnswerCapture capture_;
};

// Lives in the walk's frame.
class CacheStage {
 public:
  explicit CacheStage(ActiveRequest& request);

  // Whether LookUp would look at anything.
  bool looks_up() const { return ttl_us_ > 0 && looks_up_; }
  // Looks up the model that `step` leads to, unless it is the one looked up last.
  asio::awaitable<void> LookUp(const Walker& walker, const Step& step);
  // The answer found for that model; null: none, ask the model.
  const CacheHit* hit() const { return hit_.has_value() ? &*hit_ : nullptr; }
  // From here on models are asked: the walk begins again after limits refused the way to a hit.
  void StopLookingUp() { looks_up_ = false; }

  // The model of `element` is about to be asked.
  void Asks(uint32_t element);
  // It failed: the next who waits for its answer leads.
  void Failed();

  // It answered. Null: the answer is not kept.
  std::unique_ptr<AnswerKeep> Keep();

 private:
  std::string KeyOf(const v1::CompiledElement::Model& model) const;

  ActiveRequest& request_;
  AnswerCache* const cache_;  // null: none
  int64_t ttl_us_ = 0;        // 0: this request neither uses nor fills it
  bool looks_up_ = true;
  std::optional<uint32_t> element_;  // the model looked up last
  std::string key_;                  // of its answer
  std::optional<CacheHit> hit_;
  Lead lead_;
  bool keeps_ = false;  // the model that was looked up is the one that is asked
};

// Gives the client a kept answer, a stream as a stream, and ends the record.
asio::awaitable<void> RelayKept(ActiveRequest& request, SharedAnswer answer, HeaderFields headers);

}  // namespace signalbox
