#include "controlplane/api/answer.h"

#include <glog/logging.h>
#include <google/protobuf/descriptor.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "controlplane/api/audit_text.h"
#include "controlplane/store/sqlite_store.h"

namespace signalbox {
namespace {

// Of the services of the file that has `request`, as files are what a descriptor leads to.
std::string FindMethodTaking(const google::protobuf::Descriptor* request) {
  const google::protobuf::FileDescriptor* const file = request->file();
  for (int s = 0; s < file->service_count(); ++s) {
    const google::protobuf::ServiceDescriptor* const service = file->service(s);
    for (int m = 0; m < service->method_count(); ++m) {
      if (service->method(m)->input_type() == request) return service->method(m)->full_name();
    }
  }
  return request->full_name();  // no method: the role table knows no such name, so it needs an admin
}

}  // namespace

absl::Status Audit(const OperatorDeps& deps, const Caller& caller, const MethodRole& method,
                   const google::protobuf::Message& request, const google::protobuf::Message* response,
                   const absl::Status& status) {
  v1::AuditEntry entry;
  entry.set_who(caller.name);
  entry.set_token_id(caller.token_id);
  entry.set_role(RoleName(caller.role));
  entry.set_method(std::string(method.method));
  DescribeCall(request, response, entry);
  if (!status.ok()) entry.set_error(std::string(status.message()));
  const absl::Status written = deps.store->audit().Append(entry);
  if (written.ok()) return status;
  LOG(ERROR) << "not in the audit log: " << entry.ShortDebugString() << ": " << written;
  if (!status.ok()) return status;
  return absl::InternalError(
      absl::StrCat("it is done, but the audit log could not be written: ", std::string(written.message())));
}

const std::string& MethodTaking(const google::protobuf::Descriptor* request) {
  thread_local std::map<const google::protobuf::Descriptor*, std::string> known;
  const auto found = known.find(request);
  if (found != known.end()) return found->second;
  return known.emplace(request, FindMethodTaking(request)).first->second;
}

}  // namespace signalbox
