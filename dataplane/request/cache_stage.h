// What the cache is to one request: before limits are asked it looks up the answer of the model that the walk comes to
// if they pass, waiting for an identical request in flight; after the model answered it keeps the answer. Its lead, if
// it has one, ends with it at the latest. Lives in the walk's frame; worker's thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "common/route/walker.h"
#include "dataplane/cache/answer_cache.h"
#include "dataplane/request/active_request.h"

namespace signalbox {

class CacheStage {
 public:
  explicit CacheStage(ActiveRequest& request);

  // Looks up the model that `step` leads to, unless it is the one looked up last.
  asio::awaitable<void> LookUp(const Walker& walker, const Step& step);
  // The answer found for that model; null: none, ask the model.
  const CacheHit* hit() const { return hit_.has_value() ? &*hit_ : nullptr; }
  // From here on models are asked: the walk begins again after limits refused the way to a hit.
  void StopLookingUp() { looks_up_ = false; }

  // The model of `element` failed, or nothing of it will be shown: the next who waits for it leads.
  void Failed() { lead_.Pass(); }

  // Whether what the model of `element` answers is worth collecting.
  bool Keeps(uint32_t element) const { return ttl_us_ > 0 && element == element_; }
  // It answered, and the client gets, or got, `answer`: all of it but who made it and for how long.
  // `complete`: whole, and not cut at a cap that the gateway lowered. Only a complete success is kept; with any other
  // answer those who wait for it go on alone.
  void Answered(const v1::CompiledElement::Model& model, v1::CachedAnswer answer, bool complete);

  // HIT or MISS, once something was looked up; else empty.
  std::string_view status() const;

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
};

// What of a provider's headers is as true of the next request: not its rate limits and times.
void KeepHeaders(const HttpHeaders& headers, v1::CachedAnswer& answer);

// Gives the client a kept answer, a stream as a stream, and ends the record.
asio::awaitable<void> RelayKept(ActiveRequest& request, SharedAnswer answer, HttpHeaders headers);

}  // namespace signalbox
