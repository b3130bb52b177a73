// The layering that docs/adr and the tree's layout promise, held by reading every #include of the tree.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace signalbox {
namespace {

using ::testing::IsEmpty;

struct Include {
  std::string file;    // from the root: common/money.cc
  std::string header;  // common/money.h
};

std::vector<Include> IncludesOf(const std::string& file, std::istream& text) {
  std::vector<Include> includes;
  for (std::string line; std::getline(text, line);) {
    const size_t hash = line.find_first_not_of(" \t");
    if (hash == std::string::npos || line[hash] != '#') continue;
    const size_t word = line.find("include", hash);
    const size_t open = word == std::string::npos ? word : line.find_first_of("<\"", word);
    if (open == std::string::npos) continue;
    const size_t close = line.find_first_of(">\"", open + 1);
    if (close != std::string::npos) includes.push_back({file, line.substr(open + 1, close - open - 1)});
  }
  return includes;
}

const std::vector<Include>& TreeIncludes() {
  static const std::vector<Include> all = [] {
    namespace fs = std::filesystem;
    std::vector<Include> includes;
    const fs::path root(SIGNALBOX_SOURCE_DIR);
    for (const char* folder : {"common", "controlplane", "dataplane"}) {
      for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
        const std::string extension = entry.path().extension().string();
        const std::string file = fs::relative(entry.path(), root).generic_string();
        if (!entry.is_regular_file() || (extension != ".cc" && extension != ".h")) continue;
        if (file.find("/node_modules/") != std::string::npos) continue;
        std::ifstream text(entry.path());
        const std::vector<Include> found = IncludesOf(file, text);
        includes.insert(includes.end(), found.begin(), found.end());
      }
    }
    return includes;
  }();
  return all;
}

bool StartsWithAny(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& prefix) { return text.starts_with(prefix); });
}

std::string FileName(const std::string& file) { return file.substr(file.rfind('/') + 1); }

// "file includes header" for each include of a file that `in` picks and a header that `what` picks.
template <typename FilePicker, typename HeaderPicker>
std::vector<std::string> Violations(FilePicker in, HeaderPicker what) {
  std::vector<std::string> violations;
  for (const Include& include : TreeIncludes()) {
    if (in(include.file) && what(include.header)) violations.push_back(include.file + " includes " + include.header);
  }
  return violations;
}

bool IsGrpc(const std::string& header) {
  return StartsWithAny(header, {"grpc/", "grpcpp/", "grpc++/"}) || header.ends_with(".grpc.pb.h") ||
         header.starts_with("common/rpc/");
}

bool IsBoost(const std::string& header) { return header.starts_with("boost/"); }

TEST(IncludeRules, TheTreeWasRead) { EXPECT_GT(TreeIncludes().size(), 100u); }

TEST(IncludeRules, CommonKnowsNeitherPlane) {
  EXPECT_THAT(Violations([](const std::string& file) { return file.starts_with("common/"); },
                         [](const std::string& header) {
                           return StartsWithAny(header, {"controlplane/", "dataplane/"});
                         }),
              IsEmpty());
}

TEST(IncludeRules, ThePlanesNeverIncludeEachOther) {
  EXPECT_THAT(Violations([](const std::string& file) { return file.starts_with("controlplane/"); },
                         [](const std::string& header) { return header.starts_with("dataplane/"); }),
              IsEmpty());
  EXPECT_THAT(Violations([](const std::string& file) { return file.starts_with("dataplane/"); },
                         [](const std::string& header) { return header.starts_with("controlplane/"); }),
              IsEmpty());
}

TEST(IncludeRules, NothingIncludesTests) {
  EXPECT_THAT(Violations([](const std::string&) { return true; },
                         [](const std::string& header) {
                           return StartsWithAny(header, {"tests/", "gtest/", "gmock/"});
                         }),
              IsEmpty());
}

TEST(IncludeRules, SqliteIsKnownOnlyToFilesNamedForIt) {
  EXPECT_THAT(Violations([](const std::string& file) { return FileName(file).find("sqlite") == std::string::npos; },
                         [](const std::string& header) { return header == "sqlite3.h"; }),
              IsEmpty());
}

TEST(IncludeRules, HiredisIsKnownOnlyToFilesNamedForRedis) {
  EXPECT_THAT(Violations([](const std::string& file) { return FileName(file).find("redis") == std::string::npos; },
                         [](const std::string& header) { return header.starts_with("hiredis/"); }),
              IsEmpty());
}

// What computes and never acts: no clock, I/O, gRPC or threads, so that it runs under every sanitizer.
bool IsPure(const std::string& file) {
  // The machine's clock and the annotated mutex are where the rest gets theirs from.
  if (FileName(file) == "clock.cc" || FileName(file) == "mutex.h") return false;
  if (file.starts_with("common/") && file.find('/', 7) == std::string::npos) return true;
  return StartsWithAny(
      file,
      {"common/route/", "controlplane/compiler/", "controlplane/quota/quota_core", "controlplane/quota/quota_admission",
       "controlplane/quota/quota_state", "controlplane/quota/amount_math", "controlplane/quota/command_check",
       "controlplane/quota/counter_key", "dataplane/provider/", "dataplane/health/", "dataplane/quota/command_queue"});
}

TEST(IncludeRules, PureCoresDoNothingButCompute) {
  EXPECT_THAT(Violations(IsPure,
                         [](const std::string& header) {
                           return IsGrpc(header) || IsBoost(header) ||
                                  StartsWithAny(header, {"thread", "chrono", "mutex", "condition_variable", "future",
                                                         "fstream", "iostream", "filesystem", "sqlite3.h", "httplib.h",
                                                         "glog/", "prometheus/", "unistd.h", "sys/"});
                         }),
              IsEmpty());
}

// The only places that know gRPC.
bool MayKnowGrpc(const std::string& file) {
  static const std::vector<std::string> kFolders = {"common/rpc/", "controlplane/cli/", "controlplane/http/"};
  static const std::vector<std::string> kNames = {"main.cc", "controlplane.h", "controlplane.cc", "dataplane.h",
                                                  "dataplane.cc"};
  static const std::vector<std::string> kParts = {"_service",  "_client", "_session", "_publisher",
                                                  "_services", "_answer", "_reporter"};
  static const std::vector<std::string> kFiles = {
      "controlplane/rpc_metrics.h",  // counts calls by an interceptor
      "controlplane/rpc_metrics.cc",
      "controlplane/api/answer.h",            // the one frame around every call of the operators' API
      "controlplane/api/quota_connection.h",  // its calls of the quota service
      "controlplane/quota/call_loop.h",       // the thread that polls the quota service's calls
      "controlplane/quota/quota_stream.h",    // its sessions' operations
      "controlplane/quota/unary_call.h",      // its other calls
      "dataplane/quota/grpc_stream.h",        // the wire protocol, without the library
  };
  const std::string name = FileName(file);
  return StartsWithAny(file, kFolders) || std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         std::find(kFiles.begin(), kFiles.end(), file) != kFiles.end() ||
         std::any_of(kParts.begin(), kParts.end(),
                     [&](const std::string& part) { return name.find(part) != std::string::npos; });
}

TEST(IncludeRules, GrpcIsKnownOnlyAtTheEdges) {
  EXPECT_THAT(Violations([](const std::string& file) { return !MayKnowGrpc(file); }, IsGrpc), IsEmpty());
}

TEST(IncludeRules, BoostIsKnownOnlyToTheDataPlaneAndTheRpcBridge) {
  EXPECT_THAT(
      Violations(
          [](const std::string& file) { return !file.starts_with("dataplane/") && !file.starts_with("common/rpc/"); },
          IsBoost),
      IsEmpty());
}

}  // namespace
}  // namespace signalbox
