// The control plane's side of a request: its record into the ledger, committed.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/ledger/sqlite_ledger.h"

namespace signalbox::bench {
namespace {

// As the walkthrough's route leaves it: one attempt, a count and a dollar limit passed.
v1::SpendRecord RecordOf(int64_t number) {
  v1::SpendRecord record;
  record.set_request_id(absl::StrCat("01JD00", absl::Dec(number, absl::kZeroPad20)));
  record.set_gateway("default");
  record.set_route_id("32911cc8-142a-4f60-ab0d-4bd1a1961369");
  record.set_route("my-trillion-dollar-saas");
  record.set_version(1);
  record.set_key_id("bb870dbf-6745-426a-838d-d9d935943dbd");
  record.set_path("start/plan/free-requests/free-dollars/free-model/end");
  record.set_identifier(absl::StrCat("user-", number * 7919 % 1'000));
  for (const char* element : {"free-requests", "free-dollars"}) {
    v1::LimitPassed& limit = *record.add_limits();
    limit.set_element_id(element);
    limit.set_pool(element);
    limit.set_identifier(record.identifier());
  }
  v1::Attempt& attempt = *record.add_attempts();
  attempt.set_element_id("free-model");
  attempt.set_provider("openai");
  attempt.set_model("gpt-4o-mini");
  attempt.set_status(200);
  attempt.set_start_us(120);
  attempt.set_first_byte_us(300);
  attempt.set_duration_us(310);
  attempt.mutable_usage()->set_input(120);
  attempt.mutable_usage()->set_output(57);
  attempt.set_cost_nanos(574'075);
  attempt.set_bound_nanos(9'800'002);
  attempt.set_bound_tokens(181);
  record.set_provider(attempt.provider());
  record.set_model(attempt.model());
  *record.mutable_usage() = attempt.usage();
  record.set_cost_nanos(attempt.cost_nanos());
  record.set_outcome(v1::SUCCESS);
  record.set_status(200);
  record.set_start_time_us(1'790'000'000'000'000 + number * 100);
  record.set_duration_us(995);
  record.set_first_byte_us(972);
  record.set_proxy_id("proxy-1");
  record.set_boot_id("a263ddaa-a9dc-4fe5-afee-b7fed07c7133");
  record.set_metadata_json(R"({"plan":"free","user":"user-1"})");
  record.set_snapshot_sequence(17);
  record.set_tokens(177);
  record.set_endpoint("chat");
  return record;
}

// A batch of so many records of 1,000 users; time for the whole batch, into a ledger that grows meanwhile.
void BM_AppendRecords(benchmark::State& state) {
  const std::string directory =
      absl::StrCat(std::filesystem::temp_directory_path().string(), "/ledger_micro.", getpid());
  std::filesystem::create_directories(directory);
  {
    auto ledger = SqliteLedger::Open({.path = directory + "/ledger.db"});
    if (!ledger.ok()) {
      state.SkipWithError(std::string(ledger.status().message()).c_str());
      return;
    }
    int64_t number = 0;
    google::protobuf::RepeatedPtrField<v1::SpendRecord> records;
    for (auto _ : state) {
      state.PauseTiming();
      records.Clear();
      for (int64_t i = 0; i < state.range(0); ++i) *records.Add() = RecordOf(number++);
      state.ResumeTiming();
      if (const absl::Status status = (*ledger)->Append(records); !status.ok()) {
        state.SkipWithError(std::string(status.message()).c_str());
        break;
      }
    }
  }
  std::filesystem::remove_all(directory);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_AppendRecords)->Arg(1)->Arg(100)->Arg(500);

}  // namespace
}  // namespace signalbox::bench
