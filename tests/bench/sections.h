// The parts of a run, each a function that measures some rows into the report and says how they stand to their bounds.
// Rounds go over all that is compared before the next begins, so that a slow moment of the machine meets all of it.
#pragma once

#include <string>

#include "tests/bench/contenders.h"
#include "tests/bench/report.h"

namespace signalbox::bench {

struct Bench {
  bool quick = false;
  int rounds = 5;
  double seconds = 2;  // each measurement
  Contenders& contenders;
  Report& report;
};

// Tables of whole answers in closed loop share their columns.
void DeclareUnary(Report& report, const std::string& table, const std::string& title, const std::string& what);
// One round's samples of one row. Dies unless every answer is a 200.
void MeasureUnaryRow(Bench& bench, const std::string& table, const std::string& row, const Contender& contender,
                     size_t bytes, int connections, double seconds);

// Unary at 64 connections with 1 KB bodies: direct, nginx, Signalbox. What to look at while working on the proxy.
void MeasureUnary64(Bench& bench);
// Unary at 1, 16, 64 and 256 connections, 1 KB and 50 KB, everything that is compared.
void MeasureUnary(Bench& bench);
void MeasureOpenLoop(Bench& bench);
void MeasureStreams(Bench& bench);
void MeasureTls(Bench& bench);
// Two thousand routes: how long they take to compile, to reach 50 proxies, and what they weigh.
void MeasureFleet(Bench& bench);
// The engine's decisions, batched; and whether they cost more with more identifiers.
void MeasureQuota(Bench& bench);
// What a request costs with more identifiers, keys and elements on its way.
void MeasureGrowth(Bench& bench);

}  // namespace signalbox::bench
