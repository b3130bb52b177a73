// bench: measures Signalbox beside what it stands next to. tests/bench/run builds it, sees to what it compares with and
// starts it; docs/performance.md says what its rows mean.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/program_flags.h"
#include "tests/bench/sections.h"

ABSL_FLAG(bool, quick, false, "fewer and shorter rounds: the whole in under five minutes");
ABSL_FLAG(std::string, only, "", "only these parts, by commas: unary64,unary,open-loop,streams,tls,fleet,quota,growth");
ABSL_FLAG(int, rounds, 0, "rounds over all that is compared; 0: 5, or 3 with --quick");
ABSL_FLAG(double, seconds, 0, "of load in each measurement; 0: 2, or 1 with --quick");
ABSL_FLAG(std::string, portkey, "", "script of Portkey's server; empty: it is left out");
ABSL_FLAG(std::string, out_dir, "build/bench", "where results.json and tables.md go");
ABSL_FLAG(std::string, docs, "", "a page in which the tables are replaced, between its bench:begin and bench:end");

namespace signalbox::bench {
namespace {

constexpr char kBeginMark[] = "<!-- bench:begin -->\n";
constexpr char kEndMark[] = "<!-- bench:end -->";

struct Part {
  const char* name;
  void (*measure)(Bench&);
};
constexpr Part kParts[] = {
    {"unary64", MeasureUnary64}, {"unary", MeasureUnary}, {"open-loop", MeasureOpenLoop}, {"streams", MeasureStreams},
    {"tls", MeasureTls},         {"fleet", MeasureFleet}, {"quota", MeasureQuota},        {"growth", MeasureGrowth},
};

std::string Machine() {
  std::ifstream file("/proc/cpuinfo");
  std::string model = "unknown processor";
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  return absl::StrCat(std::thread::hardware_concurrency(), " × ", model);
}

void WriteIntoPage(const std::string& path, const std::string& text) {
  std::string page = ReadWholeFile(path);
  const size_t begin = page.find(kBeginMark);
  const size_t end = page.find(kEndMark);
  if (begin == std::string::npos || end == std::string::npos)
    Die(absl::StrCat(path, " has no bench:begin and bench:end"));
  const size_t from = begin + sizeof(kBeginMark) - 1;
  page.replace(from, end - from, absl::StrCat("\n", text, "\n"));
  std::ofstream(path) << page;
}

void Run() {
  std::string directory = (std::filesystem::temp_directory_path() / "signalbox-bench-XXXXXX").string();
  if (::mkdtemp(directory.data()) == nullptr) Die("cannot make a temporary directory");
  ::chmod(directory.c_str(), 0755);
  const bool quick = absl::GetFlag(FLAGS_quick);
  const int rounds = absl::GetFlag(FLAGS_rounds) > 0 ? absl::GetFlag(FLAGS_rounds) : quick ? 3 : 5;
  const double seconds = absl::GetFlag(FLAGS_seconds) > 0 ? absl::GetFlag(FLAGS_seconds) : quick ? 1 : 2;
  ContenderOptions options;
  options.directory = directory;
  options.portkey = absl::GetFlag(FLAGS_portkey);
  if (quick) options.events = 10;
  Report report;
  const std::string out_dir = absl::GetFlag(FLAGS_out_dir);
  std::filesystem::create_directories(out_dir);
  std::string tables;
  {
    Contenders contenders(options);
    Bench bench{quick, rounds, seconds, contenders, report};
    const std::string only = absl::GetFlag(FLAGS_only);
    const std::vector<std::string> chosen = absl::StrSplit(only, ',', absl::SkipEmpty());
    for (const Part& part : kParts) {
      const bool named = std::find(chosen.begin(), chosen.end(), part.name) != chosen.end();
      if (!named && (!chosen.empty() || std::string_view(part.name) == "unary64")) continue;
      part.measure(bench);
      // After each part, so that one that fails loses nothing of the others.
      tables = absl::StrCat("Machine: ", Machine(), ", shared by everything that is measured. Medians of ", rounds,
                            " interleaved rounds, in brackets the least and the most.\n\n", report.Markdown());
      std::ofstream(out_dir + "/results.json") << report.Json(Machine(), rounds, seconds);
      std::ofstream(out_dir + "/tables.md") << tables;
    }
  }
  std::cout << tables << "\n" << report.BoundLines() << std::flush;
  if (const std::string page = absl::GetFlag(FLAGS_docs); !page.empty()) WriteIntoPage(page, tables);
  std::error_code ignored;  // what is left in /tmp harms nobody
  std::filesystem::remove_all(directory, ignored);
}

}  // namespace
}  // namespace signalbox::bench

int main(int argc, char** argv) {
  signalbox::ParseProgramFlags(argc, argv, "bench [--quick] [--only=PART,...]; tests/bench/run starts it", "bench.cc");
  signalbox::bench::Run();
  return 0;
}
