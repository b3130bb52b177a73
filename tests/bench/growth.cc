// What a request costs when there is more of everything: identifiers and keys should not matter, elements on its way in
// proportion.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/sections.h"
#include "tests/testing/stack.h"

namespace signalbox::bench {
namespace {

using nlohmann::json;

constexpr char kTable[] = "growth";
constexpr int kConnections = 64;
constexpr int kFewElements = 4, kMoreElements = 32, kManyElements = 60;  // conditionals in a row

std::string ChainName(int conditionals) { return absl::StrCat("chain-", conditionals); }

// start, so many conditionals that all say no, a model, the end.
std::string Chain(int conditionals) {
  json elements = json::array();
  elements.push_back({{"id", "start"}, {"type", "start"}, {"outputs", {{"next", {{"elementId", "c0"}}}}}});
  for (int i = 0; i < conditionals; ++i) {
    const std::string next = i + 1 < conditionals ? absl::StrCat("c", i + 1) : "model";
    elements.push_back({{"id", absl::StrCat("c", i)},
                        {"type", "conditional"},
                        {"properties", {{"conditions", {{"metadata.plan", {{"$eq", absl::StrCat("plan-", i)}}}}}}},
                        {"outputs", {{"true", {{"elementId", "end"}}}, {"false", {{"elementId", next}}}}}});
  }
  elements.push_back({{"id", "model"},
                      {"type", "model"},
                      {"properties", {{"provider", "openai"}, {"model", "gpt-4o-mini"}}},
                      {"outputs", {{"success", {{"elementId", "end"}}}}}});
  elements.push_back({{"id", "end"}, {"type", "end"}, {"outputs", json::object()}});
  return json({{"name", ChainName(conditionals)}, {"elements", elements}}).dump();
}

std::string RowOfIdentifiers(int64_t identifiers) {
  return absl::StrCat("walkthrough's route, ", identifiers, identifiers == 1 ? " identifier" : " identifiers");
}
std::string RowOfChain(int conditionals) { return absl::StrCat(conditionals, " conditionals before the model"); }

}  // namespace

void MeasureGrowth(Bench& bench) {
  std::fprintf(stderr, "growth\n");
  Report& report = bench.report;
  DeclareUnary(
      report, kTable, "Cost and size",
      "Unary, 1 KB, 64 connections. With 1,000,000 identifiers each request is another user's. The row of keys has "
      "2,000 gateway keys beside the one used.");
  Stack& stack = bench.contenders.stack();
  for (const int conditionals : {kFewElements, kMoreElements, kManyElements}) stack.DeployRoute(Chain(conditionals));
  constexpr char kManyKeysRow[] = "walkthrough's route, 2,000 keys";
  Contender walkthrough = bench.contenders.Get(kWalkthrough);
  const Contender many_keys = bench.contenders.Get(kManyKeys);
  const auto measure = [&](const std::string& row, const Contender& contender) {
    MeasureUnaryRow(bench, kTable, row, contender, kSmallBytes, kConnections, bench.seconds);
  };
  const int rounds = bench.quick ? 1 : bench.rounds;
  for (int round = 0; round < rounds; ++round) {
    for (const int64_t identifiers : {1, 1'000, 1'000'000}) {
      walkthrough.identifiers = identifiers;
      measure(RowOfIdentifiers(identifiers), walkthrough);
    }
    measure(kManyKeysRow, many_keys);
    for (const int conditionals : {kFewElements, kMoreElements, kManyElements}) {
      Contender chain = walkthrough;
      chain.model = "dynamic/" + ChainName(conditionals);
      measure(RowOfChain(conditionals), chain);
    }
  }
  const auto cpu = [&](const std::string& row, const char* column = "CPU µs") {
    return report.Median(kTable, row, column);
  };
  report.AtMost("growth-million-over-one-identifiers",
                cpu(RowOfIdentifiers(1'000'000), "all, µs") / cpu(RowOfIdentifiers(1), "all, µs"), 1.25);
  report.AtMost("growth-2000-keys-over-one", cpu(kManyKeysRow) / cpu(RowOfIdentifiers(1'000)), 1.25);
  if (report.Has("unary", absl::StrCat("1 KB, 64 connections: ", kManyRoutes), "CPU µs")) {
    report.AtMost("growth-2000-routes-over-one",
                  report.Median("unary", absl::StrCat("1 KB, 64 connections: ", kManyRoutes), "CPU µs") /
                      report.Median("unary", absl::StrCat("1 KB, 64 connections: ", kWalkthrough), "CPU µs"),
                  1.25);
  }
  // Linear: an element costs no more late in a long walk than early in it; and little either way.
  const double few = cpu(RowOfChain(kFewElements)), more = cpu(RowOfChain(kMoreElements)),
               many = cpu(RowOfChain(kManyElements));
  report.AtMost("growth-us-per-element-walked", (many - few) / (kManyElements - kFewElements), 0.5);
  report.AtMost("growth-60-over-32-elements", many / more, static_cast<double>(kManyElements) / kMoreElements);
}

}  // namespace signalbox::bench
