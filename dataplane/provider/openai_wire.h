// OpenAI's chat-completions wire format, which every OpenAI-compatible provider speaks: reading what the gateway
// needs of a request body, rewriting it by splicing, reading usage back. Pure; one thread per object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/route/request_view.h"
#include "dataplane/provider/body_fault.h"
#include "signalbox/v1/compiled.pb.h"
#include "signalbox/v1/spend.pb.h"

namespace signalbox {

// A chat-completion body after one full validating pass (simdjson DOM). Remembers where the values of the keys the
// gateway owns stand, so that every other byte reaches the provider as the client wrote it.
class ChatBody {
 public:
  // `json` is kept by view and outlives the object. nullopt and `fault` filled when the body is refused: not a JSON
  // object, an owned key twice (compared unescaped), an owned key of a wrong type (model must be a string and there,
  // stream a boolean, n 1 to 128, the caps positive integers, metadata a flat object, stream_options an object).
  // null for any of them but model means absent.
  static std::unique_ptr<ChatBody> Parse(std::string_view json, BodyFault& fault);
  // The same without a copy, when at least 64 bytes past `json` may be read: `readable_bytes` counts from json.data().
  static std::unique_ptr<ChatBody> Parse(std::string_view json, size_t readable_bytes, BodyFault& fault);
  virtual ~ChatBody() = default;

  virtual std::string_view model() const = 0;
  virtual bool stream() const = 0;
  virtual bool client_wants_usage() const = 0;            // stream_options.include_usage is true
  virtual int64_t choices() const = 0;                    // n, or 1
  virtual std::optional<int64_t> output_cap() const = 0;  // the smaller of max_tokens and max_completion_tokens
  virtual size_t body_bytes() const = 0;
  struct Parts {
    int64_t images = 0, audio = 0, files = 0;
  };
  virtual Parts parts() const = 0;  // content parts that may cost more tokens than they have bytes
  // The value at body.<path>; kMissing when absent. A number steps into an array. Views live as long as this object.
  virtual FieldValue Get(const std::vector<std::string>& path) const = 0;
  // Flat `metadata` entries of the body, in order; values are scalars. Non-scalar ones are a fault at Parse.
  virtual std::vector<std::pair<std::string, v1::Scalar>> metadata() const = 0;

  struct Rewrite {
    std::string model;
    // Written when set: over the client's fields where it is less, or added as `cap_field`. Never raises a cap.
    std::optional<int64_t> output_cap;
    std::string cap_field = "max_completion_tokens";
    bool request_usage = true;  // on streams: stream_options.include_usage true
    // Object whose members replace the body's of that name, or are added. Of the owned keys, `model` and `stream` in it
    // are ignored, the caps and `n` only lower, and `stream_options` counts on streams only.
    std::string parameters_json;
  };
  // The provider's body. Only the named values change; key order, spacing, unknown fields and escapes stay.
  virtual std::string Splice(const Rewrite& rewrite) const = 0;
};

// The most the input of one attempt with this body can be at `price`: tokens, and what they cost. Where a part kind in
// the body has no known maximum its parts count as their bytes, and `unbounded` says so (the client's 400
// `unbounded_request` under a strict limit).
struct InputBound {
  int64_t tokens = 0;
  int64_t nanos = 0;
  absl::Status unbounded;  // OK, or FAILED_PRECONDITION
};
InputBound BoundInput(const ChatBody& body, size_t sent_bytes, const v1::ModelPrice& price);

// Usage of a unary response; nullopt when the provider sent none. An explicit zero is a zero.
std::optional<v1::TokenUsage> ParseUsage(std::string_view response_json);

// That, and the base of an estimate when there is none.
struct UnaryReport {
  std::optional<v1::TokenUsage> usage;
  bool names_usage = false;  // there is a usage object, readable or not
  size_t content_bytes = 0;  // of text, reasoning and tool-call arguments; all bytes of what is no chat completion
};
UnaryReport ReadUnary(std::string_view response_json);

// Follows a streamed response: frames SSE events, finds usage, drops the usage-only event for clients who did not ask,
// knows whether the stream ended as it should.
class ChatStream {
 public:
  explicit ChatStream(bool client_wants_usage);
  ~ChatStream();
  ChatStream(ChatStream&&) noexcept;
  // Takes bytes from the provider; returns what to send to the client now: whole events only, byte for byte, minus
  // what is stripped. RESOURCE_EXHAUSTED when one event passes kSseEventBytesMax.
  // What follows [DONE] is not relayed.
  absl::StatusOr<std::string> Feed(std::string_view bytes);
  // The provider closed the response. Of a last event without its blank line only the usage counts, as browsers drop it
  // too, but for [DONE]: that one is returned completed, and done() turns true.
  std::string Finish();
  bool done() const;  // data: [DONE] was seen
  // What the provider reported for the whole answer; nullopt before its last word, for some report as they go.
  std::optional<v1::TokenUsage> usage() const;
  // Without usage(): what was reported on the way, and four bytes a token for the content after it.
  v1::TokenUsage Estimate(size_t request_bytes) const;
  size_t content_bytes() const;  // of text, reasoning and tool-call arguments seen: the base of an estimate
  bool began() const;            // a choice was seen: the model was at work
  bool error_event() const;      // the provider sent {"error":...} in the stream
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
