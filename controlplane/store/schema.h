// The operators' database, as migrations: step n brings schema n to n + 1. A step that was released never changes;
// a change is a new step at the end.
#pragma once

#include <string>
#include <vector>

namespace signalbox {

const std::vector<std::string>& StoreMigrations();

}  // namespace signalbox
