// A proxy's side of a limit: making and encoding an acquire, and what it reads back.
#include <benchmark/benchmark.h>

#include <string>

#include "tests/bench/quota_requests.h"

namespace signalbox::bench {
namespace {

void BM_MakeAcquire(benchmark::State& state) {
  int64_t number = 0;
  for (auto _ : state) benchmark::DoNotOptimize(AcquireOf("01JD0000000000000000000000", number++ % 1'000));
}
BENCHMARK(BM_MakeAcquire);

// A message of so many acquires; time for the whole message.
void BM_EncodeAcquires(benchmark::State& state) {
  MessageMaker maker("proxy", static_cast<int>(state.range(0)), 0, 1'000);
  const v1::QuotaRequest message = maker.Next();
  std::string bytes;
  for (auto _ : state) {
    message.SerializeToString(&bytes);
    benchmark::DoNotOptimize(bytes.data());
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_EncodeAcquires)->Arg(1)->Arg(50);

void BM_DecodeAcquires(benchmark::State& state) {
  MessageMaker maker("proxy", static_cast<int>(state.range(0)), 0, 1'000);
  const std::string bytes = maker.Next().SerializeAsString();
  for (auto _ : state) {
    v1::QuotaRequest message;
    message.ParseFromString(bytes);
    benchmark::DoNotOptimize(message);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_DecodeAcquires)->Arg(1)->Arg(50);

}  // namespace
}  // namespace signalbox::bench
