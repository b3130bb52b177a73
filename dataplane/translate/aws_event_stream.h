// application/vnd.amazon.eventstream: AWS's framing of streams. A message is its length, its headers' length, a CRC of
// these two, headers, payload, a CRC of everything before. Framing only; one stream's, one thread's.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace signalbox {

struct AwsEvent {
  std::vector<std::pair<std::string, std::string>> headers;  // those that are strings, in order
  std::string payload;
  // ":message-type" is event, exception or error; ":event-type" or ":exception-type" names it. Empty: not there.
  std::string_view header(std::string_view name) const;
};

class AwsEventReader {
 public:
  // The messages that `bytes` complete. DATA_LOSS when a CRC or a length is wrong; RESOURCE_EXHAUSTED when one message
  // passes kSseEventBytesMax. Nothing is read after an error.
  absl::StatusOr<std::vector<AwsEvent>> Feed(std::string_view bytes);
  // Whether the bytes so far end between two messages.
  bool at_boundary() const { return pending_.empty(); }

 private:
  std::string pending_;
};

}  // namespace signalbox
