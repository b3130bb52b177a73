// How a request's coroutine looks an answer up: in memory at once, else behind an identical request in flight, else in
// the shared cache. Worker's thread; Cancel too. The object lives in the request's frame; what arrives after it is gone
// is dropped, and a lead among it goes to the next who waits.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <string>

#include "dataplane/cache/answer_cache.h"

namespace signalbox {

namespace asio = boost::asio;

class AnswerWait {
 public:
  AnswerWait(AnswerCache& cache, asio::io_context& io) : cache_(cache), io_(io) {}

  // A hit; or nothing, and then the lead if nobody else has it: who has it answers for those who wait.
  struct Result {
    std::optional<CacheHit> hit;
    Lead lead;
  };
  // Waits for another request for at most `wait_us`, and for the shared cache for kSharedCacheTimeoutMs.
  asio::awaitable<Result> Find(const std::string& key, int64_t max_age_us, int64_t wait_us);
  // The client left: Find returns at once, with whatever it has.
  void Cancel();

 private:
  asio::awaitable<Result> FindAsLead(const std::string& key, int64_t max_age_us, Lead lead);

  AnswerCache& cache_;
  asio::io_context& io_;
  bool cancelled_ = false;
  std::function<void()> wake_;  // what Find waits for now
};

}  // namespace signalbox
