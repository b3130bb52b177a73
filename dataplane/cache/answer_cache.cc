#include "dataplane/cache/answer_cache.h"

#include <utility>

#include "common/give_back.h"
#include "common/limits.h"

namespace signalbox {

AnswerCache::AnswerCache(size_t bytes_max, std::unique_ptr<SharedCache> shared, const Clock& clock)
    : clock_(clock), bytes_max_(bytes_max), store_(bytes_max), shared_(std::move(shared)) {}

std::optional<CacheHit> AnswerCache::Get(const std::string& key, int64_t max_age_us) {
  AnswerStore::Found found = store_.Get(key, clock_.MonotonicMicros(), max_age_us);
  if (found.answer == nullptr) return std::nullopt;
  return CacheHit{std::move(found.answer), found.age_us};
}

void AnswerCache::GetShared(const std::string& key, int64_t max_age_us,
                            std::function<void(std::optional<CacheHit>)> done) {
  shared_->Get(key, [this, key, max_age_us, done = std::move(done)](std::optional<SharedCache::Found> found) {
    if (!found.has_value()) return done(std::nullopt);
    const int64_t now_us = clock_.MonotonicMicros();
    store_.Put(key, found->answer, now_us - found->age_us, now_us + found->left_us, now_us);
    if (found->age_us >= max_age_us) return done(std::nullopt);
    done(CacheHit{std::move(found->answer), found->age_us});
  });
}

void AnswerCache::Store(const std::string& key, const SharedAnswer& answer, int64_t ttl_us) {
  const int64_t now_us = clock_.MonotonicMicros();
  store_.Put(key, answer, now_us, now_us + ttl_us, now_us);
  if (shared_ != nullptr) shared_->Put(key, answer, ttl_us);
}

void AnswerCache::Stop() { shared_.reset(); }

AnswerCache::Counts AnswerCache::counts() const {
  Counts counts;
  for (size_t i = 0; i < static_cast<size_t>(Lookup::kCount); ++i) counts.lookups[i] = lookups_[i];
  counts.saved_nanos = saved_nanos_;
  counts.waiting = flights_.waiting();
  counts.memory = store_.counts();
  if (shared_ != nullptr) counts.shared = shared_->counts();
  return counts;
}

void AnswerCapture::Append(std::string_view bytes) {
  if (!whole_) return;
  if (body_.size() + bytes.size() > kCachedAnswerBytesMax) {
    whole_ = false;
    GiveBack(body_);
    return;
  }
  body_.append(bytes);
}

}  // namespace signalbox
