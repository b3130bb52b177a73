// Walking the walkthrough's route, its condition alone, compiling it, and what a request costs by its price.
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>
#include <string>
#include <variant>

#include "common/money.h"
#include "common/route/condition.h"
#include "common/route/validator.h"
#include "common/route/walker.h"
#include "controlplane/compiler/compiler.h"
#include "controlplane/prices/bundled_prices.h"

namespace signalbox {
namespace {

class FreeUser : public RequestView {
 public:
  FieldValue Get(const v1::FieldRef& field) const override {
    FieldValue value;
    value.kind = FieldValue::Kind::kString;
    value.text = field.path(0) == "plan" ? "free" : "ann@example.com";
    return value;
  }
};

std::optional<v1::ModelPrice> Price(const std::string& provider, const std::string& model) {
  return BundledCatalogue().Find(PriceSourceOf(provider, "openai"), model);
}

v1::RouteSpec Walkthrough() {
  std::ifstream file(SIGNALBOX_SOURCE_DIR "/deploy/examples/my-trillion-dollar-saas.json");
  return ParseRoute(std::string(std::istreambuf_iterator<char>(file), {})).spec;
}

void BM_CompileRoute(benchmark::State& state) {
  const v1::RouteSpec spec = Walkthrough();
  for (auto _ : state) benchmark::DoNotOptimize(CompileRoute({"default", "r", "saas", 1}, spec, Price));
}
BENCHMARK(BM_CompileRoute);

void BM_WalkRoute(benchmark::State& state) {
  const auto route = CompileRoute({"default", "r", "saas", 1}, Walkthrough(), Price);
  if (!route.ok()) return state.SkipWithError("does not compile");
  const FreeUser user;
  for (auto _ : state) {
    Walker walker(*route, user, 7);
    Step step = walker.Next();
    if (const auto* limits = std::get_if<CheckLimits>(&step)) step = walker.OnLimits(limits->elements.size());
    if (!std::holds_alternative<CallModel>(step)) state.SkipWithError("no model was reached");
    step = walker.OnModel(true);
    benchmark::DoNotOptimize(walker.Path());
  }
}
BENCHMARK(BM_WalkRoute);

void BM_Condition(benchmark::State& state) {
  v1::Condition condition;
  condition.set_op(v1::Condition::EQ);
  condition.mutable_field()->set_root(v1::FieldRef::METADATA);
  condition.mutable_field()->add_path("plan");
  condition.add_operands()->set_string_value("free");
  const FreeUser user;
  for (auto _ : state) benchmark::DoNotOptimize(EvaluateCondition(condition, user));
}
BENCHMARK(BM_Condition);

v1::TokenUsage Usage() {
  v1::TokenUsage usage;
  usage.set_input(214);
  usage.set_output(96);
  return usage;
}

void BM_Cost(benchmark::State& state) {
  const auto price = Price("openai", "gpt-4o-mini");
  if (!price) return state.SkipWithError("no price");
  const v1::TokenUsage usage = Usage();
  for (auto _ : state) benchmark::DoNotOptimize(CostNanos(usage, *price));
}
BENCHMARK(BM_Cost);

}  // namespace
}  // namespace signalbox
