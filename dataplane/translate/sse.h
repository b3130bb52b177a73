// Server-sent events as providers and clients send them: framing only. Pure; one stream's, one thread's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace signalbox {

struct SseEvent {
  std::string name;  // of its `event:` line; empty: none
  std::string data;  // its `data:` lines joined by \n
};

// Cuts bytes into events at blank lines (LF, CRLF or CR); comments and unknown fields are skipped, events without data
// too.
class SseReader {
 public:
  // The events that `bytes` complete. RESOURCE_EXHAUSTED when one event passes kSseEventBytesMax.
  absl::StatusOr<std::vector<SseEvent>> Feed(std::string_view bytes);

 private:
  void TakeLine();
  std::string line_;
  bool after_cr_ = false;
  bool first_line_ = true;
  bool has_data_ = false;
  size_t event_bytes_ = 0;
  SseEvent event_;
  std::vector<SseEvent> whole_;
};

// "event: NAME\ndata: DATA\n\n", or without the first line when `name` is empty. `data` has no line breaks.
std::string FormatSse(std::string_view name, std::string_view data);

}  // namespace signalbox
