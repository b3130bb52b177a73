// Reading what a provider answers: usage, errors, the end of a stream. Chat completions are read here; other formats
// are read as chat completions (dataplane/translate). Pure; one thread per object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// Usage of a unary response; nullopt when the provider sent none. An explicit zero is a zero.
std::optional<v1::TokenUsage> ParseUsage(std::string_view response_json);

// That, and the base of an estimate when there is none.
struct UnaryReport {
  std::optional<v1::TokenUsage> usage;
  bool names_usage = false;  // there is a usage object, readable or not
  // Without usage: of text, reasoning and tool-call arguments; all bytes of what is no chat completion.
  size_t content_bytes = 0;
  bool hit_cap = false;     // an answer ended at its cap (finish_reason length)
  bool only_error = false;  // an {"error":...} and no choices: a failure, whatever the status says
};
UnaryReport ReadUnary(const std::string& response_json);

// Follows one streamed answer on its way to the client: whatever the provider's format and the client's, it knows what
// was used and whether the stream ended as it should.
class AnswerStream {
 public:
  virtual ~AnswerStream() = default;
  // Takes bytes from the provider; returns what to send to the client now: whole events only. RESOURCE_EXHAUSTED when
  // one event passes kSseEventBytesMax, DATA_LOSS when the provider breaks its own format.
  virtual absl::StatusOr<std::string> Feed(std::string_view bytes) = 0;
  // The provider closed the response: what is still to be sent.
  virtual std::string Finish() = 0;
  // An error of the gateway's, {"error":...}, as an event in the client's format; empty: the format has none.
  virtual std::string ErrorEvent(std::string_view chat_error) = 0;
  virtual bool done() const = 0;  // the end marker was seen: nothing can be missing
  // What the provider reported for the whole answer; nullopt before its last word, for some report as they go.
  virtual std::optional<v1::TokenUsage> usage() const = 0;
  // Without usage(): what was reported on the way, and four bytes a token for the content after it.
  virtual v1::TokenUsage Estimate(size_t request_bytes) const = 0;
  virtual size_t content_bytes() const = 0;  // of text, reasoning and tool-call arguments: the base of an estimate
  virtual bool began() const = 0;            // a choice was seen: the model was at work
  virtual bool error_event() const = 0;      // the provider sent an error in the stream
  virtual bool hit_cap() const = 0;          // an answer ended at its cap (finish_reason length)
};

// Chat completions from end to end: events go on byte for byte. The usage-only event is dropped for clients who did not
// ask; what follows [DONE] is not relayed.
class ChatStream final : public AnswerStream {
 public:
  explicit ChatStream(bool client_wants_usage);
  ~ChatStream() override;
  absl::StatusOr<std::string> Feed(std::string_view bytes) override;
  // Of a last event without its blank line only the usage counts, as browsers drop it too, but for [DONE]: that one is
  // returned completed, and done() turns true.
  std::string Finish() override;
  std::string ErrorEvent(std::string_view chat_error) override;
  bool done() const override;
  std::optional<v1::TokenUsage> usage() const override;
  v1::TokenUsage Estimate(size_t request_bytes) const override;
  size_t content_bytes() const override;
  bool began() const override;
  bool error_event() const override;
  bool hit_cap() const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// When the provider sent no usage: input from the request's bytes, output from the content bytes seen, four bytes a
// token rounded up. Never more than the bound.
v1::TokenUsage EstimateUsage(size_t request_bytes, size_t content_bytes);

// What a failed or refused attempt means: retry on connect errors, timeouts, 408, 409, 429, 5xx; fallback at once on
// 401, 403, 404; any other 4xx is the client's own.
enum class AttemptVerdict { kAnswered, kRetry, kFallback, kClientFault };
AttemptVerdict JudgeStatus(int http_status);

}  // namespace signalbox
