// AWS's binary event stream (application/vnd.amazon.eventstream), as the simulated provider writes it and its tests
// read it: lengths, a CRC-32 over them, headers, payload, a CRC-32 over all. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/simprovider/format.h"

namespace signalbox::sim {

// One message; header values are strings.
std::string EventStreamMessage(const HeaderList& headers, std::string_view payload);

struct EventStreamFrame {
  HeaderList headers;
  std::string payload;
};
// Every message of `bytes`. DATA_LOSS where a length or a CRC is wrong, or the last message is not whole.
absl::StatusOr<std::vector<EventStreamFrame>> ReadEventStream(std::string_view bytes);

}  // namespace signalbox::sim
