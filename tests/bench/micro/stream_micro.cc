// Reading what a provider answers: a stream's events, a whole answer's usage.
#include <benchmark/benchmark.h>

#include <string>

#include "dataplane/provider/answer_stream.h"
#include "dataplane/translate/sse.h"

namespace signalbox {
namespace {

constexpr char kEvent[] =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1764000000,"model":"gpt-4o-mini",)"
    R"("system_fingerprint":"fp_1","choices":[{"index":0,"delta":{"content":" where"},"logprobs":null,)"
    R"("finish_reason":null}],"usage":null})"
    "\n\n";

constexpr char kAnswer[] =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1764000000,"model":"gpt-4o-mini","choices":[{"index":0,)"
    R"("message":{"role":"assistant","content":"A kite climbs where the wind is steady and the line is long enough.",)"
    R"("refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":214,"completion_tokens":96,)"
    R"("total_tokens":310,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}})";

void BM_RelayEvent(benchmark::State& state) {
  ChatStream stream(/*client_wants_usage=*/false);
  const std::string event = kEvent;
  for (auto _ : state) benchmark::DoNotOptimize(stream.Feed(event));
}
BENCHMARK(BM_RelayEvent);

void BM_ReadSseEvent(benchmark::State& state) {
  SseReader reader;
  const std::string event = kEvent;
  for (auto _ : state) benchmark::DoNotOptimize(reader.Feed(event));
}
BENCHMARK(BM_ReadSseEvent);

void BM_ReadUsage(benchmark::State& state) {
  const std::string answer = kAnswer;
  for (auto _ : state) {
    const UnaryReport report = ReadUnary(answer);
    if (!report.usage) state.SkipWithError("no usage");
  }
}
BENCHMARK(BM_ReadUsage);

}  // namespace
}  // namespace signalbox
