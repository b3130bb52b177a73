// Bytes that do not depend on the process, for hashes and blobs. Pure; any thread.
#pragma once

#include <string>

#include "google/protobuf/message_lite.h"

namespace signalbox {

std::string DeterministicBytes(const google::protobuf::MessageLite& message);

}  // namespace signalbox
