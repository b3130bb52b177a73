#include "dataplane/translate/sse.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/limits.h"

namespace signalbox {

void SseReader::TakeLine() {
  std::string_view line = line_;
  if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) {
    if (has_data_) whole_.push_back(std::move(event_));
    event_ = SseEvent();
    has_data_ = false;
    event_bytes_ = 0;
  } else {
    const size_t colon = line.find(':');
    const std::string_view field = line.substr(0, colon);
    std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.remove_prefix(1);
    if (field == "event") event_.name = value;
    if (field == "data") {
      if (std::exchange(has_data_, true)) event_.data += '\n';
      event_.data.append(value);
    }
  }
  line_.clear();
}

absl::StatusOr<std::vector<SseEvent>> SseReader::Feed(std::string_view bytes) {
  whole_.clear();
  for (const char c : bytes) {
    if (std::exchange(after_cr_, c == '\r') && c == '\n') continue;
    if (c == '\n' || c == '\r') {
      TakeLine();
      continue;
    }
    if (++event_bytes_ > kSseEventBytesMax) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the provider sent a stream event of more than ", kSseEventBytesMax, " bytes"));
    }
    line_ += c;
  }
  return std::move(whole_);
}

std::string FormatSse(std::string_view name, std::string_view data) {
  std::string event;
  if (!name.empty()) event.append("event: ").append(name).append("\n");
  event.append("data: ").append(data).append("\n\n");
  return event;
}

}  // namespace signalbox
