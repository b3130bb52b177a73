// Command-line flags of a binary: Abseil's, with a --help that shows them. Call once, first thing in main.
#pragma once

#include <string>

namespace signalbox {

// `main_file` ends as the path of the file that defines the flags, e.g. "dataplane/main.cc": Abseil would look for a
// file called like the program. Exits with 2 and a sentence on an argument that is no flag.
void ParseProgramFlags(int argc, char** argv, const std::string& usage, const std::string& main_file);

}  // namespace signalbox
