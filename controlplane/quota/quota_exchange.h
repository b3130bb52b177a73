// One message of a session and the answers to it, on their way from the session's read through the backend to its
// write. Both lie in one arena, so that a thousand commands are one allocation here and there and go at once: what they
// point to lives as long as the exchange does. Owned by whoever has it in hand; one thread at a time.
#pragma once

#include <google/protobuf/arena.h>

#include <utility>

#include "signalbox/v1/quota.pb.h"

namespace signalbox {

class QuotaExchange {
 public:
  QuotaExchange()
      : arena_(Blocks(first_block_)),
        request_(google::protobuf::Arena::CreateMessage<v1::QuotaRequest>(&arena_)),
        response_(google::protobuf::Arena::CreateMessage<v1::QuotaResponse>(&arena_)) {}
  // Of messages outside the arena, which go one by one.
  explicit QuotaExchange(v1::QuotaRequest request)
      : own_request_(std::move(request)), request_(&own_request_), response_(&own_response_) {}
  QuotaExchange(const QuotaExchange&) = delete;
  QuotaExchange& operator=(const QuotaExchange&) = delete;

  v1::QuotaRequest& request() { return *request_; }
  v1::QuotaResponse& response() { return *response_; }

 private:
  static constexpr size_t kFirstBlockBytes = 4 << 10;  // a calm proxy's message
  static constexpr size_t kBlockBytesMax = 64 << 10;

  static google::protobuf::ArenaOptions Blocks(char* first_block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = first_block;
    options.initial_block_size = kFirstBlockBytes;
    options.start_block_size = kFirstBlockBytes;
    options.max_block_size = kBlockBytesMax;
    return options;
  }

  alignas(8) char first_block_[kFirstBlockBytes];
  google::protobuf::Arena arena_;
  v1::QuotaRequest own_request_;
  v1::QuotaResponse own_response_;
  v1::QuotaRequest* request_;
  v1::QuotaResponse* response_;
};

}  // namespace signalbox
