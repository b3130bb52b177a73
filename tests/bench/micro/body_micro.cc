// Reading a request's body once and splicing it for the provider.
#include <benchmark/benchmark.h>

#include <string>

#include "dataplane/provider/request_body.h"

namespace signalbox {
namespace {

constexpr size_t kPadding = 64;  // readable past the body, as the proxy's buffers are

std::string BodyOf(size_t bytes) {
  std::string body = R"({"model":"dynamic/my-saas","temperature":0.7,"messages":[{"role":"user","content":")";
  while (body.size() + 60 < bytes) body += "Describe my new website about kites, with \\\"care\\\". ";
  return body + R"("}],"max_tokens":400})";
}

void BM_ScanBody(benchmark::State& state) {
  std::string buffer = BodyOf(static_cast<size_t>(state.range(0)));
  const size_t size = buffer.size();
  buffer.resize(size + kPadding);
  for (auto _ : state) {
    BodyFault fault;
    auto body = RequestBody::Parse(Format::kChat, std::string_view(buffer.data(), size), buffer.size(), {}, fault);
    benchmark::DoNotOptimize(body);
    if (body == nullptr) state.SkipWithError("refused");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(size));
}
BENCHMARK(BM_ScanBody)->Arg(1 << 10)->Arg(50 << 10);

void BM_SpliceBody(benchmark::State& state) {
  const std::string text = BodyOf(static_cast<size_t>(state.range(0)));
  BodyFault fault;
  const auto body = RequestBody::Parse(text, fault);
  if (body == nullptr) return state.SkipWithError("refused");
  RequestBody::Rewrite rewrite;
  rewrite.model = "gpt-4o-mini";
  rewrite.output_cap = 300;
  for (auto _ : state) benchmark::DoNotOptimize(body->Splice(rewrite));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
}
BENCHMARK(BM_SpliceBody)->Arg(1 << 10)->Arg(50 << 10);

}  // namespace
}  // namespace signalbox
