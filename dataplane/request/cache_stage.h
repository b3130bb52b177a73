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

  // The model of `element` is about to be asked.
  void Asks(uint32_t element);
  // It failed: the next who waits for its answer leads.
  void Failed();

  // It answered; the client gets this, and the provider's headers are among it without the gateway's own.
  void BeginAnswer(int status, const std::string& content_type, const HttpHeaders& headers, bool stream);
  void Append(std::string_view bytes);
  // The answer ended well. A success is kept, unless it is too large or ended at a cap that the gateway lowered
  // (`hit_cap`); with any other answer those who wait for it go on alone.
  void EndAnswer(bool hit_cap);

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
  v1::CachedAnswer answer_;
  AnswerCapture capture_;
};

// Gives the client a kept answer, a stream as a stream, and ends the record.
asio::awaitable<void> RelayKept(ActiveRequest& request, SharedAnswer answer, HttpHeaders headers);

}  // namespace signalbox
