// signalbox-simprovider: an LLM provider that costs nothing, for tests and the quick start.
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "absl/flags/flag.h"
#include "common/program_flags.h"
#include "tests/simprovider/default_prices.h"
#include "tests/simprovider/sim_server.h"

ABSL_FLAG(std::string, address, "127.0.0.1:8090", "host:port to listen on; port 0 takes a free one");
ABSL_FLAG(int, latency_ms, 0, "wait before the first byte of every answer");
ABSL_FLAG(int, chunks, 8, "pieces of text in a streamed answer");
ABSL_FLAG(int, chunk_interval_ms, 0, "wait between two events of a stream");
ABSL_FLAG(std::string, fail, "", "how to fail, e.g. status=500@0.3,first=2:503,model=gpt-5.1:cut=3,hang@0.05");
ABSL_FLAG(uint64_t, seed, 1, "of the generator that draws the failures");
ABSL_FLAG(std::string, require_key, "", "answer 401 to callers without this key");
ABSL_FLAG(std::string, aws_secret, "", "refuse calls of Bedrock that this secret access key did not sign");
ABSL_FLAG(std::string, tls_cert, "", "certificate chain, PEM; with --tls_key the listener speaks TLS");
ABSL_FLAG(std::string, tls_key, "", "private key, PEM");
ABSL_FLAG(std::string, prices, "", "price file; empty: the one built in");

namespace {

absl::StatusOr<std::string> ReadPrices(const std::string& path) {
  if (path.empty()) return std::string(signalbox::sim::kDefaultPrices);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError("--prices: cannot read " + path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

int Fail(const absl::Status& status) {
  std::cerr << "signalbox-simprovider: " << status.message() << std::endl;
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  signalbox::ParseProgramFlags(argc, argv,
                               "a simulated provider of every API the gateway speaks, which keeps its own bill",
                               "simprovider/main.cc");
  signalbox::sim::SimOptions options;
  options.address = absl::GetFlag(FLAGS_address);
  options.settings = {absl::GetFlag(FLAGS_latency_ms), absl::GetFlag(FLAGS_chunks),
                      absl::GetFlag(FLAGS_chunk_interval_ms), absl::GetFlag(FLAGS_fail), absl::GetFlag(FLAGS_seed)};
  options.require_key = absl::GetFlag(FLAGS_require_key);
  options.aws_secret = absl::GetFlag(FLAGS_aws_secret);
  options.tls_cert = absl::GetFlag(FLAGS_tls_cert);
  options.tls_key = absl::GetFlag(FLAGS_tls_key);
  absl::StatusOr<std::string> prices = ReadPrices(absl::GetFlag(FLAGS_prices));
  if (!prices.ok()) return Fail(prices.status());
  options.prices_json = *std::move(prices);

  boost::asio::io_context io(1);
  auto server = signalbox::sim::NewSimServer(io, std::move(options));
  if (!server.ok()) return Fail(server.status());
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
  std::cout << "listening http " << (*server)->address() << std::endl;
  io.run();
  return 0;
}
