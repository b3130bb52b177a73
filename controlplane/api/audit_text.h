// What an audit entry says of a call: whose gateway, which resource, and in one sentence what was done, or was to be
// done. Never a secret: texts are made field by field. Pure; any thread.
#pragma once

#include <google/protobuf/message.h>

#include "signalbox/v1/admin.pb.h"

namespace signalbox {

// Fills gateway, resource and summary. `response` null: the call failed.
void DescribeCall(const google::protobuf::Message& request, const google::protobuf::Message* response,
                  v1::AuditEntry& entry);

}  // namespace signalbox
