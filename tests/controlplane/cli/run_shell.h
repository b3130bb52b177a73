// Runs a command line and gathers what it says on both outputs.
#pragma once

#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace signalbox {

struct Ran {
  int exit_code = -1;
  std::string output;
};

inline Ran RunShell(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return ran;
  char buffer[4096];
  for (size_t n; (n = ::fread(buffer, 1, sizeof(buffer), pipe)) > 0;) ran.output.append(buffer, n);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ran.exit_code = WEXITSTATUS(status);
  return ran;
}

}  // namespace signalbox
