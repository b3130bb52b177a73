// The same unary calls when the provider speaks TLS, as real ones do.
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "tests/bench/sections.h"

namespace signalbox::bench {

void MeasureTls(Bench& bench) {
  constexpr char kTable[] = "tls";
  constexpr int kConnections = 64;
  std::fprintf(stderr, "TLS to the provider\n");
  DeclareUnary(bench.report, kTable, "TLS to the provider",
               "Unary, 64 connections; another nginx before the trivial upstream speaks TLS 1.3 with a certificate "
               "made for the run, "
               "which both check. Connections are kept, so this is encryption and not handshakes.");
  for (int round = 0; round < bench.rounds; ++round) {
    for (const size_t bytes : {kSmallBytes, kLargeBytes}) {
      if (bench.quick && bytes == kLargeBytes) continue;
      for (const Contender& contender : {bench.contenders.TlsNginx(), bench.contenders.TlsSignalbox()}) {
        MeasureUnaryRow(bench, kTable, absl::StrCat(bytes >> 10, " KB: ", contender.name), contender, bytes,
                        kConnections, bench.seconds);
      }
    }
  }
}

}  // namespace signalbox::bench
