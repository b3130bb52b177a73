// A client's request body, in whichever format it speaks: what the gateway needs to know of it, and rewriting it by
// splicing, so that a provider of the same format gets every other byte as the client wrote it. Pure; one thread per
// object.
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
#include "dataplane/provider/format.h"
#include "signalbox/v1/compiled.pb.h"

namespace signalbox {

// What the path says: in formats whose bodies do not, and Azure's deployment, which counts more than the body's model.
struct PathSays {
  std::string model;
  bool stream = false;
};

// A body after one full validating pass (simdjson DOM). Remembers where the values of the keys the
// gateway owns stand, so that every other byte reaches the provider as the client wrote it.
class RequestBody {
 public:
  // `json` is kept by view and outlives the object; `readable_bytes` counts from json.data(): with at least 64 past
  // `json` it is read without a copy. nullptr and `fault` filled when the body is refused: not a JSON object, an owned
  // key twice (compared unescaped), an owned key of a wrong type (model must be a string and there, stream a boolean, n
  // 1 to 128, the caps positive integers, metadata a flat object, stream_options an object). null for any of them but
  // model means absent.
  static std::unique_ptr<RequestBody> Parse(Format format, std::string_view json, size_t readable_bytes,
                                            const PathSays& path, BodyFault& fault);
  // A chat completion, copied when read.
  static std::unique_ptr<RequestBody> Parse(std::string_view json, BodyFault& fault);
  virtual ~RequestBody() = default;

  virtual Format format() const = 0;
  virtual std::string_view model() const = 0;
  virtual bool stream() const = 0;
  virtual bool client_wants_usage() const = 0;            // stream_options.include_usage; other formats always tell
  virtual int64_t choices() const = 0;                    // n, or 1
  virtual std::optional<int64_t> output_cap() const = 0;  // the smallest that is given; embeddings: 1
  virtual size_t body_bytes() const = 0;
  struct Parts {
    int64_t images = 0, audio = 0, files = 0;
    bool tools = false;  // a provider puts a prompt of its own before them
  };
  virtual Parts parts() const = 0;  // content parts that may cost more tokens than they have bytes
  // The value at body.<path>; kMissing when absent. A number steps into an array. Views live as long as this object.
  virtual FieldValue Get(const std::vector<std::string>& path) const = 0;
  // Flat `metadata` entries of the body, in order; values are scalars. Non-scalar ones are a fault at Parse.
  virtual std::vector<std::pair<std::string, v1::Scalar>> metadata() const = 0;

  struct Rewrite {
    std::string model;
    // Written when set: over the client's fields where it is less, or added, in chat completions as `cap_field`. Never
    // raises a cap.
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
  int64_t output_nanos_per_mtok = 0;  // the dearest that a token of the answer to such an input can be
  absl::Status unbounded;             // OK, or FAILED_PRECONDITION
};
InputBound BoundInput(const RequestBody& body, size_t sent_bytes, const v1::ModelPrice& price);

}  // namespace signalbox
