// An answer as the cache keeps it (v1.CachedAnswer): how large it is, and how it travels to other proxies. Immutable
// once stored; shared between threads by shared_ptr, so that an eviction never takes it from who is sending it. Pure.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "signalbox/v1/cache.pb.h"

namespace signalbox {

using SharedAnswer = std::shared_ptr<const v1::CachedAnswer>;

// What keeping it takes, bookkeeping included.
size_t AnswerBytes(const v1::CachedAnswer& answer);

// With version and checksum. `key` goes in too, so that an answer is never taken for another's.
std::string EncodeAnswer(std::string_view key, const v1::CachedAnswer& answer);
// DATA_LOSS when the bytes are another version's, another key's, or damaged.
absl::StatusOr<SharedAnswer> DecodeAnswer(std::string_view key, std::string_view bytes);

}  // namespace signalbox
