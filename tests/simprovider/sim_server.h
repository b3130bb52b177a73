// The simulated provider's HTTP server: every API of format.h, answered deterministically; it fails when told to, keeps
// its own bill and remembers what it received. One thread runs the io_context; every member is called on it.
//
//   POST, under any prefix: .../chat/completions, .../messages, .../responses, .../embeddings,
//        .../models/{m}:generateContent and :streamGenerateContent, .../model/{m}/converse and /converse-stream,
//        Azure's
//        .../openai/deployments/{d}/...; GET .../models; credentials as each wants them (credentials.h)
//        headers x-sim-fail: SPEC (instead of the server's own) and x-sim-usage: SHAPE (answer.h) choose per request
//   GET  /bill                  what was sold
//   GET  /requests/last?n=N     heads and bodies, newest first  GET /requests/last/body  the newest body's bytes
//   GET  /connections           open answers, those left by the client   GET /control, POST /control  settings
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace signalbox::sim {

// What POST /control may change while running.
struct SimSettings {
  int latency_ms = 0;         // before the first byte of an answer
  int chunks = 8;             // pieces of text in a stream
  int chunk_interval_ms = 0;  // before each event of a stream but the first
  std::string fail;           // fail_spec.h
  uint64_t seed = 1;
};

struct SimOptions {
  std::string address = "127.0.0.1:0";
  SimSettings settings;
  std::string require_key;  // empty: any
  std::string aws_secret;   // Bedrock's signatures must be this secret's; empty: well-formed will do
  std::string tls_cert;     // PEM files; both or neither
  std::string tls_key;
  std::string prices_json;
};

class SimServer {
 public:
  virtual ~SimServer() = default;
  virtual std::string address() const = 0;  // host:port really bound
};

// Listens at once and serves while `io` runs. INVALID_ARGUMENT for faulty options, UNAVAILABLE when the address
// cannot be bound.
absl::StatusOr<std::unique_ptr<SimServer>> NewSimServer(boost::asio::io_context& io, SimOptions options);

}  // namespace signalbox::sim
